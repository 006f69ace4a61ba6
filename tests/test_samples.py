"""The replies printed on the vendors' own pages load, and every field of them is in the tables."""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from pipelines import catalog
from sources._tables import Table, column_name
from tests.fakes._server import Answer, Ask, Fake, Row
from tests.fakes.avaamo import SAMPLES as AVAAMO
from tests.fakes.avaamo import AvaamoFake
from tests.fakes.dialer import SAMPLES as DIALER
from tests.fakes.dialer import DialerFake
from tests.fakes.inwise import SAMPLES as INWISE
from tests.fakes.inwise import InwiseFake
from tests.fakes.koreai import SAMPLES as KOREAI
from tests.fakes.koreai import KoreaiFake
from tests.fakes.vonage import SAMPLES as VONAGE
from tests.fakes.vonage import VonageFake
from tests.house import House

MakeHouse = Callable[..., House]
Replies = dict[str, Callable[[Ask], Any]]


def replaying(fake: Fake, replies: Replies) -> Fake:
    """The fake, with the page's samples in place of its own replies."""
    own = fake.answer

    def answer(ask: Ask) -> Answer:
        found = own(ask)  # the fake still checks login and parameters
        for path, reply in replies.items():
            if found.status == 200 and re.search(path, ask.path):
                return Answer(reply(ask))
        return found

    fake.answer = answer  # type: ignore[method-assign]
    return fake


def table_of(vendor: str, name: str) -> Table:
    return next(t for t in catalog.vendor(vendor).tables if t.name == name)


