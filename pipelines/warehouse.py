"""The work file and the published file: the one place that knows DuckDB.

Loads go into a work file, for DuckDB lets one process write or many read. The published file is a
copy put in place by one atomic replace: who has the old one open goes on reading it. The published
file is the only state: the work file is made from it whenever it is absent or not its match.
"""

import base64
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from sources._endpoints import Vendor
from sources._journal import sync_folder
from sources._rejects import Rejected
from sources._tables import column_hints

from .config import Config
from .errors import DiskTrouble, Refused

CONTRACT_VERSION = 1
FICLONE = 0x40049409  # linux/fs.h
# What DuckDB 1.1 to 1.5 open; nothing is downloaded, nothing depends on the machine's zone.
SETTINGS = {
    "storage_compatibility_version": "v1.0.0",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": "150MB",
    # or DuckDB before 1.4 fails on what 1.5 writes: "Failed to load metadata pointer"
    "experimental_metadata_reuse": "false",
}
OPS = """
create schema if not exists ops;
create table if not exists ops.runs (
    run_id varchar not null, vendor varchar not null,
    started_at timestamptz not null, ended_at timestamptz, status varchar not null,
    "rows" bigint, requests bigint, extract_seconds double, load_seconds double,
    error varchar, warnings json
);
create table if not exists ops.published (
    run_id varchar not null, published_at timestamptz not null,
    contract_version integer not null, as_of json not null
);
create table if not exists ops.marts (
    as_of timestamptz not null, built_at timestamptz, loaded_through json, built_from json
);
create table if not exists ops.audit (
    test varchar not null, severity varchar not null, vendor varchar,
    "rows" bigint not null, description varchar not null
);
create table if not exists ops.rejected (
    vendor varchar not null, "table" varchar not null, key json not null, place varchar not null,
    reason varchar not null, sha256 varchar not null, first_seen_at timestamptz not null,
    last_seen_at timestamptz not null, run_id varchar not null
);
create table if not exists ops.phone_numbers (
    vendor varchar not null, raw_number varchar not null, e164 varchar
);
"""

Say = Callable[[str], None]
Connection = duckdb.DuckDBPyConnection


# --- the work file -------------------------------------------------------------------------------


def work_path(config: Config) -> Path:
    return config.work_dir / "work.duckdb"


def open_work(config: Config, say: Say) -> Connection:
    """The work file, made from the published one where it is absent or not its match."""
    published, work = config.published, work_path(config)
    config.work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    _publishing(config).unlink(missing_ok=True)
    if not published.exists():
        return _open_without_published(config, say)
    set_aside = _set_wal_aside(published, say)
    stamp = _published_stamp(published)
    connection = _open_or_move_away(work, say)
    if connection and _stamp(connection) == stamp:
        return connection
    if connection:
        connection.close()
    if set_aside:
        raise Refused(
            f"{published.name} was open for writing in another program and is all there is to "
            f"build on; its changes are set aside in {set_aside.name}. If the file is as you want "
            "it, run again"
        )
    say(f"the work file is made from {published.name} as published at {stamp[1]}")
    _remove(work)
    part = work.with_name("work.part")
    _duplicate(published, part)  # a copy cut short by a kill must not pass for the work file
    part.chmod(0o600)
    if why := _damage(part):
        part.unlink()
        raise Refused(f"{published} is damaged ({why}); {_how_to_put_back(published)}")
    _sync(part)
    part.replace(work)
    return _connect(work)


def connect_work(config: Config) -> Connection:
    """The work file again, which this process has closed before."""
    return _connect(work_path(config))


def refuse_a_missing_one(config: Config) -> None:
    """Raises Refused where the published file must be there and is not."""
    if config.warehouse["must_exist"] and not config.published.exists():
        raise Refused(
            f"there is no warehouse at {config.published} and [warehouse] must_exist is set; put "
            "the file back, or set must_exist = false to begin a new one"
        )


def _open_without_published(config: Config, say: Say) -> Connection:
    published, work = config.published, work_path(config)
    connection = _open_or_move_away(work, say)
    if connection is None:
        say(f"there is no warehouse at {published}: a NEW one is made")
        connection = _connect(work)
    elif _stamp(connection):
        say(f"{published} is MISSING: it is made again from the work file {work}")
    connection.execute(OPS)
    return connection


