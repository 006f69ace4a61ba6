"""The windows of time by which an endpoint is read, tonight or in a backfill.

A cursor is the end of the last closed window, never the largest time seen in the rows: clocks
differ and rows arrive late. Each night starts at the cursor less the lookback, because rows change
after they appeared; once a week it starts 30 days back.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ._api import Api
from ._endpoints import Night, Read, Slice, State, Window, Windowed
from ._errors import VendorError

DEEP_EVERY = timedelta(days=7)
DEEP_BACK = timedelta(days=30)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
AHEAD_ROWS = 2_000  # that windows begun before their turn may hold, as far as can be foretold


def first_instant(endpoint: Windowed, night: Night) -> datetime:
    """Where a first load of this endpoint begins."""
    start = night.settings.get("start_date")
    first = parse_time(start) if start else night.now - timedelta(days=90)
    if endpoint.keeps:
        oldest = night.now - endpoint.keeps
        first = max(first, oldest) if start else oldest
    return min(first, night.now - timedelta(minutes=1))


def nightly(endpoint: Windowed, night: Night) -> list[Window]:
    """The windows of a nightly run, oldest first: late changes, then what is new."""
    state = night.state(endpoint.name)
    first = first_instant(endpoint, night)
    if "cursor" not in state:
        return tiles(first, night.now, endpoint.step)
    cursor = min(parse_time(state["cursor"]), night.now)  # a clock may have been ahead
    start = cursor - timedelta(days=float(night.settings["lookback_days"]))
    if is_deep(state, night.now):
        start = min(start, cursor - DEEP_BACK)
    if cursor >= first:
        start = max(start, first)
    days = (date.fromisoformat(d) for d in state.get("unfinished", ()))
    again = sorted(d for d in days if midnight(d) < start and midnight(d) >= night.now - DEEP_BACK)
    return [w for run in runs_of_days(again) for w in tiles(*run, endpoint.step)] + tiles(
        start, night.now, endpoint.step
    )


def is_deep(state: State, now: datetime) -> bool:
    """Whether this run reads 30 days back: once a week."""
    return "deep_at" in state and now - parse_time(state["deep_at"]) >= DEEP_EVERY


def tiles(start: datetime, end: datetime, step: timedelta) -> list[Window]:
    """Windows of at most `step` that cover [start, end] without a gap, oldest first."""
    windows = []
    while start < end:
        stop = min(start + step, end)
        windows.append(Window(start, stop))
        start = stop
    return windows


def narrowed(window: Window, rows: int, fits: int) -> Window | None:
    """The beginning of a window that holds more rows than fit in a slice; None where all fit, or
    where it is a second already."""
    width = window.end - window.start
    if rows <= fits or width <= SECOND:
        return None
    return Window(window.start, window.start + max(SECOND, width * (0.8 * fits / rows)))


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
    windows = nightly(endpoint, night)
    for window, read in _read_all(endpoint, api, night, windows):
        reached = read.cursor or window.end
        before = parse_time(state["cursor"]) if "cursor" in state else reached
        before = min(before, night.now)
        state = state | dict(read.state) | {"cursor": iso(max(before, reached))}
        state["unfinished"] = _still_unfinished(state, window, read, night.now)
        if deep and window.end >= night.now:
            state["deep_at"] = iso(night.now)
        night.states[endpoint.name] = state
        yield Slice(
            read.rows, dict(state), str(window), parents=_parents(read), warnings=read.warnings
        )


def read_span(endpoint: Windowed, api: Api, night: Night, span: Window) -> Iterator[Slice]:
    """The windows of a backfill. Progress is kept per span; the nightly cursor stays."""
    name = f"{iso(span.start)}/{iso(span.end)}"
    done = dict(night.state(endpoint.name).get("backfills", {}))
    start = parse_time(done.get(name, iso(span.start)))
    for window, read in _read_all(endpoint, api, night, tiles(start, span.end, endpoint.step)):
        done[name] = iso(window.end)
        state = dict(read.state) | {"backfills": dict(done)}
        night.states[endpoint.name] = night.state(endpoint.name) | state
        yield Slice(
            read.rows,
            state,
            str(window),
            parents=_parents(read),
            warnings=read.warnings,
        )


def forget_span(endpoint: Windowed, night: Night, span: Window) -> dict[str, Any]:
    """The state in which a finished backfill may be asked for again."""
    done = dict(night.state(endpoint.name).get("backfills", {}))
    done.pop(f"{iso(span.start)}/{iso(span.end)}", None)
    return {"backfills": done}


def _read_all(
    endpoint: Windowed, api: Api, night: Night, windows: list[Window]
) -> Iterator[tuple[Window, Read]]:
    """Read the windows in turn; one that stopped early is gone on with until its end.

    Windows that may be read side by side are begun before it is their turn. A row that was asked
    for again meanwhile is newer than what such a window holds of it: then the window is read anew.
    """
    todo = deque(windows)
    begun: deque[tuple[Window, int, Future[Read]]] = deque()
    passed: list[tuple[int, set[Hashable]]] = []  # keys of what was read, and the last request
    ahead = 0
    with _helping(api) as pool:
        while todo or begun:
            while todo and len(begun) <= ahead:
                window, sent = todo.popleft(), api.sent
                begun.append((window, sent, pool.submit(_ask, endpoint, api, night, window)))
            window, sent, future = begun.popleft()
            read, step = future.result(), endpoint.step
            part = window
            while True:
                if _is_overtaken(read, sent, passed):
                    read = _ask(endpoint, api, night, part)
                until = read.until or part.end
                yield Window(part.start, until), read
                if begun:
                    passed = [each for each in passed if each[0] > begun[0][1]]
                    passed.append((api.sent, _keys(read)))
                ahead = _windows_ahead(endpoint, api, read)
                if until >= window.end:
                    break
                # one that was cut short was too wide for its rows: go on as wide as fitted, then
                # wider
                growth = 1.0 if until < part.end else 1.5
                step = min(endpoint.step, growth * (until - part.start))
                part = Window(until, min(window.end, until + step))
                sent, read = api.sent, _ask(endpoint, api, night, part)


def _ask(endpoint: Windowed, api: Api, night: Night, part: Window) -> Read:
    api.meter.check()
    try:
        return endpoint.read(api, night, part)
    except VendorError as error:
        raise error.at(f"{endpoint.name} {part}") from error


@contextmanager
def _helping(api: Api) -> Iterator[ThreadPoolExecutor]:
    """Threads for windows. When the reading ends early, those begun ahead are given up."""
    pool = ThreadPoolExecutor(api.max_in_flight)
    try:
        yield pool
    finally:
        api.given_up.set()
        pool.shutdown(cancel_futures=True)
        api.given_up.clear()


def _windows_ahead(endpoint: Windowed, api: Api, last: Read) -> int:
    """How many windows are begun before their turn: what they hold waits in memory, and one with
    many rows keeps the vendor busy by itself."""
    if not endpoint.apart or api.max_in_flight == 1:
        return 0
    rows = max((len(rows) for table, rows in last.rows.items() if not table.is_child), default=0)
    return min(api.max_in_flight, AHEAD_ROWS // (rows + 1))


def _is_overtaken(read: Read, sent: int, passed: list[tuple[int, set[Hashable]]]) -> bool:
    """Whether a row of it was asked for again, in an earlier window, after it was begun."""
    later = [keys for last, keys in passed if last > sent]
    return bool(later) and not _keys(read).isdisjoint(set().union(*later))


def _keys(read: Read) -> set[Hashable]:
    return {
        (table.name, *table.key_of(row))
        for table, rows in read.rows.items()
        if not table.is_child
        for row in rows
    }


def _parents(read: Read) -> tuple[str, ...]:
    return tuple(
        str(row.get(table.key_fields[0]))
        for table, rows in read.rows.items()
        if table.kept == "replaced" and table.parent is None
        for row in rows
    )


def _still_unfinished(state: State, window: Window, read: Read, now: datetime) -> list[str]:
    """Days that held a row in a state that is not final when they were last read."""
    days = {date.fromisoformat(d) for d in state.get("unfinished", ())}
    covered = {d for d in days if window.start <= midnight(d) and midnight(d) + DAY <= window.end}
    recent = {
        day
        for day in (days - covered) | read.unfinished
        if (now - DEEP_BACK - DAY).date() <= day <= now.date()
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
