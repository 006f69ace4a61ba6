"""Serves fakes for `tests.bench` until it is ended: prints the environment that leads to them."""

import json
import sys
from contextlib import ExitStack

from tests.cases import CASES


def main() -> None:
    rows: dict[str, int] = json.loads(sys.argv[1])
    environ: dict[str, str] = {}
    with ExitStack() as stack:
        for name, count in rows.items():
            fake = stack.enter_context(CASES[name].fake())
            fake.seed(count)
            fake.latency = float(sys.argv[2])
            for key, value in fake.settings().items():
                environ[f"SOURCES__{name}__{key}".upper()] = str(value)
            environ[f"SOURCES__{name}__REQUESTS_PER_MINUTE".upper()] = "100000"
        print(json.dumps(environ), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
