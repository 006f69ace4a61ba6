"""A whole run: every vendor side by side, one load at a time, then marts, audit and publish.

One vendor's failure is that vendor's alone: it is told in the summary, in ops.runs and by the exit
code, and what the others loaded is published.
"""

import logging
import os
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

# Before dlt is imported: no telemetry, no signal handlers of its own, load ids on Arrow tables.
os.environ.update(
    RUNTIME__DLTHUB_TELEMETRY="false",
    RUNTIME__INTERCEPT_SIGNALS="false",
    RUNTIME__LOG_LEVEL="CRITICAL",  # a failed job's trace quotes rows; its error is told by us
    NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID="true",
    LOAD__DELETE_COMPLETED_JOBS="true",
    LOAD__TRUNCATE_STAGING_DATASET="true",  # or each checkpoint writes what was merged once more
)

from sources._errors import Stopped
from sources._meter import Meter

from . import audit, broken, catalog, comments, marts, publishing, records, warehouse
from .board import Board, Job, Progress
from .config import Config
from .errors import AuditRefused, ConfigError, Refused
from .lock import locked

GRACE_SECONDS = 4.0  # from the signal to the end, for loads that are under way

log = logging.getLogger("outreach")


def run(config: Config, job: Job, board: Board) -> int:
    """Load, publish, and say how it went. Returns the exit code.

    Raises Busy and Refused before anything is touched, AuditRefused where nothing was published,
    Stopped when told to.
    """
    warehouse.refuse_a_missing_one(config)
    _refuse_an_unwritable_report(config)
    with locked(config, job.command), warehouse.disk_trouble_told(config):
        connection = warehouse.open_work(config, board.say)
        try:
            return _run(config, job, board, connection)
        finally:
            if not board.stop.is_set():
                _write_report(config, board)


def _refuse_an_unwritable_report(config: Config) -> None:
    if config.marts["report"]:
        from .report import default_path, refuse_unwritable

        refuse_unwritable(default_path(config), "[marts] report")


def _write_report(config: Config, board: Board) -> None:
    """The page of what is published now; also after a refused audit, for it says how old that is.

    The run has done its work: a page that cannot be written is told, and no more.
    """
    if not config.marts["report"] or not config.published.exists():
        return
    from .report import write

    try:
        board.say(f"report: {write(config, datetime.now(UTC))}")
    except (OSError, ConfigError, Refused) as error:
        board.say(f"the report could not be written: {error}")


def _run(config: Config, job: Job, board: Board, connection: warehouse.Connection) -> int:
    from .load import VendorLoad, name_loads
    from .one_vendor import work

    kind = "backfill-" if job.span else ""
    run_id = f"{kind}{job.now:%Y%m%dT%H%M%S}-{os.urandom(3).hex()}"
    tag = f" {job.span}" if job.span else ""
    turn = threading.Lock()
    broken.make_ready(config, connection, tag, board.say)
    name_loads(connection, board.say)
    meters = {name: Meter(stop=board.stop) for name in job.vendors}
    loads = {
        name: VendorLoad(
            catalog.vendor(name),
            connection,
            config.work_dir,
            turn,
            tag,
            meter,
            put_aside=(run_id, job.now) if config.sources[name]["put_aside"] else None,
        )
        for name, meter in meters.items()
    }
    for name, meter in meters.items():
        board.vendors[name] = Progress(name, meter, slice_loaded=board.slice_loaded)
    records.record_runs(connection, [p.as_row(run_id) for p in board.vendors.values()])
    threads = [
        threading.Thread(target=work, args=(config, job, loads[name], progress), daemon=True)
        for name, progress in board.vendors.items()
    ]
    models = None
    if job.marts:
        outdated = not marts.are_up_to_date(config, connection, job.now)
        models = _read_models_meanwhile(config, board, loads.values(), outdated=outdated)
    _wait_for(threads, board.stop)
    if board.stop.is_set():
        raise Stopped
    not_theirs = broken.put_broken_back(config, connection, board)
    records.record_runs(connection, [p.as_row(run_id) for p in board.vendors.values()])
    if job.marts:
        with board.seconds.timed("marts"):
            connection, refused = _marts(config, connection, job, board, run_id, models)
        not_theirs |= refused
    records.record_runs(connection, [p.as_row(run_id) for p in board.vendors.values()])
    # as the warehouse has them: dlt's own may be ahead of a load that failed
    states = {n: records.vendor_states(connection, n) for n in job.vendors if n not in not_theirs}
    with board.seconds.timed("publish"):
        marts.put_unaccepted_back(config, connection)
        comments.describe(connection)
        publishing.publish(config, connection, run_id, board.say)
    for name, state in states.items():
        catalog.vendor(name).published(config.work_dir, state)
    all_good = all(p.status == "ok" for p in board.vendors.values())
    return 0 if all_good and not not_theirs else 1


