"""`python -m tests.bench_million [--rows N]`: the memory of a first load of so many interactions.

It should be the same for ten thousand and for a million, which take some 15 minutes. The fake makes
its rows when they are asked for, evenly spread over 80 days, and runs in a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines import warehouse
from tests.bench import PROJECT, _timed
from tests.fakes.vonage import Interaction, Search, VonageFake

PATTERNS = 500
SPAN = timedelta(days=80)


class Endless(VonageFake):
    """A few hundred interactions, again and again, each with a guid and a time of its own."""

    def fill(self, count: int) -> None:
        self.seed(PATTERNS)
        self.patterns = [row.body for row in self.interactions.values()]
        self.count, self.first = count, self.now() - SPAN

    def _found(self, search: Search) -> Any:
        step = SPAN / self.count
        start = max(0, -(-(search.start - self.first) // step))
        end = min(self.count, (search.end - self.first) // step + 1)
        return Made(self, range(start, max(start, end)))


class Made:
    """Interactions of these numbers, made while they are walked over."""

    def __init__(self, fake: Endless, numbers: range) -> None:
        self.fake, self.numbers = fake, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, part: slice) -> "Made":
        return Made(self.fake, self.numbers[part])

    def __iter__(self) -> Iterator[Interaction]:
        for number in self.numbers:
            body = self.fake.patterns[number % PATTERNS]
            at: datetime = self.fake.first + number * SPAN / self.fake.count
            yield Interaction(
                body | {"guid": f"{number:08}-made", "start": f"{at:%Y-%m-%dT%H:%M:%SZ}"}, at, at
            )


def serve(count: int) -> None:
    with Endless() as fake:
        fake.fill(count)
        environ = {f"SOURCES__VONAGE__{k}".upper(): str(v) for k, v in fake.settings().items()}
        print(json.dumps(environ | {"SOURCES__VONAGE__REQUESTS_PER_MINUTE": "100000"}), flush=True)
        sys.stdin.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.rows)
        return
    for count in (10_000, options.rows):
        measure(count)


def measure(count: int) -> None:
    command = [sys.executable, "-m", "tests.bench_million", "--serve", "--rows", str(count)]
    with (
        tempfile.TemporaryDirectory() as at,
        subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout
        environ = os.environ | json.loads(process.stdout.readline())
        run = [sys.executable, "-m", "pipelines", "run", "--no-marts"]
        measured = _timed(run, Path(at), environ)
        process.terminate()
        with warehouse.reading(Path(at) / "warehouse.duckdb") as connection:
            (rows,) = connection.execute("select count(*) from vonage.interactions").fetchone() or (
                0,
            )
    print(
        f"{rows:,} interactions: {measured.seconds:.0f} s, {measured.cpu:.0f} s of CPU, "
        f"peak {measured.peak_mb:.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    main()
