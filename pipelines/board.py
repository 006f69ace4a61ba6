"""What a run is to do, and what is seen of it while it goes on."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sources._endpoints import Window
from sources._meter import Meter, Seconds

# waiting for the vendor; rows to Arrow; dlt's two; waiting for another vendor's load; the database
STAGES = ("network", "building", "extract", "normalize", "turn", "load")


@dataclass
class Progress:
    """One vendor's part of a run, as it goes on and as it ended."""

    vendor: str
    meter: Meter
    status: str = "running"  # running | ok | held | failed | refused | interrupted
    endpoint: str = ""
    label: str = ""
    rows: int = 0
    put_aside: set[tuple[str, str, str]] = field(default_factory=set)
    error: str | None = None
    warnings: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    slice_loaded: Callable[["Progress"], None] = lambda _progress: None

    @property
    def seconds(self) -> float:
        return ((self.ended_at or datetime.now(UTC)) - self.started_at).total_seconds()

    @property
    def extract_seconds(self) -> float:
        """Asking and building; it goes on while the slice before is loaded."""
        return self.meter.seconds["fetch"]

    @property
    def load_seconds(self) -> float:
        """In dlt and the database; waiting for another vendor's load is no part of it."""
        return sum(self.meter.seconds[stage] for stage in ("extract", "normalize", "load"))

    @property
    def stages(self) -> dict[str, float]:
        """Seconds by stage. They overlap: a vendor is asked while the slice before is loaded."""
        return {stage: self.meter.seconds[stage] for stage in STAGES}

    def as_row(self, run_id: str) -> dict[str, Any]:
        """A row of ops.runs."""
        return {
            "run_id": run_id,
            "vendor": self.vendor,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "status": self.status,
            "rows": self.rows,
            "requests": self.meter.requests,
            "extract_seconds": round(self.extract_seconds, 3),
            "load_seconds": round(self.load_seconds, 3),
            "stages": json.dumps({name: round(spent, 3) for name, spent in self.stages.items()}),
            "error": self.error,
            "warnings": json.dumps(self.held + self.warnings),
        }


@dataclass(frozen=True)
class Job:
    """What a run is to do: the vendors, and of one of them a span to load again."""

    vendors: Sequence[str]
    now: datetime
    command: str = "run"
    accept_shrink: Mapping[str, frozenset[str]] = field(default_factory=dict)
    span: Window | None = None
    marts: bool = True


@dataclass
class Board:
    """Who watches a run: each vendor's progress, what is said aloud, and the way to stop it."""

    say: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)
    vendors: dict[str, Progress] = field(default_factory=dict)
    slice_loaded: Callable[[Progress], None] = lambda _progress: None
    warnings: list[str] = field(default_factory=list)  # of the audit
    seconds: Seconds = field(default_factory=Seconds)  # of what is done for all vendors
