"""Many nights of one warehouse, each a process of its own, the clock moved on a day each time."""

import random
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from pipelines import catalog
from tests.attacks import a_fault
from tests.cases import CASES
from tests.dying import Command, cost_of
from tests.fakes._server import Fake
from tests.fakes.dialer import DialerFake
from tests.house import House, assert_table

MARTS_EVERY = 7  # nights
MOST_WAVES = 6  # campaigns of the dialer at a time, or each night would ask for more than the last


@dataclass(frozen=True)
class Nightly:
    """What one night cost. Sizes in bytes; `seconds` of CPU, and the peak of `memory`."""

    seconds: float
    memory: float
    work: int
    published: int
    residue: int  # of the work folder besides the work file
    files: int
    rows: int


@dataclass(frozen=True)
class Life:
    nights: list[Nightly]
    compact: int

    def __str__(self) -> str:
        first, last = self._quarter(1), self._quarter(3)
        return (
            f"{len(self.nights)} nights: a night without marts took "
            f"{_median(first, lambda n: n.seconds):.2f} s of CPU in the second quarter and "
            f"{_median(last, lambda n: n.seconds):.2f} s in the last, "
            f"memory {_median(first, lambda n: n.memory) / 1e6:.0f} and "
            f"{_median(last, lambda n: n.memory) / 1e6:.0f} MB; published "
            f"{self.nights[-1].published / 1e6:.1f} MB (compact {self.compact / 1e6:.1f}), work "
            f"{self.nights[-1].work / 1e6:.1f} MB, residue {self.nights[-1].residue / 1e3:.0f} kB "
            f"in {self.nights[-1].files} files, {self.nights[-1].rows:,} rows"
        )

    def _quarter(self, number: int) -> list[Nightly]:
        size = len(self.nights) // 4
        return self.nights[number * size : (number + 1) * size]

    def grows(self, what: Callable[[Nightly], float]) -> float:
        """How much more it is in the last quarter than in the second."""
        return _median(self._quarter(3), what) / max(_median(self._quarter(1), what), 1e-9)


def _median(nights: Sequence[Nightly], what: Callable[[Nightly], float]) -> float:
    return statistics.median(map(what, nights)) if nights else 0.0


def live(
    root: Path, nights: int, seed: int, vendors: Sequence[str] = catalog.NAMES, rows: int = 40
) -> Life:
    """So many nights with the usual faults; raises AssertionError where the content is wrong."""
    rng = random.Random(seed)
    clock = [datetime.now(UTC) - timedelta(days=nights)]
    lived: list[Nightly] = []
    with ExitStack() as stack:
        fakes = [stack.enter_context(CASES[name].fake()) for name in vendors]
        for fake in fakes:
            fake.now = lambda: clock[0]
            fake.seed(rows)
        house = House(root, *fakes, **{f"{v}__requests_per_minute": 60_000 for v in vendors})
        for number in range(1, nights + 1):
            night = _night(house, fakes, clock[0], rng, marts=number % MARTS_EVERY == 0)
            if number % MARTS_EVERY:
                lived.append(night)
            clock[0] += timedelta(days=1)
            for fake in fakes:
                _day(fake)
        for fake in fakes:
            fake.faults.clear()
        assert house.run(now=clock[0]) == 0, [house.error(v) for v in vendors]
        for fake in fakes:
            _holds(house, fake)
        return Life(lived, _compact_size(house))


def _holds(house: House, fake: Fake) -> None:
    """What the vendor holds is there. Two edges that nobody need agree on are left out: the moment
    at which the dialer deleted a campaign, and the minute at which a campaign of inwise has been
    silent for 30 days."""
    for name, rows in fake.expected().items():
        held = house.rows(fake.vendor, name)
        if (fake.vendor, name) == ("dialer", "campaigns"):
            ids = {row["id"]: row["deleted_at"] is None for row in rows}
            assert {r["id"]: r["deleted_at"] is None for r in held} == ids
        elif name == "activities_summary":
            counted = {row["campaign_id"]: row for row in held}
            assert [counted[row["campaign_id"]] | row for row in rows] == [
                counted[row["campaign_id"]] for row in rows
            ]
        else:
            assert_table(house, fake.vendor, name, rows)


def _day(fake: Fake) -> None:
    fake.faults.clear()
    fake.change()
    if isinstance(fake, DialerFake):
        while len(fake.campaigns) > MOST_WAVES:
            fake.remove_campaign(next(iter(fake.campaigns)))


def _night(
    house: House, fakes: Sequence[Fake], now: datetime, rng: random.Random, *, marts: bool
) -> Nightly:
    if rng.random() < 0.3:
        fault = a_fault(rng)
        fault.times = min(fault.times, 2)
        rng.choice(fakes).faults.append(fault)
    clock = {"pipelines.__main__._now": partial(datetime.fromisoformat, now.isoformat())}
    arguments = ["run"] if marts else ["run", "--no-marts"]
    ended = Command(house.root, house.environ, arguments, patches=clock).wait()
    assert ended.code in (0, 1), ended.output
    cost = cost_of(house.root)
    published, work = house.config.published, house.config.work_dir / "work.duckdb"
    rest = [p for p in house.config.work_dir.rglob("*") if p.is_file() and p != work]
    return Nightly(
        cost["cpu_seconds"],
        cost["peak_kb"] * 1024,
        work.stat().st_size,
        published.stat().st_size,
        sum(p.stat().st_size for p in rest),
        len(rest),
        sum(n for (n,) in house.sql("select estimated_size from duckdb_tables()")),
    )


def _compact_size(house: House) -> int:
    import duckdb

    target = house.root / "compact.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"attach '{house.config.published}' as full_one (read_only)")
        connection.execute(f"attach '{target}' as compact (storage_version 'v1.0.0')")
        connection.execute("copy from database full_one to compact")
    return target.stat().st_size
