"""Windows tile the span, and each night asks for what may have changed and no more."""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sources._api import Api
from sources._endpoints import Night, Read, Window, Windowed
from sources._errors import VendorError
from sources._logins import StaticHeaders
from sources._meter import Meter
from sources._paging import Page
from sources._replies import Row
from sources._tables import Table
from sources._windows import (
    nightly,
    parse_time,
    parted,
    read_nightly,
    read_span,
    runs_of_days,
    tiles,
)
from tests.fakes._server import Fault
from tests.test_api import Plain, connect

NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def night(
    state: Mapping[str, object] | None = None, now: datetime = NOW, **settings: object
) -> Night:
    values = {"lookback_days": 3.0, "start_date": "", **settings}
    return Night(now, values, {"things": state} if state else {})


def endpoint(**fields: object) -> Windowed:
    values = {"step": timedelta(days=7), "read": lambda *_: Read({}), **fields}
    return Windowed("things", (), **values)  # type: ignore[arg-type]


@given(moments, moments, st.timedeltas(timedelta(hours=5), timedelta(days=40)))
def test_tiles_cover_the_span_without_gap_or_excess(
    start: datetime, end: datetime, step: timedelta
) -> None:
    made = tiles(start, end, step)
    if start >= end:
        assert made == []
        return
    assert made[0].start == start
    assert made[-1].end == end
    assert all(w.end - w.start <= step for w in made)
    assert all(a.end == b.start for a, b in pairwise(made))


@given(st.sets(st.dates(date(2026, 1, 1), date(2026, 3, 1))))
def test_runs_of_days_hold_exactly_their_days(days: set[date]) -> None:
    covered = {
        (start + timedelta(days=n)).date()
        for start, end in runs_of_days(days)
        for n in range((end - start).days)
    }
    assert covered == days


def test_a_first_load_begins_at_start_date_or_90_days_back() -> None:
    assert nightly(endpoint(), night())[0].start == NOW - timedelta(days=90)
    assert nightly(endpoint(), night(start_date="2026-02-01"))[0].start == parse_time("2026-02-01")


def test_a_first_load_never_asks_for_what_the_vendor_no_longer_keeps() -> None:
    keeping = endpoint(keeps=timedelta(days=180))
    assert nightly(keeping, night())[0].start == NOW - timedelta(days=180)
    assert nightly(keeping, night(start_date="2020-01-01"))[0].start == NOW - timedelta(days=180)


def test_a_night_reads_from_the_cursor_less_the_lookback() -> None:
    state = {"cursor": "2026-02-28T04:00:00+00:00", "deep_at": "2026-02-27T04:00:00+00:00"}
    windows = nightly(endpoint(), night(state))
    assert (windows[0].start, windows[-1].end) == (parse_time("2026-02-25T04:00:00"), NOW)
    assert len(windows) == 1


def test_once_a_week_a_night_reads_30_days_back() -> None:
    state = {"cursor": "2026-02-28T04:00:00+00:00", "deep_at": "2026-02-22T03:59:00+00:00"}
    assert nightly(endpoint(), night(state))[0].start == parse_time("2026-01-29T04:00:00")


def test_days_with_rows_not_final_are_read_again_for_30_days() -> None:
    state = {
        "cursor": "2026-02-28T04:00:00+00:00",
        "deep_at": "2026-02-27T04:00:00+00:00",
        "unfinished": ["2026-01-15", "2026-02-10", "2026-02-11", "2026-02-27"],
    }
    windows = nightly(endpoint(), night(state))
    assert [str(w) for w in windows] == [
        "2026-02-10 00:00..2026-02-12 00:00Z",
        "2026-02-25 04:00..2026-03-01 04:00Z",
    ]


def test_the_30_days_count_from_the_cursor_where_nights_were_missed() -> None:
    state = {
        "cursor": "2026-02-20T04:00:00+00:00",
        "deep_at": "2026-02-27T04:00:00+00:00",
        "unfinished": ["2026-01-20", "2026-01-21"],
    }
    windows = nightly(endpoint(), night(state))
    assert str(windows[0]) == "2026-01-21 00:00..2026-01-22 00:00Z"
    *_, last = read_nightly(endpoint(), api(), night(state))
    assert last.state["unfinished"] == []
    pending = frozenset([date(2026, 1, 21)])
    (first, *_) = read_nightly(
        endpoint(read=lambda *_: Read({}, unfinished=pending)), api(), night(state)
    )
    assert first.state["unfinished"] == ["2026-01-21"]