def columns_of(table: Table, row: Row, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """The sample's fields by the column in which the contract keeps each."""
    for name, value in row.items():
        field = prefix + name
        if isinstance(value, dict) and any(f.startswith(f"{field}.") for f in table.fields):
            yield from columns_of(table, value, f"{field}.")
        else:
            yield column_name(field), value


def kept(table: Table, column: str, value: Any) -> Any:
    """A sample's value as the table shows it."""
    kind = table.columns[column]
    match kind:
        case _ if value is None:
            return None
        case "code":
            return str(value)
        case "time":
            return datetime.fromisoformat(value)
        case "epoch":
            return datetime.fromtimestamp(value, UTC)
        case _:
            return value


def assert_kept(home: House, vendor: str, name: str, samples: list[Row]) -> None:
    table = table_of(vendor, name)
    loaded = [
        {c: json.loads(v) if is_json(table, c) and v else v for c, v in row.items()}
        for row in home.rows(vendor, name)
    ]
    for sample in samples:
        wanted = {c: kept(table, c, v) for c, v in columns_of(table, sample)}
        assert any(all(row[c] == v for c, v in wanted.items()) for row in loaded), wanted


def is_json(table: Table, column: str) -> bool:
    return table.columns.get(column) in ("list", "map", "json")


def without(row: Row, *names: str) -> Row:
    return {name: value for name, value in row.items() if name not in names}


def test_vonages_page(house: MakeHouse) -> None:
    with replaying(VonageFake(), {"/interactions$": lambda _ask: VONAGE[0]}) as fake:
        home = house(fake)
        assert home.run() == 0, home.error("vonage")
    items = VONAGE[0]["items"]
    channels = [
        {"interaction_guid": item["guid"], "position": n, **channel}
        for item in items
        for n, channel in enumerate(item["channels"])
    ]
    events = [
        {
            "interaction_guid": channel["interaction_guid"],
            "channel_position": channel["position"],
            "position": n,
            **event,
        }
        for channel in channels
        for n, event in enumerate(channel["events"])
    ]
    assert_kept(home, "vonage", "interactions", [without(item, "channels") for item in items])
    assert_kept(home, "vonage", "interactions__channels", [without(c, "events") for c in channels])
    assert_kept(home, "vonage", "interactions__channels__events", events)
    assert len(home.rows("vonage", "interactions__channels__events")) == len(events)
    warnings = home.board.vendors["vonage"].warnings
    assert any("reports a total of 2, its pages hold 3" in text for text in warnings)


def test_avaamos_page(house: MakeHouse) -> None:
    entries = [entry for sample in AVAAMO for entry in sample["entries"]]
    reply = AVAAMO[0] | {"entries": entries}
    with replaying(AvaamoFake(), {"/insights$": lambda ask: page_one(ask, "page", reply)}) as fake:
        fake.now = lambda: datetime(2025, 7, 3, tzinfo=UTC)
        home = house(fake, avaamo__start_date="2025-06-20")
        assert home.run(now=fake.now()) == 0, home.error("avaamo")
    assert_kept(home, "avaamo", "campaign_insights", entries)


def page_one(ask: Ask, parameter: str, reply: Row) -> Row:
    number = int(ask.query[parameter])
    return reply if number == 1 else reply | {"entries": [], "current_page": number}


def test_inwises_page(house: MakeHouse) -> None:
    def sample(ask: Ask) -> Any:
        return INWISE[ask.path.rpartition("/")[2]]

    replies: Replies = {"/campaigns/email/": sample}
    with replaying(InwiseFake(), replies) as fake:
        home = house(fake, inwise__start_date="2024-09-01")
        assert home.run(now=datetime(2024, 9, 19, tzinfo=UTC)) == 0, home.error("inwise")
    lists = [
        ("sent_emails", "sentEmails", "date_sent"),
        ("undelivered", "undelivered", "create_date"),
        ("activities", "activities", "action_date"),
        ("recent_activities", "recentActivities", "action_date"),
    ]
    for table, name, time in lists:
        rows = [without(row, time) | {f"{time}_text": row[time]} for row in INWISE[name]]
        assert_kept(home, "inwise", table, rows)
    summary = INWISE["activitiesSummary"] | {"campaign_id": "1958368"}
    assert_kept(home, "inwise", "activities_summary", [summary])


def test_koreais_page(house: MakeHouse) -> None:
    contacts, campaigns = KOREAI[0], KOREAI[1]
    replies: Replies = {"/status$": lambda _: contacts, "Details$": lambda _: campaigns}
    own = KoreaiFake()
    campaign_ids = [row["_id"] for row in campaigns["data"]["results"]]
    for campaign_id in campaign_ids:
        own.add_campaign(_id=campaign_id)
    with replaying(own, replies) as fake:
        home = house(fake, koreai__requests_per_minute=6000)
        assert home.run() == 0, home.error("koreai")
    rows = [without(row, "_id") | {"id": row["_id"]} for row in campaigns["data"]["results"]]
    assert_kept(home, "koreai", "campaigns", rows)
    for campaign_id in campaign_ids:
        rows = [row | {"campaign_id": campaign_id} for row in contacts["data"]["results"]]
        assert_kept(home, "koreai", "campaign_contacts", rows)


def test_the_dialers_page(house: MakeHouse) -> None:
    def leads(ask: Ask) -> Any:
        return DIALER["leads"] if "next_start_key" not in ask.query else {"data": []}

    replies: Replies = {
        "/leads/status$": lambda _: DIALER["status"],
        "/config/campaigns/.*/leads$": leads,
        "/queues/status$": lambda _: DIALER["queues"],
        "/leads/history$": lambda _: DIALER["history"],
    }
    own = DialerFake()
    for campaign_id in ("campaing_id_1", "campaing_id_n"):
        own.campaigns[campaign_id] = {"name": "", "status": "", "leads_by_status": []}
    with replaying(own, replies) as fake:
        home = house(fake, dialer__start_date="2022-10-19")
        now = datetime(2022, 10, 20, tzinfo=UTC)
        assert home.run(now=now) == 0, home.error("dialer")
    status = json.loads(DIALER["status"])
    rows = [{"id": k, **without(v, "leads_by_status")} for k, v in status.items()]
    assert_kept(home, "dialer", "campaigns", rows)
    counts = home.sql(
        "select campaign_id, status, occurrence, leads "
        "from dialer.campaign_lead_counts order by all"
    )
    assert counts == [
        (campaign, *count)
        for campaign, new, success in (("campaing_id_1", 4, 10), ("campaing_id_n", 8, 15))
        for count in (
            ("failed", 0, 5),
            ("new", 0, new),
            ("success", 0, success),
            ("success", 1, 25),
        )
    ]
    # a lead belongs to the campaign that was asked for it, whatever it says itself
    rows = [row | {"campaign_id": "campaing_id_1"} for row in DIALER["leads"]["data"]]
    assert_kept(home, "dialer", "leads", rows)
    assert_kept(home, "dialer", "lead_history", DIALER["history"])
    queues = DIALER["queues"]
    assert_kept(home, "dialer", "queues", [without(queue, "agents") for queue in queues])
    agents = [
        {"queue_id": queue["id"], "position": n, **agent}
        for queue in queues
        for n, agent in enumerate(queue["agents"])
    ]
    assert_kept(home, "dialer", "queues__agents", agents)
