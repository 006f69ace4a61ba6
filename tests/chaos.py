"""`make chaos`: the attacks of `tests.attacks`, again and again, from a seed.

python -m tests.chaos [--seed N] [--rounds N] [--only NAME] [--nights N]
"""

import argparse
import random
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from pipelines import catalog
from tests import attacks, longlife
from tests.siege import Siege

SERIES = 6  # attacks on one warehouse, before a new one is built


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--only", default="", help="attacks whose name holds this")
    parser.add_argument("--nights", type=int, default=0, help="then so many nights of a long life")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    tried, broke = Counter[str](), Counter[str]()
    rounds = iter(range(1, options.rounds + 1))
    while _series(options.seed, rounds, options.only, tried, broke):
        pass
    if options.nights:
        with tempfile.TemporaryDirectory() as folder:
            print(longlife.live(Path(folder), options.nights, options.seed), flush=True)
    for name, count in sorted(tried.items()):
        print(f"{name:28} {count:4} tried {count - broke[name]:4} survived")
    print(f"seed {options.seed}: {tried.total()} attacks, {broke.total()} broke a promise")
    return 1 if broke else 0


def _series(
    seed: int, rounds: Iterator[int], only: str, tried: Counter[str], broke: Counter[str]
) -> bool:
    """Some attacks on one warehouse; False when there are no rounds left."""
    number = next(rounds, 0)
    if not number:
        return False
    rng = random.Random(f"{seed}-{number}")
    vendors = list(catalog.NAMES) if rng.random() < 0.4 else rng.sample(list(catalog.NAMES), 2)
    chosen = [a for a in attacks.ATTACKS if only in a.__name__]
    weights = [attacks.ATTACKS[a] for a in chosen]
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    with ExitStack() as stack:
        siege = Siege(folder, rng, stack, vendors, rng.choice((20, 40, 80)))
        first = attacks.kill_in_a_first_load
        if rng.random() < 0.3 and only in first.__name__:
            if not _attack(number, first, siege, tried, broke):
                return True
        else:
            siege.wanted_marts = rng.random() < 0.5
            if not _attack(number, undisturbed, siege, tried, broke):
                return True
        for left in reversed(range(SERIES)):
            attack = rng.choices(chosen or [first], weights or [1])[0]
            if not _attack(number, attack, siege, tried, broke):
                return True
            number = next(rounds, 0) if left else number
            if not number:
                return False
    return True


def undisturbed(siege: Siege) -> str:
    """Without it the rest would prove nothing."""
    siege.calm()
    return f"{len(siege.fakes)} vendors{', marts too' if siege.wanted_marts else ''}"


def _attack(
    number: int,
    attack: Callable[[Siege], str],
    siege: Siege,
    tried: Counter[str],
    broke: Counter[str],
) -> bool:
    started, name = time.monotonic(), attack.__name__
    tried[name] += 1
    try:
        told = attack(siege)
    except Exception:
        broke[name] += 1
        print(f"{number:4} BROKE {name}, look at {siege.house.root}", flush=True)
        traceback.print_exc()
        return False
    print(f"{number:4} {name}: {told}, {time.monotonic() - started:.1f} s", flush=True)
    return True


if __name__ == "__main__":
    raise SystemExit(main())
