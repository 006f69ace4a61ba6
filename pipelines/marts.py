"""The marts: dbt over the work file, in this process, between the last load and the publish."""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from datetime import datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sources._endpoints import Vendor
from sources._errors import Stopped

from . import audit, catalog, files, numbers, publishing, warehouse
from .config import Config
from .errors import AuditRefused
from .warehouse import Connection

PROJECT = Path(__file__).parent / "transform"
VARIABLES = (
    "timezone",
    "service_level_seconds",
    "short_abandon_seconds",
    "touch_ceiling_per_week",
)
SILENCE = ("--log-level", "none", "--log-level-file", "none", "--quiet", "--no-write-json")

Basis = dict[str, Any]  # all that the marts depend on: definitions, day, the vendors' contents


def basis(config: Config, connection: Connection, now: datetime) -> Basis:
    """What marts built now would show."""
    day = connection.execute("select timezone(?, ?)::date", [config.marts["timezone"], now])
    return {
        "definitions": _definitions(config),
        "day": str((day.fetchone() or [None])[0]),
        "contents": {name: _contents(connection, catalog.vendor(name)) for name in catalog.NAMES},
    }


def built_from(connection: Connection) -> Basis | None:
    """What the marts in this file were last completely built from."""
    row = connection.execute("select built_from from ops.marts").fetchone()
    built: Basis | None = json.loads(row[0]) if row and row[0] else None
    return built


def are_up_to_date(config: Config, connection: Connection, now: datetime) -> bool:
    """Whether they show all that is loaded, for today; loads that brought no row are none."""
    built, wanted = built_from(connection), basis(config, connection, now)
    return built is not None and _shown(built) == _shown(wanted)


def _shown(basis: Basis) -> list[Any]:
    newest = {name: contents["newest"] for name, contents in basis["contents"].items()}
    return [basis["definitions"], basis["day"], newest]


def build(
    config: Config,
    now: datetime,
    stop: threading.Event,
    models: Future[Any] | None = None,
) -> list[audit.Verdict]:
    """Build the marts in the work file, which nobody may have open, and test them.

    In proportion to what changed where the last build was a complete one of the same definitions
    and loads were only added since; from nothing otherwise. `models`: what `read_models` gave, or
    is about to. Raises AuditRefused where the SQL itself fails, Stopped when told to. Not complete
    before `accept` says so.
    """
    with closing(warehouse.connect_work(config)) as connection:
        whole = _prepare(config, connection, now)
    failed = _beside(lambda: _run_dbt(config, models, whole=whole), stop)
    with closing(warehouse.connect_work(config)) as connection:
        return audit.verdicts(connection, config, failed)


def _prepare(config: Config, connection: Connection, now: datetime) -> bool:
    """What the SQL reads besides the vendors' tables; whether all is to be built from nothing."""
    built = built_from(connection)
    whole = built is None or not _goes_on_from(built, basis(config, connection, now), connection)
    if whole:
        connection.execute("delete from ops.phone_numbers")
    through = {} if whole or not built else _through(built)
    numbers.normalise(connection, config.regions, through)
    connection.execute("delete from ops.marts")
    connection.execute(
        "insert into ops.marts (as_of, loaded_through) values (?, ?)", [now, json.dumps(through)]
    )
    return whole


def accept(config: Config, connection: Connection, now: datetime) -> None:
    """The audit has passed: the next build may go on from this one."""
    wanted = basis(config, connection, now)
    connection.execute(
        "update ops.marts set built_from = ?, loaded_through = ?, built_at = now()",
        [json.dumps(wanted), json.dumps(_through(wanted))],
    )


def put_unaccepted_back(config: Config, connection: Connection) -> None:
    """Marts whose build was cut short or refused become what was last published of them."""
    row = connection.execute("select built_from from ops.marts").fetchone()
    if row and row[0] is None:
        publishing.put_back(connection, config, "marts")
        connection.execute("delete from ops.marts")


def _through(basis: Basis) -> dict[str, str]:
    """What the SQL is told of the last build: per vendor its newest load, and the day."""
    through = {name: contents["through"] for name, contents in basis["contents"].items()}
    return {**through, "day": basis["day"]}


def _definitions(config: Config) -> str:
    """A hash of the SQL, the settings, and the releases that give the same SQL its meaning."""
    told = hashlib.sha256()
    for path in sorted(PROJECT.rglob("*")):
        name = path.relative_to(PROJECT)
        is_read = path.suffix in (".sql", ".yml") and path.is_file()
        if is_read and "raw" not in name.parts:  # those only describe
            told.update(str(name).encode() + path.read_bytes())
    told.update(Path(numbers.__file__).read_bytes())
    told.update(json.dumps([_variables(config), config.regions]).encode())
    told.update(" ".join(map(version, ("dbt-core", "dbt-duckdb", "phonenumbers"))).encode())
    return told.hexdigest()[:16]


