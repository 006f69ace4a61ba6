"""Serves fakes for `tests.bench` until it is ended: prints the environment that leads to them.

A line on stdin lets about 1,000 rows of each vendor change, and is answered with one.
"""

import json
import sys
from contextlib import ExitStack

from tests.cases import CASES

#: days that have to pass at once for about 1,000 changed rows
DAYS = {"vonage": 75, "avaamo": 65, "inwise": 60, "koreai": 5, "dialer": 5}


def main() -> None:
    rows: dict[str, int] = json.loads(sys.argv[1])
    environ: dict[str, str] = {}
    with ExitStack() as stack:
        fakes = {}
        for name, count in rows.items():
            fake = stack.enter_context(CASES[name].fake())
            fakes[name] = fake
            fake.seed(count)
            fake.latency = float(sys.argv[2])
            for key, value in fake.settings().items():
                environ[f"SOURCES__{name}__{key}".upper()] = str(value)
            environ[f"SOURCES__{name}__REQUESTS_PER_MINUTE".upper()] = "100000"
        print(json.dumps(environ), flush=True)
        for _ in sys.stdin:
            for name, fake in fakes.items():
                for _ in range(DAYS[name]):
                    fake.change()
            print("changed", flush=True)


if __name__ == "__main__":
    main()
