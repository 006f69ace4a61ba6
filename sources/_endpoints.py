"""What a vendor is to the pipeline: endpoints that give slices of rows.

A slice is what one load takes. Rows are as the vendor sent them; the state that goes with them
reaches the warehouse in the same package, so the two never disagree.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from ._api import Api
from ._meter import Meter
from ._replies import Row
from ._tables import Table

State = Mapping[str, Any]  # of one endpoint, as the warehouse keeps it: JSON


@dataclass(frozen=True)
class Window:
    """A span of time, closed at both ends: neighbours share an instant, and the rows of it."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window is made of aware times")
        if self.start >= self.end:
            raise ValueError("a window ends after it starts")

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M}..{self.end:%Y-%m-%d %H:%M}Z"


@dataclass(frozen=True)
class Read:
    """What the reading of one window found.

    `cursor`: where the next night starts, if that is not the window's end. `unfinished`: times of
    rows in a state that is not final; their days are read again. `sent`: by key, the number of the
    request that a row of the main table came with, for windows that are read side by side.
    """

    rows: Mapping[Table, list[Row]]
    cursor: datetime | None = None
    unfinished: frozenset[date] = frozenset()
    state: State = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    sent: Mapping[Hashable, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Slice:
    """What one load takes: rows as the vendor sent them, and the state that goes with them.

    `scope`: for history tables the lists (campaigns) that were read completely; None: all there is.
    `held`: lists so much shorter than last time that they were not believed (exit code 1).
    """

    rows: Mapping[Table, list[Row]]
    state: State
    label: str
    scope: tuple[str, ...] | None = None
    warnings: tuple[str, ...] = ()
    held: tuple[str, ...] = ()

    def __len__(self) -> int:
        return sum(map(len, self.rows.values()))


@dataclass(frozen=True)
class Night:
    """What an endpoint may know of the run: its clock (vendor-independent), settings, states.

    `states`: the vendor's endpoints' states by name. `accept_shrink`: campaigns whose shorter
    list is taken as real ("*": all). `work_dir` keeps what must survive a crash. The states move
    on while the endpoints are read.
    """

    now: datetime
    settings: Mapping[str, Any]
    states: dict[str, State]
    vendor: str = ""
    accept_shrink: frozenset[str] = frozenset()
    work_dir: Path | None = None

    def state(self, endpoint: str) -> dict[str, Any]:
        return dict(self.states.get(endpoint, {}))


@dataclass(frozen=True)
class Windowed:
    """An endpoint with a time filter. `read` gets the API, the night and one window of it.

    It returns what it found, or the windows to read instead of one with too many rows at once.
    `step`: the widest window asked for. `keeps`: how far back the vendor still answers. `apart`:
    no reading of a window rests on that of another, so several may be read side by side; then each
    `Read` says what was `sent`.
    """

    name: str
    tables: tuple[Table, ...]
    step: timedelta
    read: Callable[[Api, Night, Window], Read | list[Window]]
    keeps: timedelta | None = None
    apart: bool = False

    def __post_init__(self) -> None:
        if self.step <= timedelta(0):
            raise ValueError("a step goes forward")


@dataclass(frozen=True)
class Listed:
    """An endpoint without a time filter: each night it is read as a whole, slice by slice."""

    name: str
    tables: tuple[Table, ...]
    read: Callable[[Api, Night], Iterator[Slice]]


Endpoint = Windowed | Listed


@dataclass(frozen=True)
class Finding:
    """One line of `outreach check`. `mend` says what to do where it is not ok."""

    level: Literal["ok", "warning", "failure"]
    text: str
    mend: str = ""


@dataclass(frozen=True)
class Vendor:
    """One vendor as the catalog lists it.

    `defaults`: its own configuration keys; REQUIRED where there is no default. `secrets`: all of
    them set turns the vendor on. `page_sizes`: the smallest and largest that it takes. `choices`:
    the values that a key may have. `probe` asks each endpoint for a little and says what it found;
    it never calls a read-once feed. `published` is told when everything that the states speak of is
    in the published file.
    """

    name: str
    defaults: Mapping[str, Any]
    secrets: tuple[str, ...]
    page_sizes: tuple[int, int]
    connect: Callable[[Mapping[str, Any], Meter], Api]
    endpoints: tuple[Endpoint, ...]
    probe: Callable[[Api, Night], Iterator[Finding]]
    published: Callable[[Path, Mapping[str, State]], None] = lambda _work_dir, _states: None
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def tables(self) -> tuple[Table, ...]:
        every = [table for endpoint in self.endpoints for table in endpoint.tables]
        return tuple(dict.fromkeys(every))


REQUIRED = object()