def _variables(config: Config) -> dict[str, Any]:
    return {name: config.marts[name] for name in VARIABLES}


def _contents(connection: Connection, vendor: Vendor) -> dict[str, Any]:
    """What is loaded of a vendor, as far as marts show it: observations of queues are not."""
    through, loads = connection.execute(
        f"select coalesce(max(load_id), ''), count(*) from \"{vendor.name}\"._dlt_loads"
        if "_dlt_loads" in warehouse.tables_in(connection, vendor.name)
        else "select '', 0"
    ).fetchone() or ("", 0)
    newest = {}
    for table in vendor.tables:
        if table.is_observation or table.is_child:  # children change with their parents
            continue
        closed = "max(_dlt_valid_to)" if table.kept == "history" else "null"
        newest[table.name] = connection.execute(
            f'select max(_dlt_load_id), {closed}::varchar from "{vendor.name}"."{table.name}"'
        ).fetchone()
    return {"through": through, "loads": loads, "newest": json.loads(json.dumps(newest))}


def _goes_on_from(built: Basis, wanted: Basis, connection: Connection) -> bool:
    """Same definitions, and loads were only added: none put back, none dated before that build."""
    return (
        built["definitions"] == wanted["definitions"]
        and len(warehouse.tables_in(connection, "marts")) > 0
        and all(_only_added(connection, name, was) for name, was in built["contents"].items())
    )


def _only_added(connection: Connection, vendor: str, was: Mapping[str, Any]) -> bool:
    if not was["loads"]:
        return True
    if "_dlt_loads" not in warehouse.tables_in(connection, vendor):
        return False
    row = connection.execute(
        f'select count(*) from "{vendor}"._dlt_loads where load_id <= ?',
        [was["through"]],
    ).fetchone()
    return bool(row and row[0] == was["loads"])


# --- dbt -----------------------------------------------------------------------------------------


def read_models(config: Config) -> Any:
    """dbt's manifest of the models. Takes seconds and looks at no warehouse: done while vendors
    are waited for."""
    with dbt_runner() as new_runner:
        arguments = dbt_arguments(config, files.work_path(config))
        return _done(new_runner().invoke([*SILENCE, "parse", *arguments]))


def dbt_arguments(config: Config, database: Path) -> list[str]:
    """What every call of dbt is told: where things are, and the settings."""
    os.environ["OUTREACH_WAREHOUSE"] = str(database)
    return [
        *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
        *("--target-path", str(config.work_dir / "dbt"), "--log-path", str(config.work_dir)),
        *("--vars", json.dumps(_variables(config))),
    ]


@contextmanager
def dbt_runner() -> Iterator[Any]:
    """dbt's class for calls of it; at the end its connections are closed, or the file would stay
    open with its .wal."""
    os.environ.update(DO_NOT_TRACK="1", DBT_SEND_ANONYMOUS_USAGE_STATS="false")
    import dbt.mp_context

    # dbt starts no process, so its locks need none that clears up, and complains, after Ctrl-C
    fork: Any = get_context("fork")
    dbt.mp_context._MP_CONTEXT = fork  # noqa: SLF001  # dbt has no setting for it
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    try:
        yield dbtRunner
    finally:
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]  # dbt has no types


def _run_dbt(config: Config, models: Future[Any] | None, *, whole: bool) -> list[Any]:
    """Models, then tests; the results of tests that found rows."""
    manifest = (models and models.result()) or read_models(config)
    arguments = dbt_arguments(config, files.work_path(config))
    refresh = ["--full-refresh"] if whole else []
    with dbt_runner() as new_runner:
        runner = new_runner(manifest=manifest)
        _done(runner.invoke([*SILENCE, "run", *arguments, *refresh]))
        tests = _done(runner.invoke([*SILENCE, "test", *arguments]))
    return [result for result in tests.results if str(result.status) in ("fail", "warn")]


def _done(outcome: Any) -> Any:
    """What dbt made. Raises AuditRefused where it could not; a failed test is no such case."""
    if outcome.exception:
        why = warehouse.without_values(str(outcome.exception))
        raise AuditRefused(f"the marts cannot be built: {why}")
    for result in getattr(outcome.result, "results", ()):
        status, severity = str(result.status), str(getattr(result.node.config, "severity", "error"))
        # skipped: what it is built from has failed; a test that only warns stops nothing
        if status in ("error", "skipped") and severity.lower() == "error":
            why = warehouse.without_values(str(result.message or "see the models before it"))
            raise AuditRefused(f"{result.node.name} cannot be built: {why}")
    return outcome.result


def _beside(work: Callable[[], Any], stop: threading.Event) -> Any:
    """Do it in a thread, so that this one stays awake for signals. Raises Stopped."""
    done: list[Any] = []
    failed: list[BaseException] = []

    def task() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001  # it is raised again below
            failed.append(error)

    thread = threading.Thread(target=task, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
        if stop.is_set():
            raise Stopped
    if failed:
        raise failed[0]
    return done[0]