def test_no_night_asks_for_what_the_vendor_no_longer_keeps() -> None:
    state = {"cursor": "2025-01-01T00:00:00+00:00", "deep_at": "2025-01-01T00:00:00+00:00"}
    keeping = endpoint(keeps=timedelta(days=180))
    assert nightly(keeping, night(state))[0].start == NOW - timedelta(days=180)


def test_behind_a_clock_that_was_ahead_30_days_are_read() -> None:
    ahead = "2026-05-01T00:00:00+00:00"
    windows = nightly(endpoint(), night({"cursor": ahead, "deep_at": ahead}))
    assert windows[0].start == NOW - timedelta(days=30)


def test_a_window_that_ends_before_it_starts_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="ends after"):
        Window(NOW, NOW)
    with pytest.raises(ValueError, match="aware"):
        Window(datetime(2026, 1, 1), NOW)  # noqa: DTZ001


def api(max_in_flight: int = 1) -> Api:
    return Api(
        "vendor",
        "http://127.0.0.1:1",
        reads=[],
        auth=StaticHeaders({}),
        secrets=[],
        requests_per_minute=600,
        max_in_flight=max_in_flight,
        meter=Meter(),
    )


@pytest.mark.parametrize("apart", [False, True])
def test_a_window_with_too_many_rows_is_read_in_parts_in_its_place(apart: bool) -> None:
    def read(_api: Api, _night: Night, window: Window) -> Read | list[Window]:
        hours = int((window.end - window.start) / timedelta(hours=1))
        return parted(window, Page([], 1, total=hours, pages=hours), 50) or Read({})

    things = endpoint(read=read, apart=apart)
    slices = list(read_nightly(things, api(4), night(start_date="2026-02-20")))
    asked = [piece.label.removesuffix("Z").split("..") for piece in slices]
    assert asked[0][0] == "2026-02-20 00:00"
    assert [start for start, _ in asked[1:]] == [end for _, end in asked[:-1]]
    assert len(asked) == 7
    assert slices[-1].state["cursor"] == NOW.isoformat()


@given(
    st.integers(1, 10_000_000),
    st.integers(1, 3),
    st.integers(1, 5_000),
    st.timedeltas(timedelta(milliseconds=1), timedelta(days=31)),
)
@example(10, 2, 1, timedelta(seconds=30))
def test_parts_cover_a_window_and_are_narrower_than_it(
    rows: int, pages: int, fits: int, width: timedelta
) -> None:
    window = Window(NOW - width, NOW)
    parts = parted(window, Page([], 1, total=rows, pages=pages), fits)
    if rows <= fits or pages == 1 or width <= timedelta(minutes=1):
        assert parts == []
        return
    assert (parts[0].start, parts[-1].end) == (window.start, window.end)
    assert all(a.end == b.start for a, b in pairwise(parts))
    assert 1 < len(parts) <= 2_001
    assert all(part.end - part.start >= timedelta(minutes=1) for part in parts[:-1])


def test_a_vendor_that_gives_the_same_for_each_part_is_not_asked_without_end() -> None:
    asked: list[Window] = []

    def read(_api: Api, _night: Night, window: Window) -> Read | list[Window]:
        asked.append(window)
        page = Page([], 1, total=300, pages=3)
        return parted(window, page, 250) or Read({}, sent=dict.fromkeys(range(300), 1))

    slices = read_nightly(endpoint(read=read), api(), night(start_date="2026-02-25"))
    with pytest.raises(VendorError, match=r"things 2026-02-25.* 2400 rows .* only 300 different"):
        list(slices)
    assert len(asked) < 50


