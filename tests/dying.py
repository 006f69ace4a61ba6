"""A command in a process of its own that can be told at which moment to die.

The processes are forked from one that has imported everything, so that an attack costs no more than
the run it disturbs. What is patched is patched here, in the process that is to die: the product has
no hooks for it.
"""

import itertools
import json
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent
PRELOADED = (
    *("pipelines.__main__", "pipelines.run", "pipelines.load", "pipelines.show", "dlt"),
    *("dbt.cli.main", "dbt.adapters.duckdb", "phonenumbers"),
)
FILES = {"open", "os.rename", "os.remove", "os.link", "os.chmod", "shutil.copyfile"}

#: stage of a run: the function whose n-th call is the moment
STAGES = {
    "asking a vendor": "sources._gate.Gate._pass",
    "reading a reply": "sources._api.Api._reply",
    "writing the diary": "sources._journal.write_durably",
    "between slices": "pipelines.load.VendorLoad.load",
    "writing a mark": "pipelines.load.VendorLoad._mark",
    "extracting": "dlt.pipeline.pipeline.Pipeline.extract",
    "normalizing": "dlt.pipeline.pipeline.Pipeline.normalize",
    "loading": "dlt.pipeline.pipeline.Pipeline.load",
    "in the load's SQL": "dlt.destinations.impl.duckdb.sql_client.DuckDbSqlClient.execute_query",
    "adding a table": "dlt.destinations.impl.duckdb.duck.DuckDbCopyJob.run",
    "removing earlier versions": "pipelines.load.remove_earlier",
    "after a load": "pipelines.load.VendorLoad._loaded",
    "settling what did not end": "pipelines.broken.settle",
    "putting back": "pipelines.publishing.put_back",
    "in the marts' SQL": "dbt.adapters.sql.connections.SQLConnectionManager.add_query",
    "accepting the marts": "pipelines.marts.accept",
    "publishing": "pipelines.publishing.publish",
    "copying": "pipelines.publishing._copy",
    "half a copy": "shutil.copyfile",
    "stripping the copy": "pipelines.publishing._strip",
    "stamping": "pipelines.warehouse.write_stamp",
    "keeping earlier files": "pipelines.files.keep_earlier",
    "replacing": "pathlib.Path.replace",
    "syncing a folder": "sources._journal.sync_folder",
    "after the publish": "sources._journal.Journal.forget",
    "touching a file": "",
}


@dataclass(frozen=True)
class Death:
    """At the `nth` time of a stage, before or after it, this signal."""

    stage: str
    nth: int = 1
    after: bool = False
    number: signal.Signals = signal.SIGKILL

    def __str__(self) -> str:
        when = "after" if self.after else "before"
        return f"{self.number.name} {when} {self.stage} no. {self.nth}"


@dataclass
class Ended:
    """How a command ended. `code` is negative where a signal ended it."""

    code: int
    output: str
    seconds: float
    orphans: list[int]


class Command:
    """`outreach ARGUMENTS` under way in a folder."""

    def __init__(
        self,
        root: Path,
        environ: Mapping[str, str],
        arguments: Sequence[str],
        death: Death | None = None,
        file_limit: int | None = None,
        patches: Mapping[str, Any] | None = None,
    ) -> None:
        """`patches`: values of module variables by their full names, such as timeouts."""
        self._output = root / f"output{next(_numbers)}.txt"
        self._started = time.monotonic()
        self.process = _context().Process(
            target=_live,
            args=(
                str(root),
                self._output.name,
                dict(environ),
                list(arguments),
                death,
                file_limit,
                dict(patches or {}),
            ),
            daemon=True,
        )
        self.process.start()

    @property
    def pid(self) -> int:
        assert self.process.pid
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        if self.process.is_alive():
            os.kill(self.pid, number)

    def wait(self, seconds: float = 240.0) -> Ended:
        """Its end; one that does not end is killed and told by the code 999."""
        self.process.join(seconds)
        late = self.process.is_alive()
        if late:
            self.process.kill()
            self.process.join()
        took = time.monotonic() - self._started
        output = self._output.read_text(errors="replace") if self._output.exists() else ""
        self._output.unlink(missing_ok=True)
        orphans = _session(self.pid)
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
        return Ended(999 if late else self.process.exitcode or 0, output, took, orphans)


