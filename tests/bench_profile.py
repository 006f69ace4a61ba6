"""`make profile`: where the seconds of a first load and of the night after it go.

The fakes run in a process of their own, each reply late by some milliseconds. A vendor's stages
overlap: it is asked while dlt handles the slice before. "turn" is waiting for another one's load.
"""

import argparse
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from pipelines import catalog, config
from pipelines.board import STAGES, Board, Job
from pipelines.run import run
from pipelines.show import print_table
from tests.bench import fakes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000, help="of each vendor's main table")
    parser.add_argument("--late", type=float, default=0.05, help="seconds by which a reply is late")
    options = parser.parse_args()
    with (
        fakes(dict.fromkeys(catalog.NAMES, options.rows), options.late) as environ,
        tempfile.TemporaryDirectory() as at,
    ):
        for what in ("first load", "night"):
            _run(what, config.load(Path(at), {**os.environ, **environ}))


def _run(what: str, settings: config.Config) -> None:
    board = Board(say=lambda _text: None)
    started = time.monotonic()
    code = run(settings, Job(config.wanted(settings, []), datetime.now(UTC)), board)
    seconds = time.monotonic() - started
    rest = ", ".join(f"{stage} {spent:.1f} s" for stage, spent in board.seconds.items())
    print(f"{what}: {seconds:.1f} s in all, exit code {code}; {rest}")
    rows = [
        [name, progress.rows, *progress.stages.values(), progress.seconds]
        for name, progress in board.vendors.items()
    ]
    print_table(["vendor", "rows", *STAGES, "in all"], rows)
    for name, progress in board.vendors.items():
        for why in filter(None, [progress.error, *progress.held]):
            print(f"{name}: {why}")
    print()


if __name__ == "__main__":
    main()