@pytest.mark.parametrize("total", [100, 10_000_000])
def test_rows_that_are_in_a_few_parts_and_wrong_totals_are_no_sign_of_that(total: int) -> None:
    def read(_api: Api, _night: Night, window: Window) -> Read | list[Window]:
        minutes = (int(window.start.timestamp()) // 60, int(window.end.timestamp()) // 60)
        parts = parted(window, Page([], 1, total=total, pages=3), 99)
        if window.end - window.start > timedelta(hours=4):
            return parts
        # a row a minute, each in three parts
        rows = range(minutes[0] - 480, minutes[1])
        return Read({}, sent=dict.fromkeys(rows, 1))

    slices = read_nightly(endpoint(read=read), api(), night(start_date="2026-02-25"))
    assert len(list(slices)) > 25


def test_days_read_in_parts_are_no_more_unfinished() -> None:
    def read(_api: Api, _night: Night, window: Window) -> Read | list[Window]:
        halves = tiles(window.start, window.end, timedelta(hours=9))
        pending = {date(2026, 2, 26)} if window.start < parse_time("2026-02-26T09:00") else set()
        return halves if len(halves) > 1 else Read({}, unfinished=frozenset(pending))

    state = {
        "cursor": "2026-02-28T04:00:00+00:00",
        "deep_at": "2026-02-27T04:00:00+00:00",
        "unfinished": ["2026-02-25", "2026-02-26", "2026-02-27"],
    }
    slices = list(read_nightly(endpoint(read=read), api(), night(state)))
    assert len(slices) > 8
    assert slices[-1].state["unfinished"] == ["2026-02-26"]


THINGS = Table("things", key=("id",), fields={"id": "int", "version": "int"})


class Things:
    """A vendor of three windows, of which the last two are read side by side: `overlapping` says
    whether a row of the last is asked for again in the one before, which takes longer."""

    def __init__(self, *, overlapping: bool) -> None:
        self.overlapping = overlapping
        self.asked: list[date] = []
        self.last_was_read = threading.Event()

    def read(self, api: Api, _night: Night, window: Window) -> Read:
        self.asked.append(window.start.date())
        rows: list[Row] = []
        if window.start == FIRST + timedelta(days=7):
            assert self.last_was_read.wait(30)
            rows = [self._row(api, 1 if self.overlapping else 2)]
        elif window.start == FIRST + timedelta(days=14):
            rows = [self._row(api, 1)]
            self.last_was_read.set()
        return Read({THINGS: rows}, sent={(str(r["id"]),): r["version"] for r in rows})

    def _row(self, api: Api, number: int) -> Row:
        api.gate.sent += 1
        return {"id": number, "version": api.gate.sent}


FIRST = NOW - timedelta(days=21)


@pytest.mark.parametrize("overlapping", [True, False])
def test_of_windows_side_by_side_the_version_asked_for_last_is_the_last(overlapping: bool) -> None:
    vendor = Things(overlapping=overlapping)
    things = Windowed("things", (THINGS,), timedelta(days=7), vendor.read, apart=True)
    read = read_nightly(things, api(4), night(start_date=FIRST.isoformat()))
    slices = [[row for rows in piece.rows.values() for row in rows] for piece in read]
    if overlapping:
        assert slices == [[], [{"id": 1, "version": 2}], []]
    else:
        assert slices == [[], [{"id": 2, "version": 2}], [{"id": 1, "version": 1}]]
    assert len(vendor.asked) == 3


@given(st.permutations(range(1, 13)), st.lists(st.sampled_from("abc"), min_size=12, max_size=12))
def test_whatever_the_order_of_requests_the_last_version_asked_for_stays(
    numbers: list[int], keys: list[str]
) -> None:
    answers = [dict(zip(keys[n : n + 4], numbers[n : n + 4], strict=True)) for n in (0, 4, 8)]
    answers = [{}, *answers]  # after an empty window the next ones are begun together
    first = NOW - timedelta(days=28)

    def read(_api: Api, _night: Night, window: Window) -> Read:
        sent = answers[(window.start - first) // timedelta(days=7)]
        rows: list[Row] = [{"id": key, "version": number} for key, number in sent.items()]
        return Read({THINGS: rows}, sent={(key,): number for key, number in sent.items()})

    things = Windowed("things", (THINGS,), timedelta(days=7), read, apart=True)
    kept: dict[str, int] = {}
    for piece in read_nightly(things, api(4), night(start_date=first.isoformat())):
        kept |= {row["id"]: row["version"] for row in piece.rows[THINGS]}
    asked = [pair for answer in answers for pair in answer.items()]
    assert kept == {key: max(n for k, n in asked if k == key) for key in kept}
    assert kept.keys() == {key for key, _ in asked}


def test_windows_that_rest_on_each_other_are_read_in_turn() -> None:
    at_work: list[Window] = []

    def read(_api: Api, known: Night, window: Window) -> Read:
        assert not at_work
        at_work.append(window)
        count = known.state("things").get("count", 0) + 1
        assert at_work.pop() == window
        return Read({}, state={"count": count})

    slices = list(read_nightly(endpoint(read=read), api(4), night(start_date="2026-01-01")))
    assert [piece.state["count"] for piece in slices] == list(range(1, len(slices) + 1))


def test_a_window_with_too_many_rows_makes_way_for_its_parts_before_its_turn() -> None:
    part_is_asked = threading.Event()

    def read(_api: Api, _night: Night, window: Window) -> Read | list[Window]:
        if window.start == FIRST:
            assert part_is_asked.wait(30)
        elif window.end - window.start > timedelta(days=1):
            return tiles(window.start, window.end, timedelta(days=1))
        else:
            part_is_asked.set()
        return Read({})

    things = endpoint(read=read, apart=True)
    slices = list(read_nightly(things, api(4), night(start_date=FIRST.isoformat())))
    asked = [piece.label.removesuffix("Z").split("..") for piece in slices]
    assert len(asked) == 15
    assert all(end == start for (_, end), (start, _) in pairwise(asked))


def test_the_failure_of_a_window_comes_after_those_before_it() -> None:
    def read(_api: Api, _night: Night, window: Window) -> Read:
        if window.end == NOW:
            raise VendorError("down")
        return Read({})

    things = endpoint(read=read, apart=True)
    slices = read_nightly(things, api(4), night(start_date=FIRST.isoformat()))
    assert next(slices).label == "2026-02-08 04:00..2026-02-15 04:00Z"
    assert next(slices).label == "2026-02-15 04:00..2026-02-22 04:00Z"
    with pytest.raises(VendorError, match="down"):
        next(slices)


def test_a_failure_does_not_wait_for_the_windows_begun_ahead() -> None:
    with Plain() as server:
        asked = connect(server, max_in_flight=4)
        resting = threading.Event()

        def read(vendor: Api, _night: Night, window: Window) -> Read:
            if window.start == FIRST + timedelta(days=7):
                assert resting.wait(30)
                raise VendorError("down")
            if window.start == FIRST + timedelta(days=14):
                server.faults = [Fault("status", status=429, headers={"Retry-After": "120"})]
                with suppress(VendorError):
                    vendor.ask("GET", f"{server.url}/read", once=True)
                resting.set()
                vendor.get("/read")
            return Read({})

        things = endpoint(read=read, apart=True)
        slices = read_nightly(things, asked, night(start_date=FIRST.isoformat()))
        next(slices)
        started = time.monotonic()
        with pytest.raises(VendorError, match="down"):
            next(slices)
        assert time.monotonic() - started < 60
        assert len(server.seen) == 1


def test_the_cursor_is_where_the_vendor_says_and_never_goes_back() -> None:
    def read(_api: Api, _night: Night, window: Window) -> Read:
        return Read({}, cursor=window.end - timedelta(minutes=5))

    state = {"cursor": NOW.isoformat(), "deep_at": NOW.isoformat()}
    (piece,) = read_nightly(endpoint(read=read), api(), night(state))
    assert piece.state["cursor"] == NOW.isoformat()
    (piece,) = read_nightly(endpoint(read=read), api(), night(start_date="2026-02-27"))
    assert piece.state["cursor"] == (NOW - timedelta(minutes=5)).isoformat()


def test_a_backfill_keeps_its_own_progress_and_leaves_the_cursor() -> None:
    span = Window(parse_time("2026-01-01"), parse_time("2026-01-20"))
    kept = night({"cursor": NOW.isoformat()})
    first = next(iter(read_span(endpoint(), api(), kept, span)))
    assert "cursor" not in first.state
    going_on = night({"cursor": NOW.isoformat(), **first.state})
    rest = list(read_span(endpoint(), api(), going_on, span))
    assert [piece.label for piece in rest] == [
        "2026-01-08 00:00..2026-01-15 00:00Z",
        "2026-01-15 00:00..2026-01-20 00:00Z",
    ]
