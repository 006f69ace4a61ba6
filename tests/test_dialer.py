"""What is odd about the dialer: a status printed twice, leads and campaigns that vanish, calls
without an id, a history in two shapes, the tenant's own certificate, writes beside the reads."""

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme

from pipelines.check import print_check
from sources._api import Api
from sources._calls import call_key
from sources._endpoints import Finding, Listed, Night, Read, Slice, Window, Windowed
from sources._errors import VendorError
from sources._meter import Meter
from sources.dialer import VENDOR, _token
from tests.fakes._server import Answer, Ask, Fault, Row
from tests.fakes.dialer import HISTORY, LOGIN, SAMPLES, STATUS, DialerFake
from tests.house import House, assert_holds, assert_table

MakeHouse = Callable[..., House]
NOW = datetime(2026, 11, 2, 3, tzinfo=UTC)
SECOND = int(NOW.timestamp())
DAY = timedelta(days=1)
FAST = {"dialer__requests_per_minute": 100_000}
ENDPOINTS = {endpoint.name: endpoint for endpoint in VENDOR.endpoints}


@pytest.fixture
def fake() -> Iterator[DialerFake]:
    with DialerFake() as running:
        running.now = lambda: NOW - timedelta(hours=1)
        yield running


@pytest.fixture
def home(house: MakeHouse, fake: DialerFake) -> House:
    return house(fake, **FAST)


class Reader:
    """Nights without a warehouse: what the endpoints give, and what they would remember."""

    def __init__(self, fake: DialerFake, **settings: Any) -> None:
        fixed: Row = {"ca_bundle": "", "page_size": 20, "max_in_flight": 1, "lookback_days": 3}
        fixed["requests_per_minute"] = 100_000
        self.settings = fixed | fake.settings() | settings
        self.states: dict[str, Any] = {}
        self.last = NOW

    @property
    def api(self) -> Api:
        return VENDOR.connect(self.settings, Meter())

    def night(self, now: datetime = NOW, accept: str = "") -> dict[str, Slice]:
        """The slices of campaigns, leads and queues by endpoint and label."""
        states = json.loads(json.dumps(self.states))
        night = Night(now, self.settings, states, accept_shrink=frozenset({accept} - {""}))
        slices, api = {}, self.api
        for endpoint in VENDOR.endpoints:
            if isinstance(endpoint, Listed):
                for piece in endpoint.read(api, night):
                    self.states.setdefault(endpoint.name, {}).update(piece.state)
                    slices[f"{endpoint.name} {piece.label}"] = piece
        return slices

    def calls(self, start: datetime = NOW - DAY, end: datetime = NOW) -> list[Row]:
        endpoint = ENDPOINTS["lead_history"]
        assert isinstance(endpoint, Windowed)
        night = Night(end, self.settings, {})
        found = endpoint.read(self.api, night, Window(start, end))
        assert isinstance(found, Read)
        return found.rows[endpoint.tables[0]]

    def findings(self) -> list[Finding]:
        return list(VENDOR.probe(self.api, Night(NOW, self.settings, {})))


def table(name: str) -> Any:
    return next(t for t in VENDOR.tables if t.name == name)


def rows_of(piece: Slice, name: str) -> list[Row]:
    return list(piece.rows[table(name)])


# --- campaigns and counts ------------------------------------------------------------------------


def test_a_status_printed_twice_is_two_rows(home: House, fake: DialerFake) -> None:
    fake.campaigns = json.loads(SAMPLES["status"])
    for campaign, pairs in zip(
        fake.campaigns.values(),
        (
            [("new", 4), ("success", 10), ("failed", 5), ("success", 25)],
            [("new", 8), ("success", 15), ("failed", 5), ("success", 26)],
        ),
        strict=True,
    ):
        campaign["leads_by_status"] = pairs
    fake.fixed_counts = set(fake.campaigns)
    assert home.run(now=NOW) == 0, home.error("dialer")
    assert home.sql(
        "select campaign_id, status, occurrence, leads from dialer.campaign_lead_counts "
        "where observed_at = ? order by campaign_id, status, occurrence",
        [NOW],
    ) == [
        ("campaing_id_1", "failed", 0, 5),
        ("campaing_id_1", "new", 0, 4),
        ("campaing_id_1", "success", 0, 10),
        ("campaing_id_1", "success", 1, 25),
        ("campaing_id_n", "failed", 0, 5),
        ("campaing_id_n", "new", 0, 8),
        ("campaing_id_n", "success", 0, 15),
        ("campaing_id_n", "success", 1, 26),
    ]
    assert home.sql("select * exclude (_dlt_load_id) from dialer.campaigns order by id") == [
        ("campaing_id_1", "campaign_1", "stopped", 44, None, None),
        ("campaing_id_n", "campaign_n", "stopped", 53, None, None),
    ]
    warning = home.board.vendors["dialer"].warnings[0]
    assert "do not add up to total_leads: 1 campaigns, such as campaing_id_n (54 of 53)" in warning


