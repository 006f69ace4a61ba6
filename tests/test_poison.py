"""Poison: records that no table takes. They stop their vendor alone, by their place and never by
their value, and with `put_aside` they stop nothing."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipelines.report.words import moment
from sources import _rejects
from sources._arrow import TypeChanged
from sources._json import dumps, loads
from sources._rejects import bad_rows
from sources._tables import Table, named
from sources.koreai import CONTACTS
from tests.fakes._server import Row
from tests.fakes.avaamo import AvaamoFake
from tests.fakes.dialer import DialerFake
from tests.fakes.inwise import InwiseFake
from tests.fakes.koreai import KoreaiFake
from tests.fakes.vonage import VonageFake
from tests.house import House, assert_holds

MakeHouse = Callable[..., House]
NOW = datetime(2026, 11, 2, 3, tzinfo=UTC)
DAY = timedelta(days=1)
SECRET = "+15550123456"
INTERACTIONS = "/stats/interactions$"


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.fixture
def vonage() -> Iterator[VonageFake]:
    """Two interactions, the first of which the tests spoil."""
    with VonageFake() as fake:
        fake.now = lambda: NOW - timedelta(hours=1)
        fake.add_interaction(guid="bad")
        fake.add_interaction(guid="good")
        yield fake


@pytest.fixture
def home(house: MakeHouse, vonage: VonageFake) -> House:
    return house(vonage, vonage__start_date="2026-11-01", vonage__requests_per_minute=60_000)


def spoil(fake: VonageFake, change: Row) -> None:
    """The interaction `bad` comes with `change`, from now on; lone surrogates between dc80 and dcff
    as the bytes that they stand for."""

    def rewrite(body: Any) -> str:
        for item in body["items"]:
            if item["guid"] == "bad":
                item |= change
        text = json.dumps(body, ensure_ascii=False)
        return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c < "\udc80" else c for c in text)

    fake.rewrites = [(INTERACTIONS, rewrite)]


def guids(home: House) -> list[str]:
    return [guid for (guid,) in home.sql("select guid from vonage.interactions order by 1")]


def rejected(home: House) -> list[tuple[Any, ...]]:
    return home.sql(
        'select vendor, "table", key::varchar, place, reason, first_seen_at, last_seen_at '
        "from ops.rejected order by all"
    )


# --- what can be held is held --------------------------------------------------------------------

HELD: dict[str, tuple[Row, str, Any]] = {
    "NUL": ({"outcome": "a\x00b"}, "outcome", "a\x00b"),
    "10 MB": ({"outcome": "x" * 10_000_000}, "outcome", "x" * 10_000_000),
    "a control character": ({"new": {"a\x00": "\x00"}}, "new", '{"a\\u0000":"\\u0000"}'),
    "100 deep": ({"new": nested(100)}, "new", "[" * 101 + "]" * 101),
    "600 deep": ({"new": nested(600)}, "new", "[" * 601 + "]" * 601),
    "an unknown number beyond 64 bits": ({"new": 2**70}, "new", str(2**70)),
    "one within an object": ({"new": {"a": [2**70]}}, "new", f'{{"a":[{2**70}]}}'),
    "a code beyond 64 bits": ({"connectTo": 2**70}, "connect_to", str(2**70)),
    "the year 1": (
        {"categorizedAt": "0001-01-01T00:00:00Z"},
        "categorized_at",
        datetime(1, 1, 1, tzinfo=UTC),
    ),
    "the last second": (
        {"categorizedAt": "9999-12-31T23:59:59Z"},
        "categorized_at",
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ),
    "a name of digits": ({"123": 1}, "_123", "1"),
    "a name of quotes": ({'a"b;--': 1}, "a_bxxx", "1"),
}


def test_what_a_table_can_hold_arrives_as_it_is(vonage: VonageFake, home: House) -> None:
    for change, _, _ in HELD.values():
        vonage.interactions.clear()
        vonage.add_interaction(guid="bad")
        spoil(vonage, change)
        assert home.run(now=NOW) == 0, home.error("vonage")
        column, value = next((c, v) for k, c, v in HELD.values() if k is change)
        found = home.sql(f'select "{column}" from vonage.interactions')
        assert [row[0] for row in found] == [value], column


def test_the_ends_of_time_are_shown_on_any_clock() -> None:
    last, first = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
    assert moment(last, ZoneInfo("Asia/Tokyo")) == "31 Dec 23:59"
    assert moment(first, ZoneInfo("America/New_York")) == "1 Jan 00:00"


# --- what it cannot hold stops the vendor, by its place ------------------------------------------

REFUSED: dict[str, tuple[Row, str]] = {
    "type flip": ({"duration": SECRET}, "interactions.duration was a whole number"),
    "lone surrogate": ({"outcome": "\ud800"}, "interactions.outcome: a text that is none"),
    "no UTF-8": ({"outcome": f"{SECRET}\udcff"}, "interactions.outcome: a text that is none"),
    "surrogate in JSON": ({"new": ["\ud800"]}, "interactions.new: what no JSON can hold"),
    "beyond 64 bits": ({"duration": 2**70}, "interactions.duration: a value out of range"),
    "NaN": ({"duration": float("nan")}, "interactions.duration was a whole number"),
    "infinite, nested": ({"new": [float("inf")]}, "interactions.new: what no JSON can hold"),
    "year 0": ({"categorizedAt": "0000-01-01T00:00:00Z"}, "interactions.categorized_at"),
    "year -1": ({"categorizedAt": "-0001-01-01T00:00:00Z"}, "interactions.categorized_at"),
    "year 10000": ({"categorizedAt": "9999-12-31T23:59:59-10:00"}, "categorized_at: a value out"),
    "no name": ({"": SECRET}, "interactions: a field without a name"),
    "names collide": ({"fooBar": 1, "foo_bar": SECRET}, "share the name 'foo_bar'"),
    "children that are none": ({"channels": SECRET}, "'channels' is no list"),
    "a child that is none": ({"channels": [SECRET]}, "the list holds a text"),
    "a bad grandchild": (
        {"channels": [{"guid": "c", "events": [{"type": 1}]}]},
        "interactions__channels__events.type was a text",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_poison_stops_its_vendor_by_its_place_and_with_the_switch_nothing(
    vonage: VonageFake, home: House, what: str
) -> None:
    change, said = REFUSED[what]
    spoil(vonage, change)
    assert home.run(now=NOW) == 1
    error = home.error("vonage")
    assert said in error
    assert "interactions 2026-11-01 00:00..2026-11-02 03:00Z: " in error
    assert "guid 'bad'" in error
    assert "[sources.vonage] put_aside = true" in error
    assert SECRET not in error
    assert rejected(home) == []
    home.settings["vonage__put_aside"] = True
    assert home.run(now=NOW) == 0, home.error("vonage")
    assert guids(home) == ["good"]
    ((vendor, table, key, place, reason, first, last),) = rejected(home)
    assert (vendor, table, key) == ("vonage", "interactions", '{"guid": "bad"}')
    assert place.startswith("interactions 2026-11-01 ")
    assert said in reason
    assert SECRET not in reason
    assert first == last == NOW
    ((warnings,),) = home.sql("select warnings from ops.runs where status = 'ok'")
    told = [text for text in json.loads(warnings) if "clock" not in text]  # the fake's is NOW
    assert told == ["records put aside: 1; ops.rejected says which and why"]


@pytest.mark.parametrize("guid", [None, ["bad"], 1.5, "\ud800"])
def test_a_record_without_a_sound_key_is_known_by_its_content(
    vonage: VonageFake, home: House, guid: Any
) -> None:
    spoil(vonage, {"guid": guid})
    home.settings["vonage__put_aside"] = True
    for night in range(2):
        assert home.run(now=NOW + night * DAY) == 0, home.error("vonage")
    assert guids(home) == ["good"]
    assert [row[5:] for row in rejected(home)] == [(NOW, NOW + DAY)]


# --- nights with a record put aside --------------------------------------------------------------


def test_the_next_night_is_not_stuck_and_a_healed_record_is_loaded(
    vonage: VonageFake, house: MakeHouse
) -> None:
    settings = {"start_date": "2026-11-01", "lookback_days": 5, "put_aside": True}
    home = house(vonage, **{f"vonage__{key}": value for key, value in settings.items()})
    home.run(now=NOW)
    channels = "select count(*) from vonage.interactions__channels where interaction_guid = 'bad'"
    before = home.sql(channels)
    assert before > [(0,)]
    spoil(vonage, {"channels": [{"guid": "c", "offset": SECRET}], "duration": 1})
    assert home.run(now=NOW + DAY) == 0
    assert home.run(now=NOW + 2 * DAY) == 0
    reason = (
        "interactions__channels.offset was a whole number, the vendor now sends a text that is none"
    )
    place = "interactions 2026-11-01 00:00..2026-11-04 03:00Z"
    assert rejected(home) == [
        (
            *("vonage", "interactions", '{"guid": "bad"}', place),
            *(reason.removesuffix(" that is none"), NOW + DAY, NOW + 2 * DAY),
        )
    ]
    assert home.sql(channels) == before  # the whole interaction is as it was
    ((runs,),) = home.sql("select count(*) from ops.rejected join ops.runs using (run_id, vendor)")
    assert runs == 1
    vonage.rewrites = []
    assert home.run(now=NOW + 3 * DAY) == 0
    assert rejected(home) == []
    assert_holds(home, vonage)


def test_a_run_that_dies_after_the_putting_aside_leaves_one_row(
    vonage: VonageFake, home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines import load

    spoil(vonage, {"duration": "x"})
    home.settings["vonage__put_aside"] = True
    with monkeypatch.context() as broken:
        broken.setattr(load.VendorLoad, "_hinted", lambda *_: 1 / 0)
        assert home.run(now=NOW) == 1
    assert home.run(now=NOW + timedelta(minutes=1)) == 0
    assert [row[5:] for row in rejected(home)] == [(NOW, NOW + timedelta(minutes=1))]
    assert guids(home) == ["good"]


def test_a_bad_lead_keeps_its_campaign_as_it_was(house: MakeHouse) -> None:
    with DialerFake() as fake:
        fake.now = lambda: NOW - timedelta(hours=1)
        spoilt, other = (fake.add_campaign(name, leads=3) for name in ("A", "B"))
        home = house(fake, dialer__requests_per_minute=60_000, dialer__put_aside=True)
        assert home.run(now=NOW) == 0, home.error("dialer")
        history = (
            "select id, status, _dlt_valid_to from dialer.leads where campaign_id = ? order by all"
        )
        before = home.sql(history, [spoilt])
        bad, changed, goes = fake.leads_of(spoilt)
        bad["retries"], changed["status"] = SECRET, "moved on"
        del fake.leads[goes["id"]]
        fake.leads_of(other)[0]["status"] = "moved on"
        assert home.run(now=NOW + DAY) == 1, "a list is held back"
        assert home.error("dialer") == ""
        assert home.sql(history, [spoilt]) == before
        assert [row[2] for row in home.sql(history, [other])].count(None) == 3
        assert len(home.sql(history, [other])) == 4
        assert [row[:5] for row in rejected(home)] == [
            (
                *("dialer", "leads", json.dumps({"id": str(bad["id"])}), f"leads {spoilt}"),
                "leads.retries was a whole number, the vendor now sends a text",
            )
        ]
        ((warnings,),) = home.sql("select warnings from ops.runs order by started_at desc limit 1")
        assert f"leads of campaign_id '{spoilt}' stay as they were" in warnings
        bad["retries"] = 4
        assert home.run(now=NOW + 2 * DAY) == 0, home.error("dialer")
        assert rejected(home) == []
        assert_holds(home, fake)


def test_a_bad_contact_keeps_its_campaign_and_its_number_stays_out_of_what_is_said(
    house: MakeHouse,
) -> None:
    with KoreaiFake() as fake:
        fake.now = lambda: NOW - timedelta(hours=1)
        campaign = fake.add_campaign(status="Completed")["_id"]
        contacts = [fake.add_contact(campaign, uniqueId=f"CRM-{n}") for n in range(3)]
        home = house(fake, koreai__requests_per_minute=60_000)
        contacts[1]["numberOfAttemptsSoFar"] = SECRET
        assert home.run(now=NOW) == 1
        assert f"campaign_contacts {campaign}: campaign_contacts.number_of" in home.error("koreai")
        assert f"(campaign_id '{campaign}', occurrence '0')" in home.error("koreai")
        assert contacts[1]["phoneNumber"] not in home.error("koreai")
        home.settings["koreai__put_aside"] = True
        assert home.run(now=NOW) == 1, "a list is held back"
        assert home.sql("select count(*) from koreai.campaign_contacts") == [(0,)]
        key = {"campaign_id": campaign, "phone_number": contacts[1]["phoneNumber"]}
        key |= {"unique_id": "CRM-1", "occurrence": "0"}
        assert [json.loads(row[2]) for row in rejected(home)] == [key]
        contacts[1]["numberOfAttemptsSoFar"] = 1  # a finished campaign, and still read again
        assert home.run(now=NOW + timedelta(hours=1)) == 0, home.error("koreai")
        assert rejected(home) == []
        assert_holds(home, fake)


def test_a_bad_campaign_is_not_closed(house: MakeHouse) -> None:
    with KoreaiFake() as fake:
        fake.now = lambda: NOW - timedelta(hours=1)
        for _ in range(3):
            fake.add_campaign()
        spoilt = next(iter(fake.campaigns))
        home = house(fake, koreai__requests_per_minute=60_000, koreai__put_aside=True)
        home.run(now=NOW)

        def poison(body: Any, change: Row) -> Any:
            rows = body["data"]["results"]
            rows[:] = [row | (change if row.get("_id") == spoilt else {}) for row in rows]
            return body

        for change in ({"priority": 1.5}, {"_id": None}):
            fake.rewrites = [("/getAllCampaignDetails$", partial(poison, change=change))]
            assert home.run(now=NOW + DAY) == 1, "a list is held back"
            assert home.error("koreai") == ""
            assert len(rejected(home)) == 1
            fake.rewrites = []
            assert home.run(now=NOW + 2 * DAY) == 0, home.error("koreai")
            versions = "select count(*), count(_dlt_valid_to) from koreai.campaigns"
            assert home.sql(versions) == [(3, 0)]


ILL: list[Row] = [{"_id": None}, {"_id": 1.5}, {"_id": "\udcff"}, {"name": 10**25}]
ILL += [{"name": "\udcff"}, {"updatedAt": 10**25}]


@pytest.mark.parametrize("change", ILL, ids=ascii)
def test_a_bad_campaign_closes_no_contacts_and_is_closed_when_it_goes(
    house: MakeHouse, change: Row
) -> None:
    histories = (
        "select id, _dlt_valid_to from koreai.campaigns order by all",
        "select campaign_id, unique_id, _dlt_valid_to from koreai.campaign_contacts order by all",
    )
    with KoreaiFake() as fake:
        fake.now = lambda: NOW - timedelta(hours=1)
        spoilt, goes, stays = (fake.add_campaign()["_id"] for _ in range(3))
        for campaign in (spoilt, goes, stays):
            for number in range(3):
                fake.add_contact(campaign, uniqueId=f"CRM-{number}")
        home = house(fake, koreai__requests_per_minute=60_000, koreai__put_aside=True)
        assert home.run(now=NOW) == 0, home.error("koreai")
        before = [home.sql(query) for query in histories]
        assert list(map(len, before)) == [3, 9]

        def poison(body: Any) -> str:
            for row in body["data"]["results"]:
                row |= change if row["_id"] == spoilt else {}
            return json.dumps(body, ensure_ascii=False)

        fake.rewrites = [("/getAllCampaignDetails$", poison)]
        assert home.run(now=NOW + DAY) == 1, "a list is held back"
        assert home.error("koreai") == ""
        assert [row[1] for row in rejected(home)] == ["campaigns"]
        assert [home.sql(query) for query in histories] == before
        fake.rewrites = []
        fake.remove_campaign(spoilt)
        fake.remove_campaign(goes)
        assert home.run(now=NOW + 2 * DAY) == 0, home.error("koreai")
        for query, rows in zip(histories, before, strict=True):
            closed = [row[:-1] for row in home.sql(query) if row[-1]]
            assert closed == [row[:-1] for row in rows if row[0] != stays]
            assert len(home.sql(query)) == len(rows)


def test_a_bad_agent_takes_its_queue_and_no_other(house: MakeHouse) -> None:
    with DialerFake() as fake:
        fake.seed(20)
        fake.now = lambda: NOW - timedelta(hours=1)
        home = house(fake, dialer__requests_per_minute=60_000, dialer__put_aside=True)
        queue = next(queue for queue in fake.queues if queue["agents"])
        queue["agents"][0]["delay"] = "x"
        assert home.run(now=NOW) == 0, home.error("dialer")
        ids = sorted(str(q["id"]) for q in fake.queues if q is not queue)
        assert home.sql("select id from dialer.queues order by 1") == [(i,) for i in ids]
        agents = "select count(*) from dialer.queues__agents where queue_id = ?"
        assert home.sql(agents, [str(queue["id"])]) == [(0,)]
        ((_, table, key, place, reason, _, _),) = rejected(home)
        assert (table, json.loads(key)["id"]) == ("queues", str(queue["id"]))
        assert place == "queue_status all"
        assert reason.startswith("queues__agents.delay was a whole number")


def test_a_bad_record_of_the_read_once_feed_is_put_aside_and_the_others_kept(
    house: MakeHouse,
) -> None:
    with InwiseFake() as fake:
        fake.seed(20)
        home = house(fake, inwise__requests_per_minute=60_000, inwise__put_aside=True)

        def poison(rows: list[Row]) -> list[Row]:
            return [row | ({"ip": ["1"]} if n == 1 else {}) for n, row in enumerate(rows)]

        fake.rewrites = [("/recentActivities$", poison)]
        assert home.run() == 0, home.error("inwise")
        ((count,),) = home.sql("select count(*) from inwise.recent_activities")
        assert count == len(fake.handed_out) - len(rejected(home))
        assert {row[1] for row in rejected(home)} == {"recent_activities"}


def test_an_event_of_a_campaign_that_is_none_sticks_in_no_later_night(house: MakeHouse) -> None:
    with InwiseFake() as fake:
        fake.seed(20)
        fake.rewrites = [
            ("/activities$", lambda b: [r | {"campaign_id": "x"} for r in b[:1]] + b[1:])
        ]
        home = house(fake, inwise__requests_per_minute=60_000)
        assert home.run() == 0, home.error("inwise")
        ((warnings,),) = home.sql("select warnings from ops.runs")
        assert "activitiesSummary campaign x" in warnings


@pytest.mark.parametrize("time", ["0000-01-01 00:00:00", "0001-01-01 00:00:00", "soon", 5])
def test_a_local_time_that_is_none_is_put_aside(house: MakeHouse, time: Any) -> None:
    with InwiseFake() as fake:
        fake.seed(10)

        def poison(rows: list[Row]) -> list[Row]:
            return [row | ({"date_sent": time} if n == 0 else {}) for n, row in enumerate(rows)]

        fake.rewrites = [("/sentEmails$", poison)]
        home = house(fake, inwise__requests_per_minute=60_000)
        assert home.run() == 1
        assert "sent_emails.date_sent" in home.error("inwise")
        assert "transaction_id '" in home.error("inwise")
        home.settings["inwise__put_aside"] = True
        assert home.run() == 0, home.error("inwise")
        assert {row[1] for row in rejected(home)} == {"sent_emails"}


def test_a_field_that_changed_for_all_is_no_bad_record(
    house: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_rejects, "MOST_ROWS", 3)
    with AvaamoFake() as fake:
        fake.seed(40)
        fake.rewrites = [
            (fake.main_path, lambda b: b | {"entries": [r | {"language": 5} for r in b["entries"]]})
        ]
        home = house(fake, avaamo__requests_per_minute=60_000, avaamo__put_aside=True)
        assert home.run() == 1
        assert "campaign_insights.language was a text" in home.error("avaamo")
        assert "rows are so" in home.error("avaamo")
        assert rejected(home) == []


@pytest.mark.parametrize("unique_id", [SECRET, "15550123456", "Jane Doe", "a@b.example", "1980"])
def test_what_may_be_a_person_is_not_named(unique_id: str) -> None:
    row = {"campaignId": "cd-1234567", "phoneNumber": SECRET, "uniqueId": unique_id}
    assert named(CONTACTS, row | {"occurrence": 0}) == "campaign_id 'cd-1234567', occurrence '0'"


# --- finding the bad rows ------------------------------------------------------------------------

THINGS = Table("things", key=("id",), fields={"id": "code", "count": "int"})


@pytest.mark.parametrize("bad", [set(), {0}, {6}, {2, 3}, set(range(7))])
def test_bad_rows_are_found_and_no_good_one(bad: set[int]) -> None:
    rows = [{"id": n, "count": "x" if n in bad else n} for n in range(7)]
    assert bad_rows(THINGS, rows, {}).keys() == bad


def test_of_two_spellings_of_a_field_the_later_is_bad() -> None:
    rows: list[Row] = [{"id": 1, "newField": 1}, {"id": 2}, {"id": 3, "new_field": 1}, {"id": None}]
    assert bad_rows(THINGS, rows, {}).keys() == {2, 3}
    assert bad_rows(THINGS, rows[:3], {}).keys() == {2}, "each half is sound by itself"


def test_too_many_bad_rows_raise() -> None:
    rows = [{"id": n, "count": "x"} for n in range(_rejects.MOST_ROWS + 1)]
    with pytest.raises(TypeChanged, match="more than 100 of 101 rows are so"):
        bad_rows(THINGS, rows, {})


# --- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["[18446744073709551616]", '{"a":[1180591620717411303424]}', "[" * 900 + "]" * 900]
)
def test_json_comes_back_as_it_came(text: str) -> None:
    assert dumps(loads(text.encode())) == text


@pytest.mark.parametrize("text", [b"", b"<html>", b"[1", b"[1]x", b"[" * 200_000, b"\xff"])
def test_what_is_no_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # any
        loads(text)


@pytest.mark.parametrize("text", [b'["\\ud800"]', b'["\xff"]', b"[NaN]", b"[1e999]"])
def test_what_no_json_can_hold_is_read_and_not_written(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # any
        dumps(loads(text))