def calls_of(root: Path) -> dict[str, int]:
    """How often each stage was passed in the last command that ended by itself."""
    counts: dict[str, int] = json.loads((root / "calls.json").read_text())
    return counts


def cost_of(root: Path) -> dict[str, float]:
    """`cpu_seconds` and `peak_kb` of the last command that ended by itself."""
    cost: dict[str, float] = json.loads((root / "cost.json").read_text())
    return cost


def _context() -> ForkServerContext:
    global _made
    if _made is None:
        _made = multiprocessing.get_context("forkserver")
        _made.set_forkserver_preload(list(PRELOADED))
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PROJECT), before)))
    return _made


_made: ForkServerContext | None = None
_numbers = itertools.count(1)


def _session(leader: int) -> list[int]:
    """Processes that outlived the leader of their session."""
    found = []
    for entry in Path("/proc").iterdir() if Path("/proc/self/stat").exists() else ():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == leader:
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if pid != leader]


# --- in the process that dies --------------------------------------------------------------------


def _live(
    root: str,
    output: str,
    environ: dict[str, str],
    arguments: list[str],
    death: Death | None,
    file_limit: int | None,
    patches: dict[str, Any],
) -> None:
    os.setsid()
    os.chdir(root)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    for name in [n for n in os.environ if n.startswith(("SOURCES__", "WAREHOUSE__", "MARTS__"))]:
        del os.environ[name]
    os.environ.update(environ)
    sys.argv = ["outreach", *arguments]
    from pipelines.__main__ import main

    waits = ("sources._session.BACKOFF", "sources._gate.REST", "sources._api.BREATH")
    usual: dict[str, Any] = dict.fromkeys(waits, 0.01)
    usual["pipelines.gather.ENOUGH_ROWS"] = 8  # several loads of each vendor
    for name, value in (usual | patches).items():
        setattr(_found(name.rpartition(".")[0]), name.rpartition(".")[2], value)
    counts = _arm(death)
    if file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, resource.RLIM_INFINITY))
    try:
        main()
    finally:
        if file_limit is None:
            Path("calls.json").write_text(json.dumps(counts))
            used = resource.getrusage(resource.RUSAGE_SELF)
            cost = {"cpu_seconds": used.ru_utime + used.ru_stime, "peak_kb": used.ru_maxrss}
            Path("cost.json").write_text(json.dumps(cost))


def _arm(death: Death | None) -> dict[str, int]:
    """Count the calls of all stages and die at the one that was named."""
    counts = dict.fromkeys(STAGES, 0)
    lock = threading.Lock()

    def passed(stage: str) -> bool:
        with lock:
            counts[stage] += 1
            return bool(death and death.stage == stage and death.nth == counts[stage])

    def die() -> None:
        assert death
        os.kill(os.getpid(), death.number)
        if death.number != signal.SIGKILL:
            time.sleep(0.05)  # the main thread sees the signal before the stage goes on

    for stage, target in STAGES.items():
        if target:
            _wrap(target, stage, passed, die, after=bool(death and death.after))
    folder = str(Path.cwd())

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in FILES or not str(arguments[0]).startswith(folder):
            return
        reading = event == "open" and not set(str(arguments[1])) & set("wa+x")
        if not reading and passed("touching a file"):
            die()

    sys.addaudithook(hook)
    return counts


def _wrap(
    target: str, stage: str, passed: Callable[[str], bool], die: Callable[[], None], *, after: bool
) -> None:
    path, _, name = target.rpartition(".")
    owner = _found(path)
    original = getattr(owner, name)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        now = passed(stage)
        if now and stage == "half a copy":
            _copy_half(*args)
            die()
        if now and not after:
            die()
        result = original(*args, **kwargs)
        if now and after:
            die()
        return result

    setattr(owner, name, wrapper)
    if name in ("write_durably", "sync_folder"):  # imported by name
        for module in ("pipelines.broken", "pipelines.load", "pipelines.publishing"):
            if hasattr(import_module(module), name):
                setattr(import_module(module), name, wrapper)


def _found(path: str) -> Any:
    """A module, or a class in one."""
    try:
        return import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(import_module(module), name)


def _copy_half(source: Any, target: Any, **_: Any) -> None:
    data = Path(source).read_bytes()
    Path(target).write_bytes(data[: len(data) // 2])