def test_a_campaign_that_goes_is_marked_once_and_unmarked_when_it_is_back(
    home: House, fake: DialerFake
) -> None:
    gone, _ = fake.add_campaign("Gone", leads=3), fake.add_campaign("Stays", leads=2)
    fake.queues.append(SAMPLES["queues"][0])
    marks = "select name, deleted_at, _dlt_load_id from dialer.campaigns order by name"
    leads = (
        "select count(*), count(*) filter (_dlt_valid_to is null) from dialer.leads "
        "where campaign_id = ?"
    )
    home.run(now=NOW)
    fake.remove_campaign(gone)
    home.run(now=NOW + DAY)
    marked = home.sql(marks)
    assert [(name, at and at.astimezone(UTC)) for name, at, _ in marked] == [
        ("Gone", NOW + DAY),
        ("Stays", None),
    ]
    assert home.sql(leads, [gone]) == [(3, 0)]
    home.run(now=NOW + 2 * DAY)
    assert home.sql(marks) == marked
    fake.restore_campaign(gone)
    assert home.run(now=NOW + 3 * DAY) == 0
    assert [row[:2] for row in home.sql(marks)] == [("Gone", None), ("Stays", None)]
    assert home.sql(leads, [gone]) == [(6, 3)]
    assert_holds(home, fake)
    for name, rows in {"campaign_lead_counts": [2, 1, 1, 2], "queues": [1] * 4}.items():
        observed = home.sql(
            f"select observed_at, count(*) from dialer.{name} group by 1 order by 1"
        )
        days = [NOW + day * DAY for day in range(4)]
        assert [(at.astimezone(UTC), n) for at, n in observed] == list(zip(days, rows, strict=True))


NAMES = (
    "select name, [[e->>'name', e->>'until'] for e in earlier_names::json[]] "
    "from dialer.campaigns where id = ?"
)


def test_the_names_that_a_campaign_bore_are_kept(house: MakeHouse, fake: DialerFake) -> None:
    home = house(fake, **FAST, dialer__put_aside=True)
    key = fake.add_campaign("Autumn")
    fake.add_campaign("Other")
    nights = (NOW + n * DAY for n in itertools.count())

    def night(name: Any) -> list[tuple[Any, ...]]:
        fake.campaigns[key]["name"] = name
        assert home.run(now=next(nights)) == 0, home.error("dialer")
        return home.sql(NAMES, [key])

    until = [f"2026-11-{day:02}T03:00:00+00:00" for day in range(2, 20)]
    assert night("Autumn") == [("Autumn", None)]
    autumn = ["Autumn", until[1]]
    assert night("Winter") == night("Winter") == [("Winter", [autumn])]
    assert night(7) == [("Winter", [autumn])]  # put aside: no name
    assert night(None) == [(None, [autumn])]
    assert night("Winter") == [("Winter", [autumn])]
    fake.remove_campaign(key)
    home.run(now=next(nights))
    assert home.sql(NAMES, [key]) == [("Winter", [autumn])]
    home.run(now=next(nights))
    fake.restore_campaign(key)
    assert night("Autumn") == [("Autumn", [autumn, ["Winter", until[8]]])]
    assert home.sql("select count(*) from dialer.campaigns where earlier_names is null") == [(1,)]


