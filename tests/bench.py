"""`make bench`: our loads beside dlt's own `rest_api` source, and the memory and time of a night.

The fakes run in a process of their own. Times are of whole processes, imports included; figures of
one machine mean little, the ratios are what to look at.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pipelines import catalog, config, files, publishing, warehouse
from pipelines.show import print_table

PROJECT = Path(__file__).parent.parent
LATE = 0.2  # seconds


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_mb: float
    cpu: float  # seconds, of all threads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="interactions of the first load")
    parser.add_argument("--runs", type=int, default=3, help="of which the median is taken")
    options = parser.parse_args()
    versions = ", ".join(f"{name} {version(name)}" for name in ("dlt", "duckdb", "pyarrow"))
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{versions}; median of {options.runs}\n")
    rows = [*_first_load(options.rows, options.runs), *_late(options.rows, options.runs)]
    rows += [*_memory(options.rows), *_computing(options.rows * 5 // 2, options.runs)]
    rows += [*_night(options.runs), *_changes(options.runs), *_publish(), *_starts(options.runs)]
    print_table(["work", "seconds", "CPU", "peak MB", "ratio"], rows)


def _first_load(count: int, runs: int) -> list[list[object]]:
    """A first load of nested interactions: ours, and dlt's rest_api with its defaults."""
    with fakes({"vonage": count}) as environ:
        ours = _median([_outreach(environ) for _ in range(runs)])
        theirs = _median([_rest_api(environ) for _ in range(runs)])
    return [
        [f"first load of {count:,} interactions, dlt rest_api", *_figures(theirs), None],
        [
            f"first load of {count:,} interactions, outreach run --no-marts",
            *_figures(ours),
            f"{ours.seconds / theirs.seconds:.0%} of rest_api",
        ],
    ]


def _late(count: int, runs: int) -> list[list[object]]:
    """Two vendors whose replies take 200 ms, four requests of each in flight; the others ask one
    after the other, and once, for they take minutes."""
    both = {"vonage": count, "avaamo": count}
    four = {"SOURCES__VONAGE__MAX_IN_FLIGHT": "4", "SOURCES__AVAAMO__MAX_IN_FLIGHT": "4"}
    with fakes(both, LATE) as environ, tempfile.TemporaryDirectory() as at:
        theirs, parquet = _rest_api(environ), _rest_api(environ, "parquet")
        measured = []
        for number in range(runs):
            folder = Path(at) / str(number)
            folder.mkdir()
            measured.append(_outreach(environ | four, folder))
        ours = _median(measured)
        requests = _sum_of_runs(folder, "requests")
        whole = _outreach(environ | four, marts=True)
    waiting = requests * LATE
    ratios = ", ".join(
        f"{ours.seconds / seconds:.0%} of {what}"
        for what, seconds in (
            ("rest_api", theirs.seconds),
            ("parquet", parquet.seconds),
            ("waiting", waiting),
        )
    )
    what = f"{count:,} interactions and insights each, replies {LATE * 1000:.0f} ms late"
    return [
        [f"{what}, dlt rest_api", *_figures(theirs), None],
        [f"{what}, dlt rest_api with parquet", *_figures(parquet), None],
        [
            f"{what}, waiting for our {requests} requests in turn",
            round(waiting, 1),
            None,
            None,
            None,
        ],
        [f"{what}, outreach run --no-marts", *_figures(ours), ratios],
        [
            f"{what}, outreach run",
            *_figures(whole),
            f"{whole.seconds / parquet.seconds:.0%} of parquet",
        ],
    ]


def _computing(count: int, runs: int) -> list[list[object]]:
    """The same interactions read by DuckDB alone: of the same replies, and of rows that were taken
    out of them beforehand, in a file."""
    script = [sys.executable, str(PROJECT / "tests" / "bench_duckdb.py")]
    theirs: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory() as at:
        _timed([*script, "write", at, str(count)], Path(at), dict(os.environ))
        for name in ("replies", "rows"):
            read = []
            for _ in range(runs):
                read.append(_timed([*script, "read", f"{at}/{name}"], Path(at), dict(os.environ)))
                (Path(at) / "loaded.duckdb").unlink()
            theirs[name] = _median(read)
    with fakes({"vonage": count}) as environ:
        ours = _median([_outreach(environ) for _ in range(runs)])
    ratios = [f"{ours.cpu / their.cpu:.1f} times that of {name}" for name, their in theirs.items()]
    return [
        *(
            [f"{count:,} interactions, DuckDB's read_json of {name}", *_figures(their), None]
            for name, their in theirs.items()
        ),
        [f"{count:,} interactions, outreach run --no-marts", *_figures(ours), ", ".join(ratios)],
    ]


def _memory(count: int) -> list[list[object]]:
    """The same with three times the history: the peak should not grow with it."""
    with fakes({"vonage": 3 * count}) as environ:
        measured = _outreach(environ)
    return [
        [
            f"first load of {3 * count:,} interactions, outreach run --no-marts",
            *_figures(measured),
            None,
        ]
    ]


def _night(runs: int) -> list[list[object]]:
    """A nightly run of all five vendors with nothing new."""
    with (
        fakes(dict.fromkeys(catalog.NAMES, 1_000)) as environ,
        tempfile.TemporaryDirectory() as at,
    ):
        _outreach(environ, Path(at), marts=True)
        measured = _median([_outreach(environ, Path(at), marts=True) for _ in range(runs)])
    return [["a night with nothing new, five vendors", *_figures(measured), None]]


