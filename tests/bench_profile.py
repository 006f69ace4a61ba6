"""`make profile`: where the seconds of a first load and of the night after it go.

The fakes run in a process of their own, each reply late by some milliseconds. A vendor's stages
overlap: it is asked while dlt handles the slice before. "turn" is waiting for another one's load.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines import catalog, config, marts, warehouse
from pipelines.board import Board, Job
from pipelines.run import run
from pipelines.show import print_table
from tests.bench import fakes

STAGES = ("network", "building", "extract", "normalize", "turn", "load")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000, help="of each vendor's main table")
    parser.add_argument("--late", type=float, default=0.05, help="seconds by which a reply is late")
    options = parser.parse_args()
    whole: dict[str, float] = {}
    _time(warehouse, "publish", whole)
    _time(marts, "build", whole)
    with (
        fakes(dict.fromkeys(catalog.NAMES, options.rows), options.late) as environ,
        tempfile.TemporaryDirectory() as at,
    ):
        for what in ("first load", "night"):
            _run(what, config.load(Path(at), {**os.environ, **environ}), whole)


def _run(what: str, settings: config.Config, whole: dict[str, float]) -> None:
    whole.clear()
    board = Board(say=lambda _text: None)
    started = time.monotonic()
    code = run(settings, Job(config.wanted(settings, []), datetime.now(UTC)), board)
    seconds = time.monotonic() - started
    rest = ", ".join(f"{stage} {took:.1f} s" for stage, took in whole.items())
    print(f"{what}: {seconds:.1f} s in all, exit code {code}; {rest}")
    rows = []
    for name, progress in board.vendors.items():
        spent = progress.meter.seconds
        spent["building"] = spent["fetch"] - spent["network"]
        rows.append([name, progress.rows, *(spent[s] for s in STAGES), progress.seconds])
    print_table(["vendor", "rows", *STAGES, "in all"], rows)
    print()


def _time(module: Any, name: str, into: dict[str, float]) -> None:
    """The function tells from now on how long it took."""
    inner: Callable[..., Any] = getattr(module, name)

    def timed(*arguments: Any) -> Any:
        started = time.monotonic()
        try:
            return inner(*arguments)
        finally:
            into[name] = into.get(name, 0.0) + time.monotonic() - started

    setattr(module, name, timed)


if __name__ == "__main__":
    main()