def test_a_warehouse_made_before_names_were_kept_learns_of_a_new_name(
    house: MakeHouse, fake: DialerFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, campaigns = house(fake, **FAST), table("campaigns")
    key = fake.add_campaign("Autumn")
    fields = {k: v for k, v in campaigns.fields.items() if k != "earlier_names"}
    with monkeypatch.context() as before:
        before.setattr("sources.dialer._names", lambda *_: {})
        before.setattr("sources.dialer._campaign", _without_names)
        before.setitem(campaigns.__dict__, "fields", fields)
        assert home.run(now=NOW) == 0, home.error("dialer")
    columns = "select column_name from duckdb_columns() where table_name = 'campaigns'"
    assert ("earlier_names",) not in home.sql(f"{columns} and schema_name = 'dialer'")
    fake.campaigns[key]["name"] = "Winter"
    assert home.run(now=NOW + DAY) == 0, home.error("dialer")
    assert home.sql(NAMES, [key]) == [("Winter", [["Autumn", "2026-11-03T03:00:00+00:00"]])]


def _without_names(row: Row, _names: Any, deleted_at: datetime | None) -> Row:
    return row | {"deleted_at": deleted_at}


SPOILT: list[Row] = [{"name": 5}, {"name": 10**25}, {"name": "\ud800"}, {"fooBar": 1, "foo_bar": 2}]


@pytest.mark.parametrize("change", SPOILT, ids=ascii)
def test_a_campaign_that_was_put_aside_before_it_went_is_marked(
    house: MakeHouse, fake: DialerFake, change: Row
) -> None:
    home = house(fake, **FAST, dialer__put_aside=True)
    gone, stays = fake.add_campaign("Gone", leads=3), fake.add_campaign("Stays", leads=2)
    never = fake.add_campaign("Never sound")
    fake.campaigns[never] |= change
    assert home.run(now=NOW) == 0, home.error("dialer")
    fake.campaigns[gone] |= change | {"status": "stopped"}
    for night in (1, 2):
        assert home.run(now=NOW + night * DAY) == 0, home.error("dialer")
    aside = "select key->>'id' from ops.rejected where \"table\" = 'campaigns' order by 1"
    assert home.sql(aside) == sorted([(gone,), (never,)])
    fake.remove_campaign(gone)
    fake.remove_campaign(never)
    for night in (3, 4):
        assert home.run(now=NOW + night * DAY) == 0, home.error("dialer")
    assert home.sql(
        "select id, name, status, total_leads, deleted_at from dialer.campaigns order by name"
    ) == [
        (gone, "Gone", "running", 3, NOW + 3 * DAY),
        (stays, "Stays", "running", 2, None),
    ]
    assert home.sql(aside) == [(never,)]


def test_a_campaign_with_what_no_state_holds_is_marked_when_it_goes(
    home: House, fake: DialerFake
) -> None:
    gone, _ = fake.add_campaign("Gone"), fake.add_campaign("Stays")
    fake.campaigns[gone]["budget"] = 2**70
    assert home.run(now=NOW) == 0, home.error("dialer")
    assert home.sql("select budget from dialer.campaigns order by name") == [(str(2**70),), (None,)]
    fake.remove_campaign(gone)
    assert home.run(now=NOW + DAY) == 0, home.error("dialer")
    marks = home.sql("select name, deleted_at from dialer.campaigns order by name")
    assert marks == [("Gone", NOW + DAY), ("Stays", None)]


def test_a_campaign_list_that_shrank_is_held_back(fake: DialerFake) -> None:
    keys = [fake.add_campaign(f"C{n}", leads=1) for n in range(20)]
    reader = Reader(fake)
    reader.night()
    for key in keys[5:]:
        fake.remove_campaign(key)
    for day in (1, 2):
        slices = reader.night(NOW + day * DAY)
        held = slices.pop("lead_status held")
        assert held.rows == {}
        assert "campaigns: 5 where 20 were; held back" in held.held[0]
        assert set(slices) == {f"leads {key}" for key in keys[:5]} | {"queue_status all"}
    believed = reader.night(NOW + 3 * DAY)
    campaigns = rows_of(believed["lead_status all"], "campaigns")
    assert {row["id"] for row in campaigns if row["deleted_at"]} == set(keys[5:])
    assert all(believed[f"leads {key}"].scope == (key,) for key in keys)


def test_a_shorter_campaign_list_is_taken_when_somebody_says_so(fake: DialerFake) -> None:
    keys = [fake.add_campaign(f"C{n}") for n in range(20)]
    reader = Reader(fake)
    reader.night()
    for key in keys:
        fake.remove_campaign(key)
    believed = reader.night(NOW + DAY, accept="campaigns")
    assert len(rows_of(believed["lead_status all"], "campaigns")) == 20


# --- leads ---------------------------------------------------------------------------------------


def test_leads_that_shrank_are_held_until_accepted(home: House, fake: DialerFake) -> None:
    full, other = fake.add_campaign("Full", leads=30), fake.add_campaign("Other", leads=3)
    home.run(now=NOW)
    fake.empty_campaign(full)
    fake.empty_campaign(other)
    current = (
        "select campaign_id, count(*) from dialer.leads where _dlt_valid_to is null group by 1"
    )
    assert home.run(now=NOW + DAY) == 1
    assert home.board.vendors["dialer"].status == "held"
    assert f"--accept-shrink dialer:{full}" in home.board.vendors["dialer"].held[0]
    assert home.sql(current) == [(full, 30)]
    accepted = {"dialer": frozenset({full})}
    assert home.run(now=NOW + DAY, accept_shrink=accepted) == 0
    assert home.sql(current) == []


def test_no_leads_of_a_small_campaign_are_not_believed_against_the_vendors_own_total(
    home: House, fake: DialerFake
) -> None:
    key = fake.add_campaign("Small", leads=4)
    home.run(now=NOW)
    fake.rewrites = [("/leads$", lambda _body: {"data": None})]
    assert home.run(now=NOW + DAY) == 1
    assert f"--accept-shrink dialer:{key}" in home.board.vendors["dialer"].held[0]
    assert home.sql("select count(*) from dialer.leads where _dlt_valid_to is null") == [(4,)]
    fake.rewrites = []
    fake.empty_campaign(key)
    assert home.run(now=NOW + DAY) == 0
    assert home.sql("select count(*) from dialer.leads where _dlt_valid_to is null") == [(0,)]


def test_leads_that_move_out_of_a_campaign_that_is_held_are_open_once(
    home: House, fake: DialerFake
) -> None:
    left, joined = fake.add_campaign("Left", leads=30), fake.add_campaign("Joined", leads=30)
    home.run(now=NOW)
    moved = fake.leads_of(left)[:20]
    for lead in moved:
        lead["campaign_id"] = joined
    fake.recount()
    spans = (
        "select campaign_id, _dlt_valid_from, _dlt_valid_to from dialer.leads "
        f"where id = '{moved[0]['id']}' order by 2"
    )
    for number in (1, 2):
        assert home.run(now=NOW + number * DAY) == 1
        first, second = home.sql(spans)
        assert (first[0], second[0]) == (left, joined)
        assert first[2] == second[1]
        assert second[2] is None
        open_ids = home.sql(
            "select count(*), count(distinct id) from dialer.leads where _dlt_valid_to is null"
        )
        assert open_ids == [(60, 60)]
    before = home.sql(spans)
    assert home.run(now=NOW + 2 * DAY, accept_shrink={"dialer": frozenset({left})}) == 0
    assert home.sql(spans) == before


LIVES = (
    "select id, list((campaign_id, _dlt_valid_from, _dlt_valid_to) order by _dlt_valid_from) "
    "from dialer.leads group by id having count(*) > 1 order by id"
)


def assert_they_meet(home: House, *lists: str, moved: set[str]) -> None:
    """Each of these leads stood in these campaigns, one after the other, and stands in the last."""
    lives = dict(home.sql(LIVES))
    assert lives.keys() == moved
    for life in lives.values():
        assert [campaign for campaign, _, _ in life] == list(lists)
        assert [ends for _, _, ends in life] == [*(begins for _, begins, _ in life[1:]), None]


@pytest.mark.parametrize("back", [False, True], ids=["to a later one", "to an earlier one"])
def test_a_lead_that_moves_between_campaigns_of_two_loads_is_never_away_nor_twice(
    home: House, fake: DialerFake, monkeypatch: pytest.MonkeyPatch, *, back: bool
) -> None:
    monkeypatch.setattr("pipelines.gather.ENOUGH_ROWS", 1)
    lists = [fake.add_campaign(name, leads=5) for name in ("First", "Middle", "Last")]
    home.run(now=NOW)
    came, went = (lists[0], lists[-1]) if back else (lists[-1], lists[0])
    moved = fake.leads_of(went)[:3]
    for lead in moved:
        lead["campaign_id"] = came
    fake.recount()
    assert home.run(now=NOW + DAY) == 0
    assert_they_meet(home, went, came, moved={str(lead["id"]) for lead in moved})


@pytest.mark.parametrize("back", [False, True], ids=["into it", "out of it"])
def test_a_lead_that_moves_while_a_campaign_fails_is_never_away_nor_twice(
    home: House, fake: DialerFake, *, back: bool
) -> None:
    lists = [fake.add_campaign(name, leads=5) for name in ("First", "Fails")]
    home.run(now=NOW)
    went, came = reversed(lists) if back else lists
    moved = fake.leads_of(went)[:3]
    for lead in moved:
        lead["campaign_id"] = came
    fake.recount()
    fake.faults.append(Fault("status", f"{lists[1]}/leads", times=5))
    assert home.run(now=NOW + DAY) == 1
    twice = (
        "select id from dialer.leads where _dlt_valid_to is null group by id having count(*) > 1"
    )
    assert home.sql(twice) == []
    assert home.run(now=NOW + 2 * DAY) == 0
    assert_they_meet(home, went, came, moved={str(lead["id"]) for lead in moved})


def test_a_gap_that_an_earlier_version_of_ours_left_is_closed(
    home: House, fake: DialerFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.gather.ENOUGH_ROWS", 1)
    went, came = (fake.add_campaign(name, leads=5) for name in ("First", "Last"))
    home.run(now=datetime.now(UTC))
    moved = fake.leads_of(went)[0]
    moved["campaign_id"] = came
    fake.recount()
    with monkeypatch.context() as before:
        before.setattr("pipelines.load.join_moved", lambda *_: None)
        home.run(now=datetime.now(UTC))
    life = dict(home.sql(LIVES))[str(moved["id"])]
    assert life[0][2] < life[1][1]
    home.run(now=datetime.now(UTC))
    assert_they_meet(home, went, came, moved={str(moved["id"])})


def test_a_lead_that_was_away_for_a_night_was_away(home: House, fake: DialerFake) -> None:
    key = fake.add_campaign("Only", leads=5)
    home.run(now=datetime.now(UTC))
    away = fake.leads.pop(str(fake.leads_of(key)[0]["id"]))
    fake.recount()
    home.run(now=datetime.now(UTC))
    fake.leads[away["id"]] = away | {"campaign_id": fake.add_campaign("Other")}
    fake.recount()
    for _ in range(2):
        home.run(now=datetime.now(UTC))
    (life,) = dict(home.sql(LIVES)).values()
    assert life[0][2] < life[1][1]


def test_a_campaign_that_is_accepted_and_not_there_is_told(home: House, fake: DialerFake) -> None:
    key = fake.add_campaign("A", leads=3)
    home.run(now=NOW, accept_shrink={"dialer": frozenset({key, "NOPE"})})
    told = home.board.vendors["dialer"].warnings
    assert "--accept-shrink dialer:NOPE: it has no such list" in told
    assert not any(f"dialer:{key}" in each for each in told)


def test_a_campaign_that_went_and_is_accepted_is_one_that_was_there(
    home: House, fake: DialerFake
) -> None:
    gone = fake.add_campaign("Gone", leads=25)
    fake.add_campaign("Stays", leads=3)
    home.run(now=NOW)
    del fake.campaigns[gone]
    assert home.run(now=NOW + DAY, accept_shrink={"dialer": frozenset({gone})}) == 0
    assert home.sql("select count(*) from dialer.leads where _dlt_valid_to is null") == [(3,)]
    assert not any("accept-shrink" in each for each in home.board.vendors["dialer"].warnings)


def test_leads_of_a_large_campaign_that_went_are_closed_on_the_third_day(fake: DialerFake) -> None:
    gone = fake.add_campaign("Gone", leads=25)
    reader = Reader(fake)
    reader.night()
    fake.remove_campaign(gone)
    for day in (1, 2):
        piece = reader.night(NOW + day * DAY)[f"leads {gone}"]
        assert (piece.rows, piece.scope, len(piece.held)) == ({}, (), 1)
    piece = reader.night(NOW + 3 * DAY)[f"leads {gone}"]
    assert (rows_of(piece, "leads"), piece.scope, piece.held) == ([], (gone,), ())
    assert f"leads {gone}" not in reader.night(NOW + 4 * DAY)


def test_a_campaign_that_goes_while_it_is_read_closes_nothing(fake: DialerFake) -> None:
    gone, stays = fake.add_campaign("Gone", leads=3), fake.add_campaign("Stays", leads=2)

    def remove_after(body: Any) -> Any:
        if gone in fake.campaigns:
            fake.remove_campaign(gone)
        return body

    fake.rewrites.append((STATUS, remove_after))
    slices = Reader(fake).night()
    piece = slices[f"leads {gone}"]
    assert (piece.rows, piece.scope) == ({}, ())
    assert "went meanwhile" in piece.warnings[0]
    assert len(rows_of(slices[f"leads {stays}"], "leads")) == 2


def test_a_campaign_that_is_listed_and_refused_is_an_error(fake: DialerFake) -> None:
    fake.add_campaign("A", leads=3)
    fake.max_page_size, fake.page_size_over_max = 10, "error"
    with pytest.raises(VendorError, match=r"leads: HTTP 400 \(The information sent is invalid"):
        Reader(fake).night()


def test_one_campaign_that_is_listed_and_refused_stays_as_it_was_and_stops_no_other(
    house: MakeHouse,
) -> None:
    class Strict(DialerFake):
        refused = ""

        def answer(self, ask: Ask) -> Answer:
            if self.refused and ask.path.endswith(f"/{self.refused}/leads"):
                return Answer({"message": "Not found."}, 404)
            return super().answer(ask)

    with Strict() as fake:
        fake.seed(40)
        bad, good = fake.add_campaign("Bad", leads=3), fake.add_campaign("Good", leads=3)
        home = house(fake, **FAST)
        assert home.run() == 0
        fake.refused = bad
        fake.add_lead(bad)
        fake.add_lead(good)
        fake.recount()
        fake.add_call()
        assert home.run() == 1
        (held,) = home.board.vendors["dialer"].held
        assert f"leads of campaign {bad}" in held
        assert "404" in held
        counts = (
            "select campaign_id, count(*) from dialer.leads where _dlt_valid_to is null "
            f"and campaign_id in ('{bad}', '{good}') group by 1 order by count(*)"
        )
        assert home.sql(counts) == [(bad, 3), (good, 4)]
        assert_table(home, "dialer", "lead_history", fake.expected()["lead_history"])


def test_a_page_key_whose_lead_was_deleted_may_be_refused_once(fake: DialerFake) -> None:
    class Strict(DialerFake):
        def answer(self, ask: Ask) -> Answer:
            key = ask.query.get("next_start_key")
            if key and key not in self.leads:
                return Answer({"message": "The information sent is invalid."}, 400)
            return super().answer(ask)

    with Strict() as strict:
        strict.now = fake.now
        key = strict.add_campaign("A", leads=9)
        strict.shift_kind = "start_key"
        strict.shift_once()
        piece = Reader(strict, page_size=4).night()[f"leads {key}"]
        assert len(rows_of(piece, "leads")) == len(strict.leads) == 8


def test_leads_that_move_while_they_are_read_are_each_there_once(fake: DialerFake) -> None:
    key = fake.add_campaign("A", leads=10)
    fake.shift_once()
    piece = Reader(fake, page_size=4).night()[f"leads {key}"]
    assert "reports a total of 10, its pages hold 12" in piece.warnings[0]
    found = sorted(row["id"] for row in rows_of(piece, "leads"))
    assert found == [row["id"] for row in fake.leads_of(key)]


def test_a_lead_belongs_to_the_first_campaign_that_shows_it(fake: DialerFake) -> None:
    first, second = fake.add_campaign("A", leads=2), fake.add_campaign("B", leads=2)
    shared, nameless = fake.leads_of(first)

    def both(body: Any) -> Any:
        for row in body["data"]:
            if row["id"] == nameless["id"]:
                del row["campaign_id"]
        body["data"] += [shared] if body["data"][0]["campaign_id"] == second else []
        return body

    fake.rewrites.append(("/leads$", both))
    slices = Reader(fake).night()
    found = {key: rows_of(slices[f"leads {key}"], "leads") for key in (first, second)}
    assert [row["campaign_id"] for row in found[first]] == [first, first]
    assert [row["id"] for row in found[second]] == [row["id"] for row in fake.leads_of(second)]
    assert len(slices[f"leads {second}"].warnings) == 3  # the total, the name, the other campaign


def test_a_queue_without_agents_is_an_error(house: MakeHouse, fake: DialerFake) -> None:
    fake.rewrites.append(("/queues/", lambda _: [{"id": "a"}]))
    home = house(fake)
    assert home.run() == 1
    assert "queue_status all" in home.error("dialer")
    assert "a queue has no 'agents' that is a list (id 'a'" in home.error("dialer")


def test_null_is_an_empty_list_and_a_missing_list_an_error(fake: DialerFake) -> None:
    key = fake.add_campaign("A")
    fake.queues.append(SAMPLES["queues"][0] | {"agents": None})
    fake.rewrites.append(("/leads$", lambda _: {"data": None}))
    fake.rewrites.append((STATUS, lambda body: body.replace("{}", "null")))
    slices = Reader(fake).night()
    assert rows_of(slices[f"leads {key}"], "leads") == []
    assert rows_of(slices["lead_status all"], "campaign_lead_counts") == []
    assert rows_of(slices["queue_status all"], "queues__agents") == []
    for path, broken in {
        STATUS: lambda body: body.replace("leads_by_status", "by_status"),
        "/leads$": lambda _: {"rows": []},
    }.items():
        fake.rewrites = [(path, broken)]
        with pytest.raises(VendorError, match=r"has no '(leads_by_status|data)'"):
            Reader(fake).night()


def test_a_renamed_page_key_is_an_error_and_no_end(fake: DialerFake) -> None:
    fake.add_campaign("A", leads=5)

    def rename(body: Any) -> Any:
        return {("nextStartKey" if k == "next_start_key" else k): v for k, v in body.items()}

    fake.rewrites.append(("/leads$", rename))
    with pytest.raises(VendorError, match="no 'next_start_key' but nextStartKey"):
        Reader(fake, page_size=2).night()


# --- history -------------------------------------------------------------------------------------


def test_a_call_without_an_id_is_known_by_the_hash_that_the_contract_names() -> None:
    call = SAMPLES["history"][0] | {"campaign_name": "Rückruf"}
    text = r'[1666222318, "R\u00fcckruf", "+12195011918", "1071"]'
    key = hashlib.sha256(text.encode()).hexdigest()
    assert call_key(call) == key
    assert call_key(call | {"timestamp": 1666222318999, "agent_extension": 1071}) == key
    assert call_key(call | {"call_id": ""}) == key
    assert call_key(call | {"call_id": "c-1"}) == "c-1"


def test_different_calls_with_equal_keys_are_numbered_and_equal_ones_are_one(
    fake: DialerFake,
) -> None:
    fake.rich = False
    call = fake.add_call(lead_number="+15550100", lead_name="A")
    fake.history.append(call | {"_id": "2", "lead_name": "B"})
    fake.history.append(call | {"_id": "3"})
    for size in (1, 2, 20):
        rows = Reader(fake, page_size=size).calls()
        key = call_key(call | {"call_id": None})
        assert {(r["call_key"], r["lead_name"]) for r in rows} == {(key, "A"), (f"{key}#2", "B")}
        assert len(rows) == 2


def test_a_call_that_changes_between_two_readings_is_one_row(fake: DialerFake) -> None:
    fake.rich = False
    for n in range(6):
        fake.add_call(lead_name=f"before {n}")
    changed: list[int] = []

    def change_after_first(body: Any) -> Any:
        if not changed:
            changed.append(1)
            for row in fake.history:
                row["lead_name"] = row["lead_name"].replace("before", "after")
        return body

    fake.rewrites.append((HISTORY, change_after_first))
    fake.shift_once()
    rows = Reader(fake, page_size=4).calls()
    assert len(rows) == len({row["call_key"] for row in rows}) == len(fake.history) == 7
    assert not [row for row in rows if row["lead_name"].startswith("before")]


def test_the_newest_of_equal_call_ids_wins_and_agent_history_is_parsed(fake: DialerFake) -> None:
    fake.add_call(call_id="same", timestamp=SECOND - 500, follow_up_notes="old")
    fake.add_call(call_id="same", timestamp=SECOND - 900, agent_history='[{"event": "dial"}]')
    (row,) = Reader(fake, page_size=1).calls()
    assert (row["call_key"], row["timestamp"]) == ("same", SECOND - 900)
    assert row["agent_history"] == [{"event": "dial"}]


def test_both_bounds_always_go_out_in_whole_seconds(fake: DialerFake) -> None:
    on_the_edges = [fake.add_call(timestamp=SECOND - 86_400), fake.add_call(timestamp=SECOND)]
    assert len(Reader(fake).calls()) == len(on_the_edges)
    (ask,) = fake.asked(HISTORY)
    assert ask.query == {
        "startDate": str(SECOND - 86_400),
        "endDate": str(SECOND + 1),
        "pageSize": "20",
    }
    assert ask.headers["x-account-id"] == fake.account_id


def test_calls_far_from_the_window_are_an_error_about_units(fake: DialerFake) -> None:
    fake.add_call(timestamp=SECOND - 900)

    def shift(body: Any) -> Any:
        for row in body["data"]:
            row["timestamp"] -= 30 * 86_400
        return body

    fake.rewrites.append((HISTORY, shift))
    with pytest.raises(VendorError, match="counts in another unit"):
        Reader(fake).calls()


@pytest.mark.parametrize("cap", [12, 30, 37, 50, 100, None])
def test_a_bare_array_that_may_be_cut_is_read_in_parts(fake: DialerFake, cap: int | None) -> None:
    fake.history_shape, fake.history_cap = "array", cap
    fake.rich = cap != 37
    fake.seed(100)
    for _ in range(90):
        fake.add_call(timestamp=SECOND - 7200 - len(fake.history) % 45)
    rows = Reader(fake, page_size=60).calls(NOW - 90 * DAY, NOW)
    assert len({row["call_key"] for row in rows}) == len(fake.history) == 190


def test_a_second_with_more_calls_than_an_array_holds_is_an_error(fake: DialerFake) -> None:
    fake.history_shape, fake.history_cap = "array", 50
    for _ in range(51):
        fake.add_call(timestamp=SECOND - 7200)
    with pytest.raises(VendorError, match="50 rows in one second"):
        Reader(fake, page_size=1000).calls()


def test_a_quiet_history_in_an_array_takes_one_request(fake: DialerFake) -> None:
    fake.history_shape = "array"
    for _ in range(9):
        fake.add_call()
    assert len(Reader(fake).calls()) == 9
    assert len(fake.asked(HISTORY)) == 1


def test_a_reply_that_is_an_object_without_data_is_an_error(fake: DialerFake) -> None:
    fake.rewrites.append((HISTORY, lambda body: {"rows": body["data"]}))
    with pytest.raises(VendorError, match="the reply has no 'data'"):
        Reader(fake).calls()


# --- the vendor's moods --------------------------------------------------------------------------

MOODS: dict[str, Row] = {
    "array, poor, ms, oldest": {
        "history_shape": "array",
        "history_cap": 30,
        "late_days": 1.0,
        "rich": False,
        "history_unit": "ms",
        "history_order": "oldest",
        "split_status": None,
    },
    "pages, poor, null at the end, clamped": {
        "rich": False,
        "end_of_keys": "null",
        "token_key": "accessToken",
        "max_page_size": 7,
        "unknown_params": "ignore",
    },
    "pages, ms, empty at the end, strict": {
        "history_unit": "ms",
        "end_of_keys": "empty",
        "history_order": "oldest",
        "opaque_token": True,
        "token_seconds": 0.5,
        "max_page_size": 20,
        "page_size_over_max": "error",
        "split_status": "new",
    },
}


@pytest.mark.parametrize("mood", MOODS)
def test_each_table_is_right_in_every_mood_of_the_vendor(
    home: House, fake: DialerFake, mood: str
) -> None:
    fake.now = lambda: datetime.now(UTC)  # a short-lived token ends by the real clock
    for name, value in MOODS[mood].items():
        setattr(fake, name, value)
    fake.seed(60)
    home.settings["dialer__page_size"] = 20
    for _ in range(2):
        assert home.run() == 0, home.error("dialer")
        assert_holds(home, fake)
        fake.change()


def test_times_of_unstated_units_become_text_and_json(home: House, fake: DialerFake) -> None:
    fake.add_call(hangup_time=SECOND - 5, campaign_timestamps={"start": 1}, answered_time=1.5)
    assert home.run(now=NOW) == 0, home.error("dialer")
    found = "select hangup_time, answered_time, campaign_timestamps::varchar"
    assert home.sql(f"{found} from dialer.lead_history") == [
        (f"{SECOND - 5}", "1.5", '{"start":1}')
    ]
    assert_table(home, "dialer", "lead_history", fake.expected()["lead_history"])


# --- login and certificate -----------------------------------------------------------------------


def test_a_wrong_login_names_what_to_correct(fake: DialerFake) -> None:
    with pytest.raises(VendorError, match=r"username and password .* and domain") as refused:
        Reader(fake, password="wrong-and-secret").night()
    assert "the login is refused" in str(refused.value)
    assert "wrong-and-secret" not in str(refused.value)
    assert [ask.path for ask in fake.asked()] == [LOGIN]


def test_a_wrong_account_names_the_account(fake: DialerFake) -> None:
    with pytest.raises(VendorError, match=r"check \[sources.dialer\] account_id"):
        Reader(fake, account_id="tenant-name").night()


def test_a_token_ends_when_its_claim_says_but_not_within_a_minute() -> None:
    now = time.time()
    tokens = {lives: jwt.encode({"exp": now + lives}, "k" * 32) for lives in (3600, 5, -5)}
    for lives, token in tokens.items():
        read, ends = _token({"access_token": token, "refresh_token": "x"})
        assert ends is not None
        assert (read, round(ends - now)) == (token, max(lives, 60))
    for unknown in ("opaque", jwt.encode({}, "k" * 32), jwt.encode({"sub": "a"}, "k" * 32)):
        assert _token({"accessToken": unknown}) == (unknown, None)


def test_a_login_that_is_refused_midway_is_renewed_once(fake: DialerFake) -> None:
    key = fake.add_campaign("A", leads=6)
    reader = Reader(fake, page_size=2)

    def expire(body: Any) -> Any:
        if len(fake.asked(LOGIN)) == 1:
            fake.expire_logins()
        return body

    fake.rewrites.append(("/leads$", expire))
    assert len(rows_of(reader.night()[f"leads {key}"], "leads")) == 6
    assert len(fake.asked(LOGIN)) == 2


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, Path]:
    """A private authority's PEM, and a certificate with its key that it signed for the fake."""
    ca = trustme.CA()
    paths = tmp_path / "authority.pem", tmp_path / "server.pem"
    ca.cert_pem.write_to_path(str(paths[0]))
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(paths[1]))
    return paths


