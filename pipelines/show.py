"""What a person sees of a run: live rows on a terminal, plain lines elsewhere, a summary."""

import json
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from .config import Config

if TYPE_CHECKING:
    from .board import Board, Progress

log = logging.getLogger("outreach")

LINE_EVERY = 5.0  # seconds between two plain lines of one vendor


def set_up_logging(log_format: str) -> None:
    """Logs go to stderr, as text or as one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(_JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    warnings.simplefilter("ignore")  # of libraries: nothing that a reader of the log could mend
    # one line for each slice and column of each Arrow table, and nothing to be done about it
    logging.getLogger("dlt").addFilter(lambda record: "arrow schema" not in record.getMessage())
    logging.getLogger("dlt").propagate = True
    log.setLevel(logging.INFO)


def is_json() -> bool:
    """Whether logs are JSON, as what ends a command then is, too."""
    return any(isinstance(each.formatter, _JsonLines) for each in logging.getLogger().handlers)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        said = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        return json.dumps(said | getattr(record, "figures", {}))


def let_output_go() -> None:
    """Nobody can take it any more: what is still written to it goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class Show:
    """One run on a terminal or in a log file."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """What nobody can read any more, on a full disk or behind a pipe that broke, is not told:
        a run has better to do than to fail over it."""
        try:
            self._console.print(text, markup=False)
            sys.stdout.flush()
        except (OSError, SystemExit) as error:  # rich's way out of a broken pipe
            log.warning("the output cannot be written (%s); the run goes on", type(error).__name__)
            let_output_go()

    @contextmanager
    def watching(self, board: "Board") -> Iterator[None]:
        """Live rows while the block runs, where there is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with Live(get_renderable=lambda: self._rows(board), console=self._console, transient=True):
            yield

    def slice_loaded(self, progress: "Progress") -> None:
        """A plain line now and then, where there is no terminal."""
        with self._lock:
            due = time.monotonic() - self._told.get(progress.vendor, 0.0) >= LINE_EVERY
            if self._console.is_terminal or not due:
                return
            self._told[progress.vendor] = time.monotonic()
        self.say(
            f"{progress.vendor}: {progress.endpoint} {progress.label}, {progress.rows:,} rows, "
            f"{progress.meter.requests:,} requests"
        )

    def _rows(self, board: "Board") -> Table:
        table = Table(box=None, pad_edge=False)
        for heading in ("vendor", "endpoint", "window"):
            table.add_column(heading, no_wrap=True)
        table.add_column("rows", justify="right")
        table.add_column("requests", justify="right")
        table.add_column("", no_wrap=True)
        for p in board.vendors.values():
            state = "waiting for the rate limit" if p.meter.waiting else p.status
            requests = f"{p.meter.requests:,}"
            table.add_row(p.vendor, p.endpoint, p.label, f"{p.rows:,}", requests, state)
        return table

    def summary(self, board: "Board", config: Config) -> None:
        """A line per vendor, what to know of it below, and where the warehouse is."""
        if is_json():
            _log_summary(board)
        for p in board.vendors.values():
            self.say(
                f"{p.vendor:8} {p.status:8} {p.rows:>9,} rows {p.meter.requests:>6,} requests "
                f"{p.seconds:>7.1f} s ({_seconds(p.stages)})"
            )
            for text in [f"error: {p.error}"] if p.error else []:
                self.say(f"         {text}")
            for text in p.held:
                self.say(f"         held back: {text}")
            for text in p.warnings[:5]:
                self.say(f"         warning: {text}")
            if len(p.warnings) > 5:
                self.say(f"         and {len(p.warnings) - 5} more warnings (ops.runs has all)")
        for name, why in config.off.items():
            self.say(f"{name:8} {why}")
        for text in board.warnings:
            self.say(f"audit    warning: {text}")
        if board.seconds:
            self.say(_seconds(board.seconds))
        self.say(f"published: {config.published}")

    def interrupted(self, board: "Board") -> None:
        self.say("interrupted; readers keep the warehouse as it was")
        for p in board.vendors.values():
            self.say(f"{p.vendor}: {p.rows:,} rows are kept, the next run goes on from there")


def _log_summary(board: "Board") -> None:
    """For machines: a line per vendor with its figures, and one for each thing to know."""
    for p in board.vendors.values():
        level = logging.ERROR if p.error else logging.WARNING if p.status != "ok" else logging.INFO
        figures = {"vendor": p.vendor, "status": p.status, "rows": p.rows}
        figures |= {"requests": p.meter.requests, "seconds": round(p.seconds, 3)}
        log.log(level, p.error or "; ".join(p.held) or p.status, extra={"figures": figures})
        for text in p.warnings:
            log.warning(text, extra={"figures": {"vendor": p.vendor}})
    for text in board.warnings:
        log.warning(text)


def print_table(headings: list[str], rows: list[list[Any]]) -> None:
    """Left-aligned columns, numbers to the right; wide as they need, without a terminal too."""
    texts = [[_text(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *texts, strict=True)]
    console = Console(highlight=False, soft_wrap=True)
    for source, row in zip([headings, *rows], [headings, *texts], strict=True):
        cells = [
            text.rjust(width) if isinstance(value, int | float) else text.ljust(width)
            for value, text, width in zip(source, row, widths, strict=True)
        ]
        console.print("  ".join(cells).rstrip(), markup=False)


def _seconds(stages: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {spent:.1f}" for name, spent in stages.items())


def _text(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}Z"
        case _:
            return str(value)