def _connect(path: Path) -> Connection:
    connection = duckdb.connect(str(path), config=dict(SETTINGS))
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    # a load fills one row group; a second thread does little, and who waits for it spins
    connection.execute("set threads = 1")
    path.chmod(0o600)
    connection.execute(OPS)
    return connection


def _open_or_move_away(work: Path, say: Say) -> Connection | None:
    """The work file, every byte of it as it was left; None where there is none or it is damaged."""
    if not work.exists():
        return None
    if not _is_whole(work):
        aside = _set_aside(work)
        say(f"the work file is damaged; it is set aside as {aside.name}")
        return None
    return _connect(work)


def _is_whole(work: Path) -> bool:
    """As the last publish left it; read through where a run was cut short since."""
    known = _sum_path(work)
    if not known.exists():
        return _damage(work) is None
    same = known.read_text() == _sum(work)
    known.unlink()  # from now on it changes
    return same


def _sum_path(work: Path) -> Path:
    return work.with_name("work.sum")


def _sum(work: Path) -> str:
    """SHA-256: a gigabyte in half a second, where reading it by DuckDB takes six."""
    with work.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _wal(path).unlink(missing_ok=True)


def _wal(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def _set_wal_aside(published: Path, say: Say) -> Path | None:
    """DuckDB would replay a foreign .wal into the file for every reader."""
    wal = _wal(published)
    if not wal.exists():
        return None
    aside = wal.with_name(f"{wal.name}.{datetime.now(UTC):%Y%m%dT%H%M%S}.aside")
    wal.rename(aside)
    say(f"somebody opened {published.name} for writing; their changes are set aside: {aside.name}")
    return aside


Stamp = tuple[str, datetime]


def _stamp(connection: Connection) -> Stamp | None:
    row = connection.execute("select run_id, published_at from ops.published").fetchone()
    return (row[0], row[1]) if row else None


def _published_stamp(published: Path) -> Stamp:
    try:
        with reading(published) as connection:
            stamp = _stamp(connection)
    except duckdb.Error as error:
        if "could not set lock" in str(error).lower():  # and not: a damaged block
            raise Refused(
                f"{published} is open for writing in another program; close it there and run again"
            ) from None
        stamp = None
    if stamp is None:
        raise Refused(
            f"{published} is no warehouse of ours, or damaged (ops.published cannot be read); "
            f"{_how_to_put_back(published)}"
        )
    return stamp


def _how_to_put_back(published: Path) -> str:
    earlier = _earlier_files(published)
    if earlier:
        return f"put an earlier file in its place: cp {earlier[-1]} {published}, then run again"
    return "move it away, or set [warehouse] path to another file"


def _damage(path: Path) -> str | None:
    """What keeps a part of the file from being read: DuckDB looks only at what is asked for."""
    try:
        with reading(path) as connection:
            _read_through(connection)
    except duckdb.ConnectionException:
        return None  # this process has it open itself
    except duckdb.Error as error:
        return f"{type(error).__name__}: {without_values(str(error))}"
    return None


def _read_through(connection: Connection) -> None:
    tables = "select database_name, schema_name, table_name from duckdb_tables() where not internal"
    for database, schema, table in connection.execute(tables).fetchall():
        connection.execute(
            f'select bit_xor(hash(t)) from "{database}"."{schema}"."{table}" t'
        ).fetchone()


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_ROOM_SAID = re.compile(
    "no space left|disk full|disk space|file too large|quota exceeded|could not write|"
    "failed to write|could not sync",
    re.IGNORECASE,
)
DAMAGE_SAID = re.compile(
    "checksum|corrupt|invalidated|deserializ|not a valid|internal error|could not read|end of file",
    re.IGNORECASE,
)


@contextmanager
def disk_trouble_told(config: Config) -> Iterator[None]:
    """What tells of a full disk or a damaged work file becomes DiskTrouble, with the mend."""
    try:
        yield
    except Exception as error:  # looked at, and raised again where it is none of the two
        cause = root_cause(error)  # dlt wraps DuckDB's errors
        full = isinstance(cause, OSError) and cause.errno in NO_ROOM
        if full or (isinstance(cause, duckdb.Error) and NO_ROOM_SAID.search(str(cause))):
            raise DiskTrouble(no_room(config)) from error
        if isinstance(cause, duckdb.Error) and DAMAGE_SAID.search(str(cause)):
            why = f"{type(cause).__name__}: {without_values(str(cause))}"
            raise DiskTrouble(_set_damaged_aside(work_path(config), why)) from error
        raise


def root_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def no_room(config: Config) -> str:
    free = {
        folder: f"{shutil.disk_usage(folder).free / 1e6:,.0f} MB free"
        for folder in (config.work_dir, config.published.parent)
        if folder.exists()
    }
    told = ", ".join(f"{folder} has {much}" for folder, much in free.items())
    return (
        f"there is no room on the disk ({told}); a run needs about twice the warehouse's size "
        "there. What was loaded is kept; make room and run again"
    )


def _set_damaged_aside(work: Path, why: str) -> str:
    aside = _set_aside(work)
    return (
        f"the work file is damaged ({why}) and set aside as {aside.name}; run again: it is made "
        "from the published one"
    )


def _set_aside(work: Path) -> Path:
    aside = work.with_name(f"work.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S}.duckdb")
    work.rename(aside)
    _remove(work)
    return aside


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """A read-only connection; the file is not locked against anybody's replace."""
    connection = duckdb.connect(str(path), read_only=True, config=dict(SETTINGS))
    try:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set enable_progress_bar = false")
        yield connection
    finally:
        connection.close()


@contextmanager
def reading_newest(config: Config) -> Iterator[Connection | None]:
    """What the next run would go on from, read-only; None before the first load.

    A work file that a run holds open, or that cannot be read, gives way to the published one.
    """
    for path in (config.published, work_path(config)):
        try:
            if path.exists():
                with reading(path) as connection:
                    yield connection
                    return
        except duckdb.IOException:
            continue
    yield None


def vendor_states(connection: Connection, vendor: str) -> dict[str, dict[str, Any]]:
    """What a warehouse remembers of each endpoint, without dlt."""
    if "_dlt_pipeline_state" not in tables_in(connection, vendor):
        return {}
    row = connection.execute(
        f'select state from "{vendor}"._dlt_pipeline_state s '
        f'join "{vendor}"._dlt_loads l on l.load_id = s._dlt_load_id '
        "where l.status = 0 order by s.version desc limit 1"
    ).fetchone()
    state = json.loads(zlib.decompress(base64.b64decode(row[0]))) if row else {}
    resources: dict[str, dict[str, Any]] = (
        state.get("sources", {}).get(vendor, {}).get("resources", {})
    )
    return resources


@contextmanager
def reading_published(config: Config) -> Iterator[Connection]:
    """The published file for a command that only looks. Raises Refused where it cannot."""
    if not config.published.exists():
        raise Refused(not_there(config))
    try:
        with reading(config.published) as connection:
            yield connection
    except duckdb.Error as error:
        raise Refused(
            f"{config.published} cannot be read: it is open for writing in another program, or it "
            f"is no warehouse of ours ({type(error).__name__})"
        ) from None


def not_there(config: Config) -> str:
    return f"there is no warehouse at {config.published} yet: `outreach run` makes it"


# --- what a run writes besides the vendors' rows -------------------------------------------------


def tables_in(connection: Connection, schema: str) -> set[str]:
    query = "select table_name from duckdb_tables() where schema_name = ?"
    return {name for (name,) in connection.execute(query, [schema]).fetchall()}


SQL_TYPES = {
    "text": "varchar",
    "bigint": "bigint",
    "double": "double",
    "bool": "boolean",
    "timestamp": "timestamptz",
    "date": "date",
    "json": "json",
}


def make_tables(connection: Connection, vendor: Vendor) -> None:
    """Every table of the contract, empty and typed, also for a vendor that is off.

    As dlt would make them, which finds them there and adds what is new.
    """
    connection.execute(f'create schema if not exists "{vendor.name}"')
    there = tables_in(connection, vendor.name)
    for table in vendor.tables:
        hints = column_hints(table)
        if table.name in there:
            for name in hints.keys() - columns_in(connection, vendor.name, table.name):
                kind = SQL_TYPES[hints[name]["data_type"]]
                connection.execute(
                    f'alter table "{vendor.name}"."{table.name}" add column "{name}" {kind}'
                )
            continue
        columns = [
            f'"{name}" {SQL_TYPES[hint["data_type"]]}{"" if hint["nullable"] else " not null"}'
            for name, hint in hints.items()
        ]
        columns.append('"_dlt_load_id" varchar not null')
        if table.kept == "history":
            columns += ['"_dlt_valid_from" timestamptz', '"_dlt_valid_to" timestamptz']
        connection.execute(f'create table "{vendor.name}"."{table.name}" ({", ".join(columns)})')


def columns_in(connection: Connection, schema: str, table: str) -> set[str]:
    query = "select column_name from duckdb_columns() where schema_name = ? and table_name = ?"
    return {name for (name,) in connection.execute(query, [schema, table]).fetchall()}


def load_is_complete(connection: Connection, vendor: str, load_id: str) -> bool:
    if "_dlt_loads" not in tables_in(connection, vendor):
        return False
    query = f'select count(*) from "{vendor}"._dlt_loads where load_id = ?'
    row = connection.execute(query, [load_id]).fetchone()
    return bool(row and row[0])


def has_rows_of(connection: Connection, vendor: str, tables: Iterable[str], load_id: str) -> bool:
    """Whether a load brought or changed a row of these tables."""
    return any(
        connection.execute(
            f'select 1 from "{vendor}"."{table}" where _dlt_load_id = ? limit 1', [load_id]
        ).fetchone()
        for table in tables
    )


def was_published(connection: Connection) -> bool:
    return _stamp(connection) is not None


def record_runs(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a row per vendor into ops.runs; a row of the same run and vendor is replaced.

    The table has no key: a damaged index would be seen only by the run that writes to it.
    """
    names = list(rows[0]) if rows else []
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" for _ in names)
    with transaction(connection):
        for row in rows:
            same = [row["run_id"], row["vendor"]]
            connection.execute("delete from ops.runs where run_id = ? and vendor = ?", same)
            query = f"insert into ops.runs ({columns}) values ({marks})"
            connection.execute(query, list(row.values()))


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """All or nothing; what fails leaves the connection fit for use."""
    connection.execute("begin")
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):  # what failed first is what is told
            connection.execute("rollback")
        raise
    connection.execute("commit")


def record_rejected(
    connection: Connection, vendor: str, rejected: Sequence[Rejected], run_id: str, at: datetime
) -> None:
    """A row for each record put aside; one that was met before moves its last_seen_at. Where a
    part of the key is missing, the same content is the same record."""
    with transaction(connection):
        for each in rejected:
            is_same = 'vendor = ? and "table" = ? and key::varchar = ?'
            same = [vendor, each.table, each.key]
            if None in json.loads(each.key).values():
                is_same, same = f"{is_same} and sha256 = ?", [*same, each.sha256]
            query = f"select min(first_seen_at) from ops.rejected where {is_same}"
            (first,) = connection.execute(query, same).fetchone() or (None,)
            connection.execute(f"delete from ops.rejected where {is_same}", same)
            row = [vendor, each.table, each.key, each.place, each.reason, each.sha256]
            connection.execute(
                "insert into ops.rejected values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [*row, first or at, at, run_id],
            )


def open_rejections(connection: Connection, vendor: str) -> set[tuple[str, str]]:
    """Table and key of each record that is put aside."""
    query = 'select "table", key::varchar from ops.rejected where vendor = ?'
    return {(table, key) for table, key in connection.execute(query, [vendor]).fetchall()}


def forget_rejected(
    connection: Connection, vendor: str, resolved: Sequence[tuple[str, str]]
) -> None:
    """These were loaded after all."""
    for table, key in resolved:
        connection.execute(
            'delete from ops.rejected where vendor = ? and "table" = ? and key::varchar = ?',
            [vendor, table, key],
        )


def freshness(
    connection: Connection, tables: Mapping[str, Sequence[tuple[str, str | None]]]
) -> list[dict[str, Any]]:
    """Per vendor and table: rows, and the newest value of the column that tells it."""
    found = []
    for vendor, columns in tables.items():
        there = tables_in(connection, vendor)
        for table, newest in columns:
            row: tuple[Any, ...] = (0, None)
            if table in there:
                column = f'max("{newest}")' if newest else "null"
                query = f'select count(*), {column} from "{vendor}"."{table}"'
                row = connection.execute(query).fetchone() or row
            found.append({"vendor": vendor, "table": table, "rows": row[0], "newest": row[1]})
    return found


def last_runs(connection: Connection) -> dict[str, dict[str, Any]]:
    """Per vendor: when it last loaded well, and how its latest run ended."""
    rows = connection.execute(
        "select vendor, max(ended_at) filter (status = 'ok') as good_at, "
        "max_by(status, started_at) as status, max_by(error, started_at) as error, "
        "max_by(requests, started_at) as requests "
        "from (select * replace (coalesce(error, '') as error) from ops.runs "
        "where not starts_with(run_id, 'backfill')) group by vendor"
    ).fetchall()
    return {
        vendor: {"good_at": at, "status": status, "error": error or None, "requests": requests}
        for vendor, at, status, error, requests in rows
    }


def keep_refused(connection: Connection, aside: Path, name: str, query: str) -> None:
    """The rows of a query into a table of a file beside the work file."""
    target = str(aside).replace("'", "''")
    connection.execute(f"attach '{target}' as aside")
    try:
        connection.execute(f'create or replace table aside."{name}" as {query}')
    finally:
        connection.execute("detach aside")
    aside.chmod(0o600)


def without_values(message: str) -> str:
    """An error's text in one line, without what it quotes: that may be a person's."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "'...'", " ".join(message.split()))
    return text[:300]


def as_json(value: Any) -> str:
    return json.dumps(value)


def close_interrupted_runs(connection: Connection) -> None:
    """A run that still says 'running' though we hold the lock was killed."""
    connection.execute(
        "update ops.runs set status = 'interrupted', error = 'the run was killed' "
        "where status = 'running'"
    )


def put_back(connection: Connection, config: Config, vendor: str) -> None:
    """Replace a vendor's schema in the work file by the published one: all of it or none.

    Nothing was published yet: nothing is left of it.
    """
    if not config.published.exists():
        connection.execute(f'drop schema if exists "{vendor}" cascade')
        connection.execute(f'drop schema if exists "{vendor}_staging" cascade')
        return
    source = str(config.published).replace("'", "''")
    connection.execute(f"attach '{source}' as published (read_only)")
    try:
        ddl = connection.execute(
            "select sql, table_name from duckdb_tables() "
            "where database_name = 'published' and schema_name = ?",
            [vendor],
        ).fetchall()
        with transaction(connection):
            connection.execute(f'drop schema if exists "{vendor}" cascade')
            connection.execute(f'drop schema if exists "{vendor}_staging" cascade')
            connection.execute(f'create schema "{vendor}"')
            for sql, table in ddl:
                connection.execute(sql)
                connection.execute(
                    f'insert into "{vendor}"."{table}" select * from published."{vendor}"."{table}"'
                )
            _copy_comments(connection, vendor)
    finally:
        connection.execute("detach published")


def _copy_comments(connection: Connection, schema: str) -> None:
    """Those of the attached published file's tables, which their DDL does not tell."""
    told = connection.execute(
        "select table_name, null, comment from duckdb_tables() "
        "where database_name = 'published' and schema_name = $1 and comment is not null "
        "union all select table_name, column_name, comment from duckdb_columns() "
        "where database_name = 'published' and schema_name = $1 and comment is not null",
        [schema],
    ).fetchall()
    for table, column, text in told:
        comment_on(connection, schema, table, column, text)


def comment_on(
    connection: Connection, schema: str, table: str, column: str | None, text: str
) -> None:
    """Describe a table, or a column of it."""
    name = f'"{schema}"."{table}"'
    what = f'column {name}."{column}"' if column else f"table {name}"
    quoted = text.replace("'", "''")
    connection.execute(f"comment on {what} is '{quoted}'")


# --- the published file --------------------------------------------------------------------------


def publish(config: Config, connection: Connection, run_id: str, say: Say) -> None:
    """Put a copy of the work file in the published one's place, in one atomic step.

    Closes the connection. The copy has no staging schemas, no working tables and no views, carries
    the stamp, and is on the disk before it gets its name.
    """
    published, copy, work = config.published, _publishing(config), work_path(config)
    as_of = _as_of(connection)
    connection.execute("checkpoint")
    connection.close()
    stamp = (run_id, datetime.now(UTC), CONTRACT_VERSION, json.dumps(as_of))
    published.parent.mkdir(parents=True, exist_ok=True)
    _copy(work, copy)
    with _connect(copy) as inside:
        _strip(inside)
        _write_stamp(inside, stamp)
        inside.execute("checkpoint")
    copy.chmod(config.file_mode)
    _sync(copy)
    _set_wal_aside(published, say)
    _keep_earlier(config)
    copy.replace(published)
    sync_folder(published.parent)
    with _connect(work) as inside:
        _write_stamp(inside, stamp)
    _sum_path(work).write_text(_sum(work))


def _publishing(config: Config) -> Path:
    return config.published.with_name(f".{config.published.name}.publishing")


def _as_of(connection: Connection) -> dict[str, str | None]:
    """Per vendor, when its last complete load ended."""
    rows = connection.execute(
        "select vendor, max(ended_at) filter (status = 'ok') from ops.runs "
        "where not starts_with(run_id, 'backfill') group by all"
    ).fetchall()
    return {vendor: at.isoformat() if at else None for vendor, at in rows}


def _copy(work: Path, copy: Path) -> None:
    """A plain copy; where free blocks outnumber used ones, a compact one."""
    _remove(copy)
    with duckdb.connect(str(work), config=dict(SETTINGS)) as connection:
        row = connection.execute("select used_blocks, free_blocks from pragma_database_size()")
        used, free = row.fetchone() or (0, 0)
        if free > max(used, 100):
            target = str(copy).replace("'", "''")
            connection.execute(f"attach '{target}' as compact (storage_version 'v1.0.0')")
            connection.execute(f'copy from database "{work.stem}" to compact')
            connection.execute("detach compact")
            return
    _duplicate(work, copy)


def _duplicate(source: Path, target: Path) -> None:
    """A copy; where the file system can (XFS, Btrfs), one that shares its blocks and costs none."""
    with suppress(OSError), source.open("rb") as whole, target.open("wb") as copy:
        fcntl.ioctl(copy, FICLONE, whole.fileno())
        return
    shutil.copyfile(source, target)


def _strip(connection: Connection) -> None:
    views = "select schema_name, view_name from duckdb_views() where not internal"
    for schema, view in connection.execute(views).fetchall():
        connection.execute(f'drop view "{schema}"."{view}"')
    # what a build tells itself of what has changed is nobody else's
    working = "select table_name from duckdb_tables() where schema_name = 'marts' "
    working += "and starts_with(table_name, 'changed_')"
    for (table,) in connection.execute(working).fetchall():
        connection.execute(f'drop table marts."{table}"')
    schemas = "select schema_name from duckdb_schemas() where ends_with(schema_name, '_staging')"
    for (schema,) in connection.execute(schemas).fetchall():
        connection.execute(f'drop schema "{schema}" cascade')


def _write_stamp(connection: Connection, stamp: tuple[Any, ...]) -> None:
    with transaction(connection):
        connection.execute("delete from ops.published")
        connection.execute("insert into ops.published values (?, ?, ?, ?)", list(stamp))


def _keep_earlier(config: Config) -> None:
    """Hard links to the published files of the last `keep` runs, the oldest dropped."""
    published = config.published
    if published.exists() and config.warehouse["keep"] > 0:
        at = datetime.fromtimestamp(published.stat().st_mtime, UTC)
        earlier = published.with_name(f"{published.name}.{at:%Y%m%dT%H%M%S%f}Z")
        try:
            os.link(published, earlier)
        except FileExistsError:
            pass
        except OSError:  # not every file system has hard links
            _duplicate(published, earlier)
    kept = _earlier_files(published)
    for path in kept[: max(0, len(kept) - config.warehouse["keep"])]:
        path.unlink()


def _earlier_files(published: Path) -> list[Path]:
    """The published files of earlier runs, oldest first."""
    return sorted(
        path
        for path in published.parent.iterdir()
        if path.name.startswith(f"{published.name}.2") and path.name.endswith("Z")
    )


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