def _changes(runs: int) -> list[list[object]]:
    """Nights of all five vendors with replies 50 ms late: nothing new, and about 1,000 changes."""
    with (
        _serving(dict.fromkeys(catalog.NAMES, 3_000), 0.05) as (environ, change),
        tempfile.TemporaryDirectory() as at,
    ):
        folder = Path(at)
        _outreach(environ, folder)
        before, quiet, busy = _sum_of_runs(folder, "rows"), [], []
        for _ in range(runs):
            quiet.append(_outreach(environ, folder))
            change()
            busy.append(_outreach(environ, folder))
        rows = (_sum_of_runs(folder, "rows") - before) // runs
    ratio = f"{_median(busy).seconds / _median(quiet).seconds:.1f} times, {rows:,} rows a pair"
    what = "a night of five vendors at 50 ms, --no-marts"
    return [
        [f"{what}, nothing new", *_figures(_median(quiet)), None],
        [f"{what}, 1,000 changes each", *_figures(_median(busy)), ratio],
    ]


def _publish(gigabytes: float = 2.0) -> list[list[object]]:
    """A publish of a large warehouse, beside a copy of the same file with fsync."""
    with tempfile.TemporaryDirectory() as at:
        settings = config.load(Path(at), {})
        connection = warehouse.open_work(settings, lambda _text: None)
        connection.execute(
            "create table ops.filler as select md5(range::varchar) as a, md5(range::varchar) as b "
            "from range(?)",
            [round(gigabytes * 27_000_000)],
        )
        connection.execute("checkpoint")
        work, copy = files.work_path(settings), Path(at) / "copy"
        copying = _clocked(lambda: _copy_durably(work, copy))
        copy.unlink()
        publish = _clocked(lambda: publishing.publish(settings, connection, "bench", print))
        size = settings.published.stat().st_size / 1e9
    return [
        [f"a copy of {size:.1f} GB with fsync", round(copying, 1), None, None, None],
        [
            f"a publish of {size:.1f} GB",
            round(publish, 1),
            None,
            None,
            f"{publish / copying:.1f} times",
        ],
    ]


def _copy_durably(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    with target.open("rb+") as file:
        os.fsync(file.fileno())


def _clocked(act: Callable[[], None]) -> float:
    started = time.monotonic()
    act()
    return time.monotonic() - started


def _starts(runs: int) -> list[list[object]]:
    """What a command takes that only looks, beside a bare Python."""
    with fakes(dict.fromkeys(catalog.NAMES, 100)) as environ, tempfile.TemporaryDirectory() as at:
        _outreach(environ, Path(at))
        commands = {"python -c pass": ["-c", "pass"]}
        commands |= {f"outreach {a}": ["-m", "pipelines", a] for a in ("--help", "status")}
        return [
            [name, round(measured.seconds, 2), round(measured.cpu, 2), None, None]
            for name, arguments in commands.items()
            for measured in [
                _median(
                    [_timed([sys.executable, *arguments], Path(at), environ) for _ in range(runs)]
                )
            ]
        ]


def _sum_of_runs(folder: Path, column: str) -> int:
    with warehouse.reading(folder / "warehouse.duckdb") as connection:
        found = connection.execute(f'select sum("{column}") from ops.runs').fetchone()
    return int(found[0]) if found else 0


def _figures(measured: Measured) -> list[object]:
    return [round(measured.seconds, 1), round(measured.cpu, 1), round(measured.peak_mb)]


def _median(measured: list[Measured]) -> Measured:
    return Measured(
        statistics.median(m.seconds for m in measured),
        max(m.peak_mb for m in measured),
        statistics.median(m.cpu for m in measured),
    )


@contextmanager
def fakes(rows: dict[str, int], late: float = 0.0) -> Iterator[dict[str, str]]:
    """The fakes in another process, each reply `late` seconds; the environment that leads there."""
    with _serving(rows, late) as (environ, _):
        yield environ


@contextmanager
def _serving(
    rows: dict[str, int], late: float
) -> Iterator[tuple[dict[str, str], Callable[[], None]]]:
    """Besides the environment, what lets about 1,000 rows of each vendor change."""
    command = [sys.executable, "-m", "tests.bench_fakes", json.dumps(rows), str(late)]
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        to, back = process.stdin, process.stdout
        assert to
        assert back

        def change() -> None:
            to.write("change\n")
            to.flush()
            back.readline()

        try:
            yield os.environ | json.loads(back.readline()), change
        finally:
            process.terminate()


def _outreach(
    environ: dict[str, str], folder: Path | None = None, *, marts: bool = False
) -> Measured:
    command = [sys.executable, "-m", "pipelines", "run", *([] if marts else ["--no-marts"])]
    with ExitStack() as stack:
        at = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        return _timed(command, at, environ)


def _rest_api(environ: dict[str, str], *options: str) -> Measured:
    with tempfile.TemporaryDirectory() as at:
        script = str(PROJECT / "tests" / "bench_rest_api.py")
        return _timed([sys.executable, script, *options], Path(at), environ)


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
    return Measured(seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


if __name__ == "__main__":
    main()
