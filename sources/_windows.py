"""The windows of time by which an endpoint is read, tonight or in a backfill.

A cursor is the end of the last closed window, never the largest time seen in the rows: clocks
differ and rows arrive late. Each night starts at the cursor less the lookback, because rows change
after they appeared; once a week it starts 30 days back.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any

from ._api import Api
from ._endpoints import Night, Read, Slice, State, Window, Windowed
from ._errors import VendorError
from ._paging import Page

DEEP_EVERY = timedelta(days=7)
DEEP_BACK = timedelta(days=30)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)  # is not parted: whoever gives more for it ignores the bounds
AHEAD_ROWS = 20_000  # of windows begun before their turn, if they hold as many as the last read
MOST_TIMES = 4  # that a row is in the parts of a window: it starts, ends and is changed in others
SOME_ROWS = 1_000  # that may come more often: a call that goes on is in each part
MOST_PARTS = 1_000  # of one window; they can be parted in their turn


def first_instant(endpoint: Windowed, night: Night) -> datetime:
    """Where a first load of this endpoint begins."""
    start = night.settings.get("start_date")
    first = parse_time(start) if start else night.now - (endpoint.keeps or timedelta(days=90))
    return min(max(first, _oldest(endpoint, night)), night.now - timedelta(minutes=1))


def _oldest(endpoint: Windowed, night: Night) -> datetime:
    """What is before, the vendor does not answer for any more."""
    return night.now - endpoint.keeps if endpoint.keeps else datetime.min.replace(tzinfo=UTC)


def nightly(endpoint: Windowed, night: Night) -> list[Window]:
    """The windows of a nightly run, oldest first: late changes, then what is new."""
    state = night.state(endpoint.name)
    first = first_instant(endpoint, night)
    if "cursor" not in state:
        return tiles(first, night.now, endpoint.step)
    cursor = min(parse_time(state["cursor"]), night.now)  # a clock may have been ahead
    oldest = _oldest(endpoint, night)
    start = cursor - timedelta(days=float(night.settings["lookback_days"]))
    if is_deep(state, night.now):
        start = min(start, cursor - DEEP_BACK)
    if cursor >= first:
        start = max(start, first)
    start = max(start, oldest)
    back = max(cursor - DEEP_BACK, oldest).date()
    days = (date.fromisoformat(d) for d in state.get("unfinished", ()))
    again = sorted(d for d in days if back <= d and midnight(d) < start)
    return [w for run in runs_of_days(again) for w in tiles(*run, endpoint.step)] + tiles(
        start, night.now, endpoint.step
    )


def is_deep(state: State, now: datetime) -> bool:
    """Whether this run reads 30 days back: once a week, or behind a clock that was ahead."""
    return "deep_at" in state and not is_within_a_week(parse_time(state["deep_at"]), now)


def is_within_a_week(earlier: datetime, now: datetime) -> bool:
    return timedelta(0) <= now - earlier < DEEP_EVERY


def tiles(start: datetime, end: datetime, step: timedelta) -> list[Window]:
    """Windows of at most `step` that cover [start, end] without a gap, oldest first."""
    windows = []
    while start < end:
        stop = min(start + step, end)
        windows.append(Window(start, stop))
        start = stop
    return windows


def parted(window: Window, first: Page, fits: int) -> list[Window]:
    """The parts of a window that holds more rows than fit in a slice, by what its first page says;
    none where they fit or are here already, or where it is a minute. How the rows lie in it is not
    known: a part may have to be parted."""
    width, total = window.end - window.start, first.total or 0
    if total <= fits or (first.pages or 0) <= 1 or width <= MINUTE:
        return []
    step = max(width * (0.8 * fits / total), width / MOST_PARTS)
    return tiles(window.start, window.end, max(MINUTE, step // SECOND * SECOND))


def runs_of_days(days: Iterable[date]) -> list[tuple[datetime, datetime]]:
    """Neighbouring days joined: the instants at which each run starts and ends."""
    runs: list[tuple[datetime, datetime]] = []
    for day in sorted(days):
        start = midnight(day)
        if runs and runs[-1][1] == start:
            start = runs.pop()[0]
        runs.append((start, midnight(day) + DAY))
    return runs


def read_nightly(endpoint: Windowed, api: Api, night: Night) -> Iterator[Slice]:
    """One slice per window; the state of each says how far the endpoint has got with it."""
    state = night.state(endpoint.name)
    deep = is_deep(state, night.now) or "deep_at" not in state
    span: Window | None = None  # what was read without a gap, up to now
    for window, read in _read_all(endpoint, api, night, nightly(endpoint, night)):
        if span is None or window.start != span.end:
            span, unfinished = window, frozenset[date]()
        span, unfinished = Window(span.start, window.end), unfinished | read.unfinished
        reached = read.cursor or window.end
        before = parse_time(state["cursor"]) if "cursor" in state else reached
        before = min(before, night.now)
        state = state | dict(read.state) | {"cursor": iso(max(before, reached))}
        state["unfinished"] = _still_unfinished(state, span, unfinished)
        if deep and window.end >= night.now:
            state["deep_at"] = iso(night.now)
        night.states[endpoint.name] = state
        yield Slice(read.rows, dict(state), str(window), warnings=read.warnings)


def read_span(endpoint: Windowed, api: Api, night: Night, span: Window) -> Iterator[Slice]:
    """The windows of a backfill. Progress is kept per span; the nightly cursor stays."""
    name = f"{iso(span.start)}/{iso(span.end)}"
    done = dict(night.state(endpoint.name).get("backfills", {}))
    start = parse_time(done.get(name, iso(span.start)))
    for window, read in _read_all(endpoint, api, night, tiles(start, span.end, endpoint.step)):
        done[name] = iso(window.end)
        state = dict(read.state) | {"backfills": dict(done)}
        night.states[endpoint.name] = night.state(endpoint.name) | state
        yield Slice(read.rows, state, str(window), warnings=read.warnings)


def forget_span(endpoint: Windowed, night: Night, span: Window) -> dict[str, Any]:
    """The state in which a finished backfill may be asked for again."""
    done = dict(night.state(endpoint.name).get("backfills", {}))
    done.pop(f"{iso(span.start)}/{iso(span.end)}", None)
    return {"backfills": done}


@dataclass
class _Whole:
    """A window that is read in parts, and what these had so far."""

    place: str
    came: int = 0
    keys: set[int] = field(default_factory=set)  # their hashes

    def add(self, keys: Iterable[Hashable]) -> None:
        """Raises VendorError where the parts have the same again and again."""
        before = len(self.keys)
        hashes = list(map(hash, keys))
        self.keys.update(hashes)
        self.came += len(hashes)
        if self.came > MOST_TIMES * len(self.keys) + SOME_ROWS and len(self.keys) == before:
            raise VendorError(
                f"the parts of the window had {self.came} rows up to now, but only "
                f"{len(self.keys)} different ones: the vendor does not go by the times that it is "
                "asked for"
            ).at(self.place)


@dataclass(eq=False)
class _Turn:
    """A window in the line of those to be read. Since it was begun, with `begun_at` requests sent,
    earlier windows were given versions of rows by the requests in `asked`."""

    window: Window
    whole: _Whole | None = None
    future: Future[Read | list[Window]] | None = None
    begun_at: int = 0
    asked: dict[Hashable, int] = field(default_factory=dict)

    def begin(self, pool: ThreadPoolExecutor, endpoint: Windowed, api: Api, night: Night) -> None:
        if self.future is None:
            self.begun_at = api.gate.sent
            self.future = pool.submit(_ask, endpoint, api, night, self.window)

    @property
    def is_done(self) -> bool:
        return self.future is not None and self.future.done()

    @property
    def found(self) -> Read | list[Window] | None:
        """What the reading gave; None where it goes on, or has failed."""
        if not self.is_done or not self.future or self.future.exception():
            return None
        return self.future.result()

    def parts(self, name: str) -> list["_Turn"]:
        """Those that take the place of a window with too many rows."""
        if not isinstance(found := self.found, list):
            return [self]
        whole = self.whole or _Whole(f"{name} {self.window}")
        return [_Turn(part, whole) for part in found]

    def note(self, sent: Mapping[Hashable, int]) -> None:
        """Keep what an earlier window was given, as far as this one may hold an older version."""
        if self.future is None:
            return
        for key, number in sent.items():
            if number > self.begun_at:
                self.asked[key] = max(number, self.asked.get(key, 0))
        if self.is_done:
            mine = found.sent if isinstance(found := self.found, Read) else {}
            self.asked = {key: number for key, number in self.asked.items() if key in mine}


def _read_all(
    endpoint: Windowed, api: Api, night: Night, windows: list[Window]
) -> Iterator[tuple[Window, Read]]:
    """What the windows hold, in their order; one that is too wide makes way for its parts.

    Windows that may be read side by side are begun before it is their turn. So what such a one
    holds may be older than what an earlier one was given of the same row: that version stays.
    """
    line = list(map(_Turn, windows))
    ahead = _windows_ahead(endpoint, api, AHEAD_ROWS)
    with _helping(api) as pool:
        while line:
            begun = line[: ahead + 1]
            for turn in begun:
                turn.begin(pool, endpoint, api, night)
            going_on = [each.future for each in begun if each.future and not each.is_done]
            now = list(chain.from_iterable(each.parts(endpoint.name) for each in begun))
            line[: len(begun)] = now
            if now != begun:
                continue
            if not (turn := line[0]).is_done:
                wait(going_on, None, FIRST_COMPLETED)
                continue
            del line[0]
            assert turn.future
            read = turn.future.result()
            assert isinstance(read, Read)
            if turn.whole:
                turn.whole.add(read.sent)
            yield turn.window, _without_older(read, turn.asked)
            for other in line:
                other.note(read.sent)
            ahead = _windows_ahead(endpoint, api, sum(map(len, read.rows.values())))


def _ask(endpoint: Windowed, api: Api, night: Night, part: Window) -> Read | list[Window]:
    api.meter.check()
    try:
        read = endpoint.read(api, night, part)
    except VendorError as error:
        raise error.at(f"{endpoint.name} {part}") from error
    assert isinstance(read, list) or read.sent or not any(read.rows.values()) or not endpoint.apart
    return read


@contextmanager
def _helping(api: Api) -> Iterator[ThreadPoolExecutor]:
    """Threads for windows. When the reading ends early, those begun ahead are given up."""
    pool = ThreadPoolExecutor(api.max_in_flight)
    try:
        yield pool
    finally:
        api.gate.given_up.set()
        pool.shutdown(cancel_futures=True)
        api.gate.given_up.clear()


def _windows_ahead(endpoint: Windowed, api: Api, rows: int) -> int:
    """How many windows are begun before their turn, where one holds so many rows with all their
    children: what they hold waits in memory."""
    if not endpoint.apart or api.max_in_flight == 1:
        return 0
    return max(1, min(api.max_in_flight, AHEAD_ROWS // (rows + 1)))


def _without_older(read: Read, asked: Mapping[Hashable, int]) -> Read:
    """Without the rows, and their children, of which a version asked for later is known; also
    where that one is then put aside, for it is what the vendor said last."""
    older = {key for key, number in asked.items() if number > read.sent.get(key, number)}
    if not older:
        return read
    return replace(
        read,
        rows={
            table: [
                row
                for row, key in zip(rows, table.main_keys_of(rows), strict=True)
                if key not in older
            ]
            for table, rows in read.rows.items()
        },
    )


def _still_unfinished(state: State, window: Window, unfinished: frozenset[date]) -> list[str]:
    """Days that held a row in a state that is not final when they were last read, as long before
    the cursor as they are read again."""
    cursor = parse_time(state["cursor"])
    days = {date.fromisoformat(d) for d in state.get("unfinished", ())}
    covered = {d for d in days if window.start <= midnight(d) and midnight(d) + DAY <= window.end}
    recent = {
        day
        for day in (days - covered) | unfinished
        if (cursor - DEEP_BACK).date() <= day <= cursor.date()
    }
    return sorted(map(str, recent))


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def parse_time(text: str | date | datetime) -> datetime:
    """An ISO date or time; without a zone it is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(str(text))
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
