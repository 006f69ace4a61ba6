"""What is odd about Avaamo: the unit of the bounds, totals that lie, statuses that move.

What every vendor must do is in test_contract.py. A test that is about one reading asks the fake
without a warehouse (`read`).
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from pipelines.run import reset_vendor
from sources import avaamo
from sources._endpoints import Finding, Night, Read, Window
from sources._errors import VendorError
from sources._meter import Meter
from tests.fakes._server import Fault, Row
from tests.fakes.avaamo import SAMPLES, AvaamoFake
from tests.house import House, assert_holds

MakeHouse = Callable[..., House]
NOW = datetime(2026, 11, 10, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def fake() -> Iterator[AvaamoFake]:
    with AvaamoFake() as running:
        running.now = lambda: NOW
        yield running


def at(age_days: float) -> int:
    """Epoch seconds of so many days before NOW."""
    return int((NOW - age_days * DAY).timestamp())


def add_run(fake: AvaamoFake, count: int, age_days: float = 2) -> None:
    """A campaign of `count` messages, a second apart."""
    for n in range(count):
        fake.add_insight(created_at=at(age_days) + n)


def read(home: House, days: int = 7, state: Mapping[str, Any] | None = None) -> Read:
    """The last days as one window, read from the socket with the settings of that warehouse."""
    settings = home.config.sources["avaamo"]
    night = Night(NOW, settings, {"campaign_insights": state or {}})
    window = Window(NOW - days * DAY, NOW)
    found = avaamo.campaign_insights(avaamo.connect(settings, Meter()), night, window)
    assert isinstance(found, Read)
    return found


def assert_read(found: Read, fake: AvaamoFake) -> None:
    """Every record of the fake, once, in the version it has now."""
    (rows,) = found.rows.values()
    assert sorted(rows, key=lambda r: int(r["id"])) == sorted(fake.records, key=lambda r: r["id"])


def findings(home: House) -> list[Finding]:
    settings = home.config.sources["avaamo"]
    api = avaamo.connect(settings, Meter())
    return list(avaamo.probe(api, Night(NOW, settings, {})))


# --- rows -----------------------------------------------------------------------------------------


def test_the_rows_of_the_vendors_page_arrive_whole(house: MakeHouse, fake: AvaamoFake) -> None:
    failed, landline = SAMPLES[0]["entries"][0], SAMPLES[1]["entries"][0]
    now = datetime.fromtimestamp(failed["created_at"], UTC) + DAY
    fake.now = lambda: now
    fake.records += [failed, landline]
    home = house(fake)
    assert home.run(now=now) == 0, home.error("avaamo")
    assert_holds(home, fake)
    assert home.sql(
        "select id, created_at, recipient_uuid, delivery_status, delivery_channel, campaign__id, "
        "campaign__name, execution__id, execution__created_at, response_set__id, "
        "response_set__name, from_phone, to_phone, to_email, language, content, conversation_uuid, "
        "message_uuid, error, error_code, filters::varchar, agent "
        "from avaamo.campaign_insights where id = '1382620'"
    ) == [
        (
            "1382620",
            datetime(2025, 7, 2, 10, 6, 32, tzinfo=UTC),
            "8eb0dxxx-xxxx-xxxx-xxxx-xxx0db5b6fb5",
            "failed",
            "voice",
            "780",
            "CIVR7",
            "2980",
            datetime(2025, 7, 2, 9, 59, 36, tzinfo=UTC),
            "1384",
            None,
            "+18507905180",
            "729136939",
            None,
            "en-US",
            "If you are having any references, feel free to forward this message.",
            None,
            None,
            "Could not place call due to technical error.",
            "AVM1015",
            "[]",
            None,
        )
    ]


def test_customers_headers_stay_in_one_column(house: MakeHouse, fake: AvaamoFake) -> None:
    user = {"ID": "1", "id": "2", "Acct Bal ($)": "$0.00", "": "x", "user__id": "3", "D.O.B.": "é"}
    fake.add_insight(user=user)
    fake.add_insight(user=None)
    home = house(fake)
    assert home.run(now=NOW) == 0, home.error("avaamo")
    found = home.sql("select user::varchar from avaamo.campaign_insights order by id")
    assert [json.loads(text) if text else None for (text,) in found] == [user, None]
    columns = {c for (c,) in home.sql("select column_name from duckdb_columns()")}
    assert not columns & {"user__id", "user__d_o_b", "acct_bal"}


def test_plain_executions_and_numeric_error_codes_are_loaded(
    house: MakeHouse, fake: AvaamoFake
) -> None:
    failed = {"delivery_status": "failed", "error": "Unknown error"}
    fake.add_insight(**failed, error_code="AVM1015", execution=2978)
    fake.add_insight(**failed, error_code=30006, execution={"id": 2978, "created_at": at(1)})
    fake.add_insight(**failed, error_code=None, execution=None)
    home = house(fake)
    assert home.run(now=NOW) == 0, home.error("avaamo")
    assert home.sql(
        "select error_code, execution__id, epoch(execution__created_at) "
        "from avaamo.campaign_insights order by id"
    ) == [("AVM1015", "2978", None), ("30006", "2978", at(1)), (None, None, None)]


def test_an_error_goes_when_a_message_is_delivered_after_all(
    house: MakeHouse, fake: AvaamoFake
) -> None:
    row = fake.add_insight(delivery_status="failed", error="Unknown error", error_code="AVM1010")
    home = house(fake)
    home.run(now=NOW)
    fake._set_status(row, "delivered")
    home.run(now=NOW + DAY)
    status = "select delivery_status, error, error_code from avaamo.campaign_insights"
    assert home.sql(status) == [("delivered", None, None)]


def test_what_the_vendor_has_forgotten_is_kept(house: MakeHouse, fake: AvaamoFake) -> None:
    fake.seed(60)
    home = house(fake)
    home.run(now=NOW)
    later = NOW + 100 * DAY
    fake.now = lambda: later
    fake.change()
    assert len(fake.current()) < len(fake.records)
    assert home.run(now=later) == 0, home.error("avaamo")
    assert_holds(home, fake)
    (count,) = home.sql("select count(*) from avaamo.campaign_insights")
    assert count == (len(fake.records),)


# --- what is asked --------------------------------------------------------------------------------


def test_every_request_says_both_bounds_and_page_and_size(
    house: MakeHouse, fake: AvaamoFake
) -> None:
    fake.seed(40)
    assert house(fake).run(now=NOW) == 0
    asks = fake.asked()
    assert {frozenset(ask.query) for ask in asks} == {
        frozenset({"start_time", "end_time", "page", "per_page"})
    }
    spans = [(int(a.query["start_time"]), int(a.query["end_time"])) for a in asks]
    spans.sort()
    assert at(180) * 1000 < spans[0][0] < at(179.9) * 1000
    assert spans[-1][1] == at(0) * 1000
    assert all(end - start <= 7 * 86_400_000 for start, end in spans)
    assert all(next_start <= end for (_, end), (next_start, _) in pairwise(spans))


class OpenBounds(AvaamoFake):
    """Leaves out rows on the very instants of start_time and end_time."""

    def _selected(self, query: dict[str, str]) -> list[Row]:
        bounds = {"start_time": int(query["start_time"]) + 1, "end_time": int(query["end_time"])}
        return super()._selected(query | {k: str(v - (k == "end_time")) for k, v in bounds.items()})


def test_a_row_on_the_instant_two_windows_share_is_not_lost(house: MakeHouse) -> None:
    with OpenBounds() as fake:
        fake.now = lambda: NOW
        first = int((NOW - avaamo.KEEPS).timestamp())
        for week in range(1, 25):
            fake.add_insight(created_at=first + week * 7 * 86_400)
        home = house(fake)
        assert home.run(now=NOW) == 0, home.error("avaamo")
        assert_holds(home, fake)


def test_a_window_with_many_rows_is_read_in_parts(
    house: MakeHouse, fake: AvaamoFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(avaamo, "SLICE_ROWS", 20)
    add_run(fake, 50)
    for _ in range(30):
        fake.add_insight(created_at=at(1))  # in one second: cannot be parted
    home = house(fake, avaamo__page_size=7)
    assert home.run(now=NOW) == 0, home.error("avaamo")
    assert_holds(home, fake)


# --- pages and totals -----------------------------------------------------------------------------


@pytest.mark.parametrize("beyond", ["empty", "repeat"])
def test_a_total_that_is_made_up_from_the_pages_is_no_doubt(
    house: MakeHouse, fake: AvaamoFake, beyond: Any
) -> None:
    fake.total_entries_lies, fake.beyond_last = True, beyond
    add_run(fake, 50)
    found = read(house(fake, avaamo__page_size=20))
    assert_read(found, fake)
    assert found.warnings == ()
    assert len(fake.seen) <= 4


def test_a_total_that_never_agrees_only_warns(house: MakeHouse, fake: AvaamoFake) -> None:
    add_run(fake, 50)
    fake.rewrites.append((fake.main_path, lambda body: body | {"total_entries": 53}))
    found = read(house(fake, avaamo__page_size=20))
    assert_read(found, fake)
    (warning,) = found.warnings
    assert "a total of 53, its pages hold 50" in warning


@pytest.mark.parametrize("pages", [0, 1])
def test_a_set_without_rows_is_no_page_or_an_empty_one(
    house: MakeHouse, fake: AvaamoFake, pages: Any
) -> None:
    fake.total_pages_when_empty = pages
    found = read(house(fake))
    assert_read(found, fake)
    assert found.warnings == ()


def test_the_last_page_under_its_own_number_is_an_end(house: MakeHouse, fake: AvaamoFake) -> None:
    fake.total_entries_lies, fake.beyond_last = True, "repeat"
    add_run(fake, 50)

    def own_number(body: Row) -> Row:
        return body | {"current_page": min(body["current_page"], body["total_pages"])}

    fake.rewrites.append((fake.main_path, own_number))
    assert_read(read(house(fake, avaamo__page_size=20)), fake)


def test_pages_behind_the_last_one_that_the_vendor_counts_are_read(
    house: MakeHouse, fake: AvaamoFake
) -> None:
    add_run(fake, 50)
    fake.rewrites.append((fake.main_path, lambda body: body | {"total_pages": 2}))
    found = read(house(fake, avaamo__page_size=10))
    assert_read(found, fake)
    assert found.warnings == ()


def test_another_page_than_was_asked_for_is_an_error(house: MakeHouse, fake: AvaamoFake) -> None:
    add_run(fake, 50)
    fake.rewrites.append((fake.main_path, lambda body: body | {"current_page": 1}))
    with pytest.raises(VendorError, match="page 2 was asked for, page 1 came"):
        read(house(fake, avaamo__page_size=20))


@pytest.mark.parametrize("key", ["current_page", "total_pages", "total_entries", "entries"])
def test_a_key_of_the_envelope_that_is_missing_is_an_error(
    house: MakeHouse, fake: AvaamoFake, key: str
) -> None:
    fake.rewrites.append((fake.main_path, lambda body: {k: body[k] for k in body if k != key}))
    with pytest.raises(VendorError, match=f"has no '{key}'"):
        read(house(fake))


def test_a_row_without_its_time_is_an_error(house: MakeHouse, fake: AvaamoFake) -> None:
    row = {k: v for k, v in fake.add_insight().items() if k != "created_at"}
    fake.rewrites.append((fake.main_path, lambda body: body | {"entries": [row]}))
    home = house(fake)
    assert home.run() == 1
    assert "a row came without 'created_at'" in home.error("avaamo")


@pytest.mark.parametrize("sort", ["newest", "oldest"])
@pytest.mark.parametrize("kind", ["insert", "move"])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_rows_that_move_in_any_order_of_pages_are_each_there_once(
    house: MakeHouse, fake: AvaamoFake, sort: Any, kind: Any, in_flight: int
) -> None:
    fake.sort, fake.shift_kind = sort, kind
    add_run(fake, 55)
    fake.shift_once()
    home = house(fake, avaamo__page_size=10, avaamo__max_in_flight=in_flight)
    assert_read(read(home), fake)


# --- seconds or milliseconds ----------------------------------------------------------------------


def test_a_vendor_that_reads_seconds_is_asked_in_seconds(
    house: MakeHouse, fake: AvaamoFake
) -> None:
    fake.time_unit = "s"
    fake.seed(60)
    home = house(fake, avaamo__time_unit="s")
    assert home.run(now=NOW) == 0, home.error("avaamo")
    assert_holds(home, fake)


@pytest.mark.parametrize(("right", "wrong"), [("s", "ms"), ("ms", "s")])
def test_a_wrong_unit_is_an_error_and_its_mend_loses_no_row(
    house: MakeHouse, fake: AvaamoFake, right: Any, wrong: str
) -> None:
    fake.time_unit = right
    add_run(fake, 3, age_days=100)
    add_run(fake, 3)
    home = house(fake, avaamo__time_unit=wrong)
    assert home.run(now=NOW) == 1
    assert f'set [sources.avaamo] time_unit = "{right}"' in home.error("avaamo")
    home.settings["avaamo__time_unit"] = right
    reset_vendor(home.config, "avaamo", home.board)
    assert home.run(now=NOW) == 0, home.error("avaamo")
    assert_holds(home, fake)


def test_a_unit_that_turns_wrong_later_is_an_error(house: MakeHouse, fake: AvaamoFake) -> None:
    add_run(fake, 3)
    known = read(house(fake)).state
    assert known == {"time_unit": "ms"}
    with pytest.raises(VendorError, match='time_unit = "ms"'):
        read(house(fake, avaamo__time_unit="s"), state=known)


def test_rows_of_other_times_only_are_an_error_that_names_the_unit(
    house: MakeHouse, fake: AvaamoFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(avaamo, "SLICE_ROWS", 2)  # halving such a window would never end
    add_run(fake, 20, age_days=30)
    everything = {"total_entries": 20, "total_pages": 1, "entries": fake.records}
    fake.rewrites.append((fake.main_path, lambda body: body | everything))
    with pytest.raises(VendorError, match=r'set \[sources.avaamo\] time_unit = "s"'):
        read(house(fake))
    assert len(fake.seen) == 1


def test_a_late_row_beside_others_is_no_error(house: MakeHouse, fake: AvaamoFake) -> None:
    add_run(fake, 3)
    fake.add_insight(created_at=at(30))
    with_late = {"total_entries": 4, "total_pages": 1, "entries": fake.records}
    fake.rewrites.append((fake.main_path, lambda body: body | with_late))
    assert_read(read(house(fake)), fake)


def test_once_rows_came_the_unit_is_not_tried_again(house: MakeHouse, fake: AvaamoFake) -> None:
    read(house(fake), state={"time_unit": "ms"})
    assert len(fake.seen) == 1


def test_a_vendor_that_refuses_the_other_unit_is_loaded(house: MakeHouse, fake: AvaamoFake) -> None:
    fake.faults.append(Fault("status", status=400, skip=1, body={"error": "start_time"}))
    assert_read(read(house(fake)), fake)
    assert [status for _, status in fake.seen] == [200, 400]


# --- statuses that move ---------------------------------------------------------------------------


def test_a_day_with_an_unfinished_message_is_read_beyond_the_lookback(
    house: MakeHouse, fake: AvaamoFake
) -> None:
    states = [("voice", "Pending"), ("ms_teams", "queued"), ("ms_teams", "installed")]
    states += [("sms", "sent"), ("custom", "sent")]
    for age, (channel, status) in enumerate(states, 16):
        fake.add_insight(created_at=at(age), delivery_channel=channel, delivery_status=status)
    home = house(fake)
    home.run(now=NOW)
    for row in fake.records:
        fake._set_status(row, "failed")
    fake.now = lambda: NOW + DAY
    assert home.run(now=NOW + DAY) == 0, home.error("avaamo")
    assert_holds(home, fake)


def test_only_days_with_a_message_that_will_change_are_unfinished(
    house: MakeHouse, fake: AvaamoFake
) -> None:
    states = [("ms_teams", "sent"), ("sms", "delivered"), ("sms", "undelivered")]
    states += [("voice", "Failed"), ("sms", "skipped"), ("sms", "Sent"), ("voice", "PENDING")]
    for age, (channel, status) in enumerate(states, 1):
        fake.add_insight(created_at=at(age), delivery_channel=channel, delivery_status=status)
    found = read(house(fake), days=7)
    assert found.unfinished == {date(2026, 11, 4), date(2026, 11, 3)}


# --- outreach check -------------------------------------------------------------------------------


def test_check_counts_the_rows_of_the_last_week(house: MakeHouse, fake: AvaamoFake) -> None:
    add_run(fake, 5)
    assert findings(house(fake)) == [
        Finding("ok", "campaign_insights: 5 in the last 7 days"),
        Finding("ok", 'time_unit "ms": rows are of the time asked for'),
    ]


def test_check_of_a_quiet_account_is_ok(house: MakeHouse, fake: AvaamoFake) -> None:
    add_run(fake, 5, age_days=30)
    assert findings(house(fake)) == [Finding("ok", "campaign_insights: no rows in the last 7 days")]


def test_check_finds_that_the_other_unit_is_right(house: MakeHouse, fake: AvaamoFake) -> None:
    fake.time_unit = "s"
    add_run(fake, 5)
    (finding,) = findings(house(fake))
    assert finding.level == "failure"
    assert finding.mend == 'set [sources.avaamo] time_unit = "s"'


def test_check_finds_a_row_of_another_time(house: MakeHouse, fake: AvaamoFake) -> None:
    row = fake.add_insight(created_at=at(60))
    fake.rewrites.append((fake.main_path, lambda body: body | {"entries": [row]}))
    (finding,) = findings(house(fake))
    assert finding.level == "failure"
    assert finding.mend == 'set [sources.avaamo] time_unit = "s"'
