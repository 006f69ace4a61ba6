"""What every vendor must do, whatever its API is like."""

import itertools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines import catalog
from tests.cases import CASES, Case, on_rows
from tests.fakes._server import Ask, Fake, Fault, Row
from tests.house import House, assert_holds, assert_table

MakeHouse = Callable[..., House]


@pytest.fixture(params=catalog.NAMES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def fake(case: Case) -> Iterator[Fake]:
    with case.fake() as running:
        running.seed(120)
        yield running


@pytest.fixture
def neighbour(case: Case) -> Iterator[Fake]:
    """Another vendor, to see that it is not disturbed."""
    other = CASES["avaamo" if case is not CASES["avaamo"] else "vonage"]
    with other.fake() as running:
        running.seed(30)
        yield running


def load_ids(home: House, vendor: str, table: str) -> set[str]:
    return {i for (i,) in home.sql(f'select distinct _dlt_load_id from "{vendor}"."{table}"')}


# --- content -------------------------------------------------------------------------------------


def test_a_first_load_holds_what_the_vendor_holds(house: MakeHouse, fake: Fake) -> None:
    home = house(fake)
    assert home.run() == 0, home.error(fake.vendor)
    assert_holds(home, fake)


def test_a_second_run_changes_no_row_and_asks_less(house: MakeHouse, fake: Fake) -> None:
    home = house(fake)
    with fake.counting() as first:
        home.run()
    tables = [t for t in catalog.vendor(fake.vendor).tables if t.kept != "history"]
    tables = [t for t in tables if "observed_at" not in t.fields and "observed_on" not in t.fields]
    before = {t.name: load_ids(home, fake.vendor, t.name) for t in tables}
    with fake.counting() as second:
        assert home.run() == 0
    assert_holds(home, fake)
    assert {t.name: load_ids(home, fake.vendor, t.name) for t in tables} == before
    assert len(second) <= len(first)


def test_changed_late_and_new_rows_arrive_once(house: MakeHouse, fake: Fake) -> None:
    home = house(fake)
    home.run()
    for _ in range(3):
        fake.change()
        assert home.run() == 0, home.error(fake.vendor)
        assert_holds(home, fake)


@pytest.mark.parametrize("page_size", [1, 2, 7])
def test_any_page_size_gives_each_row_once(house: MakeHouse, case: Case, page_size: int) -> None:
    with case.fake() as fake:
        fake.seed(25)
        home = house(fake, **{f"{fake.vendor}__page_size": page_size})
        assert home.run() == 0, home.error(fake.vendor)
        assert_holds(home, fake)


@pytest.mark.parametrize("in_flight", [1, 4])
def test_rows_that_move_between_pages_are_neither_lost_nor_doubled(
    house: MakeHouse, fake: Fake, in_flight: int
) -> None:
    sizes = {f"{fake.vendor}__page_size": 20, f"{fake.vendor}__max_in_flight": in_flight}
    home = house(fake, **sizes)
    fake.latency = 0.005
    fake.shift_once()
    assert home.run() == 0, home.error(fake.vendor)
    assert_holds(home, fake)
    fake.change()
    assert home.run() == 0, home.error(fake.vendor)
    assert_holds(home, fake)
    assert fake.busiest <= in_flight


@pytest.mark.parametrize("name", ["vonage", "avaamo"])
def test_windows_are_read_side_by_side_within_what_the_vendor_permits(
    house: MakeHouse, name: str
) -> None:
    with CASES[name].fake() as fake:
        fake.seed(120)
        fake.latency = 0.02
        fake.faults.append(Fault("status", status=503, times=3, skip=5))
        home = house(fake, **{f"{name}__max_in_flight": 3})
        assert home.run() == 0, home.error(name)
        assert_holds(home, fake)
        assert fake.busiest == 3


@pytest.mark.parametrize("name", ["vonage", "avaamo"])
def test_a_vendor_that_takes_fewer_at_a_time_is_asked_by_fewer(house: MakeHouse, name: str) -> None:
    with CASES[name].fake() as fake:
        fake.seed(120)
        fake.latency, fake.at_once = 0.02, 1
        home = house(fake, **{f"{name}__max_in_flight": 16, f"{name}__page_size": 10})
        assert home.run() == 0, home.error(name)
        assert_holds(home, fake)
        refused = [status for _, status in fake.seen].count(503)
        assert 0 < refused < len(fake.seen) / 2


# --- faults that pass ----------------------------------------------------------------------------

PASSING = {
    "429 with Retry-After": Fault("status", status=429, headers={"Retry-After": "1"}, times=2),
    "429 without Retry-After": Fault("status", status=429, times=4),
    "503": Fault("status", status=503, times=3),
    "reset": Fault("reset", times=2),
    "cut": Fault("cut", times=2),
    "cut, and no length was told": Fault("cut unsized", times=2),
    "a byte order mark": Fault("mark", times=2),
    "html": Fault("html", times=2),
    "empty": Fault("empty", times=2),
}


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_passes_costs_nothing(
    house: MakeHouse, fake: Fake, case: Case, kind: str
) -> None:
    pattern = PASSING[kind]
    home = house(fake)
    fault = Fault(
        pattern.kind,
        path=case.path,
        times=pattern.times,
        skip=1,
        status=pattern.status,
        headers=pattern.headers,
    )
    fake.faults.append(fault)
    assert home.run() == 0, home.error(fake.vendor)
    assert fault.hits == pattern.times
    assert_holds(home, fake)


@pytest.mark.parametrize("name", ["vonage", "koreai", "dialer"])
def test_a_login_that_ends_mid_run_is_renewed(house: MakeHouse, name: str) -> None:
    with CASES[name].fake() as fake:
        fake.seed(120)
        check_renewal(house, fake, CASES[name])


def check_renewal(house: MakeHouse, fake: Fake, case: Case) -> None:
    expired: list[bool] = []

    def expire(body: Any) -> Any:
        if not expired:
            expired.append(True)
            fake.expire_logins()
        return body

    fake.rewrites.append((case.path, expire))
    home = house(fake, **{f"{fake.vendor}__page_size": 20})
    assert home.run() == 0, home.error(fake.vendor)
    assert expired
    assert_holds(home, fake)


# --- faults that last ----------------------------------------------------------------------------


def test_a_vendor_that_fails_stops_no_other_and_recovers(
    house: MakeHouse, fake: Fake, neighbour: Fake, case: Case
) -> None:
    home = house(fake, neighbour)
    fault = Fault("status", path=case.path, status=500, times=10_000)
    fake.faults.append(fault)
    assert home.run() == 1
    assert "HTTP 500" in home.error(fake.vendor)
    assert_holds(home, neighbour)
    statuses = dict(home.sql("select vendor, status from ops.runs"))
    assert statuses == {fake.vendor: "failed", neighbour.vendor: "ok"}
    fake.faults.clear()
    assert home.run() == 0, home.error(fake.vendor)
    assert_holds(home, fake)


def renamed_key(fake: Fake, case: Case) -> tuple[str, Callable[[Any], Any]]:
    def rename(body: Any) -> Any:
        holder = body["data"] if fake.vendor == "koreai" else body
        holder["renamed"] = holder.pop(fake.data_key)
        return body

    return case.path, rename


def flipped(field: str, value: Any) -> Callable[[Row], None]:
    def flip(row: Row) -> None:
        row[field] = value

    return flip


def broken_replies(fake: Fake, case: Case) -> dict[str, Any]:
    broken: dict[str, Any] = {
        "a number becomes a text": on_rows(case, flipped(case.number, "abc")),
        "a number becomes an object": on_rows(case, flipped(case.number, {"a": 1})),
        "a text becomes a list": on_rows(case, flipped(case.text, ["a"])),
        "a text becomes an object": on_rows(case, flipped(case.text, {"a": "b"})),
        "a text becomes a number": on_rows(case, flipped(case.text, 12)),
        "rows are texts": (case.path, lambda body: _replaced_rows(case, body)),
        "the reply is a text": (case.path, lambda _body: "fine"),
    }
    if fake.data_key:
        broken["a renamed data key"] = renamed_key(fake, case)
    return broken


def _replaced_rows(case: Case, body: Any) -> Any:
    rows = case.rows(body)
    rows[:] = ["row" for _ in rows]  # type: ignore[misc]
    return body


def test_a_reply_of_another_shape_is_an_error_and_never_a_shorter_table(
    house: MakeHouse, fake: Fake, neighbour: Fake, case: Case
) -> None:
    home = house(fake, neighbour)
    home.run()
    count = f'select count(*) from "{fake.vendor}"."{case.table}"'
    before = home.sql(count)
    for what, rewrite in broken_replies(fake, case).items():
        fake.change()
        fake.rewrites = [rewrite]
        assert home.run() == 1, what
        assert home.error(fake.vendor), what
        assert home.board.vendors[neighbour.vendor].status == "ok"
        assert home.sql(count) >= before, what
    fake.rewrites = []
    assert home.run() == 0, home.error(fake.vendor)
    assert_holds(home, fake)


def test_a_redirect_to_another_host_is_refused_and_nothing_goes_there(
    house: MakeHouse, fake: Fake, neighbour: Fake, case: Case
) -> None:
    home = house(fake)
    where = f"{neighbour.url}/elsewhere"
    fake.faults.append(Fault("redirect", path=case.path, location=where, times=10_000))
    assert home.run() == 1
    assert "redirected" in home.error(fake.vendor)
    assert neighbour.seen == []


# --- the schema moves ----------------------------------------------------------------------------


def test_a_new_field_becomes_a_column(house: MakeHouse, fake: Fake, case: Case) -> None:
    home = house(fake)
    home.run()
    fake.change()

    def add(row: Row) -> None:
        row |= {"brandNewField": "a text", "brandNewObject": {"a": [1]}, "brandNewNumber": 5}

    fake.rewrites = [on_rows(case, add)]
    assert home.run() == 0, home.error(fake.vendor)
    assert_holds(home, fake)
    found = home.sql(
        "select distinct brand_new_field, brand_new_number, brand_new_object::varchar "
        f'from "{fake.vendor}"."{case.table}" where brand_new_field is not null'
    )
    # a history writes no version for a field that the documents do not name
    assert found in ([("a text", "5", '{"a":[1]}')], [])
    types = dict(
        home.sql(
            "select column_name, data_type from duckdb_columns() "
            "where schema_name = ? and table_name = ? and column_name like 'brand_new%'",
            [fake.vendor, case.table],
        )
    )
    assert types == {
        "brand_new_field": "VARCHAR",
        "brand_new_number": "VARCHAR",
        "brand_new_object": "JSON",
    }


NAMES_OF_OURS = ("position", "occurrence", "observed_at", "deleted_at", "call_key")
OF_DLT = ("_dlt_load_id", "row_version")


def test_a_new_field_with_a_name_of_ours_is_kept_beside_ours(house: MakeHouse, fake: Fake) -> None:
    tables = catalog.vendor(fake.vendor).tables
    kept_as_json = {
        field
        for table in tables
        for field, kind in table.fields.items()
        if kind in ("json", "list", "map")
    }

    def add(body: Any) -> Any:
        if isinstance(body, str):  # JSON with a name printed twice
            theirs = "".join(f'"{name}": "theirs", ' for name in ("deleted_at", *OF_DLT))
            return body.replace('"total_leads"', f'{theirs}"total_leads"')
        for name, inner in body.items() if isinstance(body, dict) else enumerate(body):
            if isinstance(inner, dict | list) and name not in kept_as_json:
                add(inner)
        if isinstance(body, dict) and len(body) > 2:  # a row, or what holds rows
            body |= dict.fromkeys((*NAMES_OF_OURS, *OF_DLT), "theirs")
        return body

    fake.rewrites = [(".", add)]
    home = house(fake)
    assert home.run() == 0, home.error(fake.vendor)
    assert_holds(home, fake)
    for table in tables:
        if table.name == "campaign_lead_counts":
            continue  # its rows are numbers, not objects of the vendor's
        for name in table.own.intersection(NAMES_OF_OURS):
            values = f'select distinct vendor_{name} from "{fake.vendor}"."{table.name}"'
            assert home.sql(values) == [("theirs",)], table.name
        of_dlt = ", ".join(f"vendor_{name}" for name in OF_DLT)
        values = f'select distinct {of_dlt} from "{fake.vendor}"."{table.name}"'
        assert home.sql(values) == [("theirs", "theirs")], table.name


# --- a clock that is wrong -----------------------------------------------------------------------


@pytest.mark.parametrize("days", [60, -60])
def test_a_clock_that_was_wrong_for_a_night_harms_no_later_one(
    house: MakeHouse, fake: Fake, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    home = house(fake)
    assert home.run() == 0, home.error(fake.vendor)
    wrong = datetime.now(UTC) + timedelta(days=days)
    with monkeypatch.context() as clock:
        clock.setattr("pipelines.load.time", SimpleNamespace(time=wrong.timestamp))
        at = itertools.count(wrong.timestamp())  # what dlt would name its loads by itself
        clock.setattr("dlt.extract.storage.create_load_id", lambda: str(next(at)))
        fake.change()
        home.run(now=wrong)
    for _ in range(2):
        fake.change()
        assert home.run() == 0, home.error(fake.vendor)
    assert any("a clock was ahead, or ours is behind" in text for text in home.said)
    for table in catalog.vendor(fake.vendor).tables:
        if not table.is_observation:
            assert_table(home, fake.vendor, table.name, fake.expected()[table.name])
        if table.kept == "history":
            key = ", ".join(table.key)
            disorder = (
                f"select * from (select *, lead(_dlt_valid_from) over (partition by {key} "
                f'order by _dlt_valid_from) as next_from from "{fake.vendor}"."{table.name}") '
                "where _dlt_valid_to <= _dlt_valid_from or _dlt_valid_to > next_from"
            )
            assert home.sql(disorder) == []


# --- nothing but reads ---------------------------------------------------------------------------


def test_nothing_is_written_to_a_vendor(house: MakeHouse, fake: Fake) -> None:
    home = house(fake)
    home.run()
    fake.change()
    home.run()
    assert getattr(fake, "writes", []) == []


# --- going on where it stopped -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vonage", "avaamo", "inwise", "dialer"])
def test_an_interrupted_first_load_goes_on_from_the_last_slice(house: MakeHouse, name: str) -> None:
    path = WINDOWED[name]
    with CASES[name].fake() as fake:
        fake.seed(120)
        home = house(fake)
        fake.faults = [Fault("status", path=path, status=500, skip=12, times=1000)]
        assert home.run() == 1
        starts = {start_of(ask) for ask in fake.asked(path)}
        fake.faults = []
        with fake.counting() as second:
            assert home.run() == 0, home.error(name)
        assert_holds(home, fake)
        # the earliest start of the second run lies behind most windows of the first
        resumed = min(start_of(ask) for ask in second if re.search(path, ask.path))
        assert resumed > sorted(starts)[1]


def start_of(ask: Ask) -> str:
    """Where a window begins, in whatever unit: within one vendor they sort alike."""
    query = ask.query
    return next(query[k] for k in ("start", "start_time", "date_from", "startDate") if k in query)


WINDOWED = {
    "vonage": "/stats/interactions$",
    "avaamo": "/campaigns/insights$",
    "inwise": "/sentEmails$",
    "dialer": "/leads/history$",
}