def test_a_private_authority_is_trusted_once_it_is_configured(
    house: MakeHouse, authority: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, server = authority
    other = bundle.with_name("other.pem")
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    with DialerFake(certificate=server) as fake:
        fake.add_campaign("A", leads=3)
        for wrong in ("", str(other)):
            with pytest.raises(VendorError, match=r"set \[sources.dialer\] ca_bundle"):
                Reader(fake, ca_bundle=wrong).night()
        with pytest.raises(VendorError, match="ca_bundle names a file that is not there"):
            Reader(fake, ca_bundle=str(bundle.with_name("absent.pem"))).night()
        assert fake.seen == []
        fake.ca_bundle = bundle
        home = house(fake, **FAST)
        assert home.run() == 0, home.error("dialer")
        assert_holds(home, fake)


# --- what may leave, and the check ---------------------------------------------------------------

WRITES = (
    ("PUT", "/api/v2/config/campaigns/c1/lead"),
    ("POST", "/api/v2/config/campaigns/c1/leads"),
    ("POST", "/api/v2/config/campaigns/leads/l1/status/new"),
    ("DELETE", "/api/v2/config/campaigns/leads/l1"),
    ("DELETE", "/api/v2/config/campaigns/c1/leads"),
    ("PUT", "/api/v2/config/campaigns/call/c1/disposition/voicemail"),
    ("GET", "/api/v2/config/campaigns/c1/x/leads"),
    ("GET", "/api/v2/config/campaigns/c1%2Fx/leads"),
    ("GET", "/api/v2/reports/cdrs"),
)


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_write_is_refused_before_anything_is_sent(
    fake: DialerFake, method: str, path: str
) -> None:
    api = Reader(fake).api
    with suppress(VendorError):
        api.get(STATUS)  # logged in, so that only the gate is between
    before = len(fake.seen)
    with pytest.raises(VendorError, match="no documented read"):
        api.ask(method, fake.url + path, json={})
    assert (len(fake.seen), fake.writes) == (before, [])


def test_the_check_reads_a_little_of_everything(
    house: MakeHouse, fake: DialerFake, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.now = lambda: datetime.now(UTC)
    fake.seed(40)
    home = house(fake, **FAST)
    assert print_check(home.config, ["dialer"], datetime.now(UTC)) == 0
    told = capsys.readouterr().out
    assert "lead_status: 4 campaigns" in told
    assert "calls in pages, with a call_id" in told
    assert "failure" not in told


def test_the_check_tells_of_an_empty_vendor_and_of_totals_that_do_not_add_up(
    fake: DialerFake,
) -> None:
    levels = [(f.level, f.text.split(":")[0]) for f in Reader(fake).findings()]
    assert levels == [
        ("warning", "lead_status"),
        ("ok", "queue_status"),
        ("warning", "lead_history"),
    ]
    key = fake.add_campaign("A", leads=2)
    fake.fixed_counts = {key}
    fake.campaigns[key]["total_leads"] = 3
    assert "do not add up" in Reader(fake).findings()[1].text


def test_the_check_fails_where_the_vendor_takes_milliseconds(fake: DialerFake) -> None:
    class Milliseconds(DialerFake):
        def answer(self, ask: Ask) -> Answer:
            names = ask.query.keys() & {"startDate", "endDate"}
            bounds = {name: str(int(ask.query[name]) // 1000) for name in names}
            return super().answer(replace(ask, query=ask.query | bounds))

    with Milliseconds() as other:
        other.now = fake.now
        other.add_call()
        finding = Reader(other).findings()[-1]
    assert (finding.level, finding.text[-15:]) == ("failure", "in milliseconds")


def test_a_call_that_changes_with_every_page_is_one_call(
    house: MakeHouse, fake: DialerFake
) -> None:
    """The key of the next page gives one row of this page again, its notes newer each time."""
    calls = [
        SAMPLES["history"][0] | {"timestamp": SECOND, "lead_number": f"+1555010{n:04}"}
        for n in range(12)
    ]
    notes = itertools.count()
    own = fake.answer

    def overlapping(ask: Ask) -> Answer:
        if ask.path != HISTORY:
            return own(ask)
        start = int(ask.query.get("startKey", 0))
        rows = [
            call | {"follow_up_notes": f"note {next(notes)}"} for call in calls[start : start + 4]
        ]
        more = {"next_start_key": str(start + 3)} if start + 4 < len(calls) else {}
        return Answer({"data": rows, **more})

    fake.answer = overlapping  # type: ignore[method-assign]
    home = house(fake, dialer__start_date=f"{NOW:%Y-%m-%d}")
    assert home.run(now=NOW + DAY / 2) == 0, home.error("dialer")
    assert home.sql("select count(*), count(distinct lead_number) from dialer.lead_history") == [
        (12, 12)
    ]


def test_null_is_a_list_without_rows(home: House, fake: DialerFake) -> None:
    fake.add_campaign("Only", leads=3)
    fake.rewrites = [("queues/status$", lambda _: None), (f"{HISTORY}$", lambda _: None)]
    assert home.run(now=NOW) == 0, home.error("dialer")
    counts = "select count(*) from dialer."
    assert [home.sql(counts + name) for name in ("queues", "lead_history", "leads")] == [
        [(0,)],
        [(0,)],
        [(3,)],
    ]
