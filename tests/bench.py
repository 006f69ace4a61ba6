"""`make bench`: our loads beside dlt's own `rest_api` source, and the memory and time of a night.

The fakes run in a process of their own. Times are of whole processes, imports included; figures of
one machine mean little, the ratios are what to look at.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pipelines import catalog
from pipelines.show import print_table

PROJECT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="interactions of the first load")
    parser.add_argument("--runs", type=int, default=3, help="of which the median is taken")
    options = parser.parse_args()
    versions = ", ".join(f"{name} {version(name)}" for name in ("dlt", "duckdb", "pyarrow"))
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{versions}; median of {options.runs}\n")
    rows = [*_first_load(options.rows, options.runs), *_memory(options.rows)]
    rows += _night(options.runs)
    print_table(["work", "seconds", "peak MB", "ratio"], rows)


def _first_load(count: int, runs: int) -> list[list[object]]:
    """A first load of nested interactions: ours, and dlt's rest_api with its defaults."""
    with _fakes({"vonage": count}) as environ:
        ours = _median([_outreach(environ) for _ in range(runs)])
        theirs = _median([_rest_api(environ) for _ in range(runs)])
    return [
        [f"first load of {count:,} interactions, dlt rest_api", *_figures(theirs), None],
        [
            f"first load of {count:,} interactions, outreach run",
            *_figures(ours),
            f"{ours.seconds / theirs.seconds:.0%} of rest_api",
        ],
    ]


def _memory(count: int) -> list[list[object]]:
    """The same with three times the history: the peak should not grow with it."""
    with _fakes({"vonage": 3 * count}) as environ:
        measured = _outreach(environ)
    return [[f"first load of {3 * count:,} interactions, outreach run", *_figures(measured), None]]


def _night(runs: int) -> list[list[object]]:
    """A nightly run of all five vendors with nothing new."""
    with (
        _fakes(dict.fromkeys(catalog.NAMES, 1_000)) as environ,
        tempfile.TemporaryDirectory() as at,
    ):
        _outreach(environ, Path(at))
        measured = _median([_outreach(environ, Path(at)) for _ in range(runs)])
    return [["a night with nothing new, five vendors", *_figures(measured), None]]


def _figures(measured: Measured) -> list[object]:
    return [round(measured.seconds, 1), round(measured.peak_mb)]


def _median(measured: list[Measured]) -> Measured:
    return Measured(
        statistics.median(m.seconds for m in measured), max(m.peak_mb for m in measured)
    )


@contextmanager
def _fakes(rows: dict[str, int]) -> Iterator[dict[str, str]]:
    """The fakes in another process; the environment that leads there."""
    command = [sys.executable, "-m", "tests.bench_fakes", json.dumps(rows)]
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            yield os.environ | json.loads(process.stdout.readline())
        finally:
            process.terminate()


def _outreach(environ: dict[str, str], folder: Path | None = None) -> Measured:
    with ExitStack() as stack:
        at = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        return _timed([sys.executable, "-m", "pipelines", "run"], at, environ)


def _rest_api(environ: dict[str, str]) -> Measured:
    with tempfile.TemporaryDirectory() as at:
        script = str(PROJECT / "tests" / "bench_rest_api.py")
        return _timed([sys.executable, script], Path(at), environ)


def _timed(command: list[str], folder: Path, environ: dict[str, str]) -> Measured:
    """A whole process: wall time, and its own peak of memory as the system accounts it."""
    path = {"PYTHONPATH": str(PROJECT)}
    with (folder / "output").open("w") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=folder, env=environ | path, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
    if process.returncode:
        raise SystemExit(f"{command} failed:\n{(folder / 'output').read_text()}")
    return Measured(seconds, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