def _read_models_meanwhile(
    config: Config, board: Board, loads: Collection[Any], *, outdated: bool
) -> Future[Any]:
    """dbt takes seconds to import and to read the models: done while vendors are waited for, as
    soon as it is known that they are needed. None where they never were."""
    models: Future[Any] = Future()

    def task() -> None:
        read = None
        try:
            while not all(progress.ended_at for progress in board.vendors.values()):
                if outdated or any(load.changed for load in loads):
                    read = marts.read_models(config)
                    break
                if board.stop.wait(0.1):
                    break
        except Exception:  # it is told when they are read again
            log.debug("the models cannot be read", exc_info=True)
        finally:
            models.set_result(read)

    threading.Thread(target=task, daemon=True).start()
    return models


def _marts(
    config: Config,
    connection: warehouse.Connection,
    job: Job,
    board: Board,
    run_id: str,
    models: Future[Any] | None,
) -> tuple[warehouse.Connection, set[str]]:
    """The marts built and audited, unless they show all that is loaded already.

    Closes the connection; returns a new one and the vendors refused. Raises AuditRefused.
    """
    if marts.are_up_to_date(config, connection, job.now):
        return connection, set()
    connection.close()
    try:
        refused = _build_marts(config, job, board, models)
    except AuditRefused as why:
        for progress in board.vendors.values():
            if progress.status == "ok":
                progress.status, progress.error = "refused", str(why)
        with closing(warehouse.connect_work(config)) as connection:
            records.record_runs(connection, [p.as_row(run_id) for p in board.vendors.values()])
        raise
    return warehouse.connect_work(config), refused


def _build_marts(config: Config, job: Job, board: Board, models: Future[Any] | None) -> set[str]:
    """Build and test; a vendor whose rows are refused is put back, and all is built again.

    Returns the vendors refused. Raises AuditRefused where it is no vendor's fault alone.
    """
    refused: set[str] = set()
    (config.work_dir / audit.REFUSED).unlink(missing_ok=True)
    while True:
        found = marts.build(config, job.now, board.stop, models)
        models = None  # dbt writes into what it is given
        nobodys = [v for v in found if v.severity == "error" and not v.vendors]
        if nobodys:
            raise AuditRefused(f"{'; '.join(map(str, nobodys))}; {audit.how_to_look(config)}")
        blame = audit.blamed(found)
        with closing(warehouse.connect_work(config)) as connection:
            if blame.keys() <= refused:  # what was published before stays, whatever it is like
                marts.accept(config, connection, job.now)
                board.warnings = [str(v) for v in found if v.severity == "warn"]
                return refused
            for name in blame.keys() - refused:
                _refuse(config, connection, name, blame[name], board)
        refused |= blame.keys()


def _refuse(
    config: Config,
    connection: warehouse.Connection,
    name: str,
    failed: Sequence[audit.Verdict],
    board: Board,
) -> None:
    """The audit refuses this vendor's rows: it becomes what was last published of it."""
    why = "; ".join(map(str, failed))
    look = audit.how_to_look(config)
    if not config.published.exists() and warehouse.was_published(connection):
        raise AuditRefused(
            f"{name}: its rows are refused, and there is no published file to put it back from: "
            f"{why}; {look}"
        )
    board.say(f"{name}: the audit refuses its rows, it is published as it last was. {why}; {look}")
    publishing.put_back(connection, config, name)
    warehouse.make_tables(connection, catalog.vendor(name))
    progress = board.vendors.get(name)
    if progress:
        progress.status, progress.error = "refused", f"refused by the audit: {why}; {look}"


def reset_vendor(config: Config, vendor: str, board: Board) -> None:
    """Forget a vendor's cursors, in the work file and the published one. Deletes no row."""
    from .load import VendorLoad, name_loads

    warehouse.refuse_a_missing_one(config)
    with locked(config, f"reset {vendor}"), warehouse.disk_trouble_told(config):
        connection = warehouse.open_work(config, board.say)
        broken.make_ready(config, connection, None, board.say)
        name_loads(connection, board.say)
        load = VendorLoad(catalog.vendor(vendor), connection, config.work_dir, threading.Lock())
        load.forget_cursors()
        run_id = f"reset-{os.urandom(3).hex()}"
        marts.put_unaccepted_back(config, connection)
        comments.describe(connection)
        publishing.publish(config, connection, run_id, board.say)


def _wait_for(threads: Sequence[threading.Thread], stop: threading.Event) -> None:
    """Until all are done, or a few seconds after `stop`: a thread may sit in a slow request."""
    for thread in threads:
        thread.start()
    patience = GRACE_SECONDS
    for thread in threads:
        while thread.is_alive() and patience > 0:
            thread.join(0.1)
            patience -= 0.1 if stop.is_set() else 0.0
