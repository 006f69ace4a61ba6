"""The warehouse in DuckDB: the one place that knows it.

Loads go into a work file, for DuckDB lets one process write or many read. The published file is a
copy put in place by one atomic replace: who has the old one open goes on reading it. The published
file is the only state: the work file is made from it whenever it is absent or not its match.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from sources._endpoints import Vendor
from sources._tables import column_hints

from . import files
from .config import Config
from .errors import DiskTrouble, Refused
from .files import Say

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
alter table ops.runs add column if not exists stages json;
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
Connection = duckdb.DuckDBPyConnection


def open_work(config: Config, say: Say) -> Connection:
    """The work file, made from the published one where it is absent or not its match."""
    published, work = config.published, files.work_path(config)
    config.work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.publishing_path(config).unlink(missing_ok=True)
    if not published.exists():
        return _open_without_published(config, say)
    set_aside = files.set_wal_aside(published, say)
    stamp = _published_stamp(published)
    connection = _open_or_move_away(work, say)
    if connection and stamp_of(connection) == stamp:
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
    files.remove(work)
    part = work.with_name("work.part")
    files.duplicate(published, part)  # a copy cut short by a kill must not pass for the work file
    part.chmod(0o600)
    if why := _damage(part):
        part.unlink()
        raise Refused(f"{published} is damaged ({why}); {files.how_to_put_back(published)}")
    files.sync(part)
    part.replace(work)
    return connect(work)


def connect_work(config: Config) -> Connection:
    """The work file again, which this process has closed before."""
    return connect(files.work_path(config))


def refuse_a_missing_one(config: Config) -> None:
    """Raises Refused where the published file must be there and is not."""
    if config.warehouse["must_exist"] and not config.published.exists():
        raise Refused(
            f"there is no warehouse at {config.published} and [warehouse] must_exist is set; put "
            "the file back, or set must_exist = false to begin a new one"
        )


def _open_without_published(config: Config, say: Say) -> Connection:
    published, work = config.published, files.work_path(config)
    connection = _open_or_move_away(work, say)
    if connection is None:
        say(f"there is no warehouse at {published}: a NEW one is made")
        connection = connect(work)
    elif stamp_of(connection):
        say(f"{published} is MISSING: it is made again from the work file {work}")
    connection.execute(OPS)
    return connection


def connect(path: Path) -> Connection:
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
        aside = files.set_aside(work)
        say(f"the work file is damaged; it is set aside as {aside.name}")
        return None
    return connect(work)


def _is_whole(work: Path) -> bool:
    """As the last publish left it; read through where a run was cut short since."""
    known = files.sum_path(work)
    if not known.exists():
        return _damage(work) is None
    same = known.read_bytes() == files.sum_of(work).encode()
    known.unlink()  # from now on it changes
    return same


Stamp = tuple[str, datetime]


def stamp_of(connection: Connection) -> Stamp | None:
    row = connection.execute("select run_id, published_at from ops.published").fetchone()
    return (row[0], row[1]) if row else None


def _published_stamp(published: Path) -> Stamp:
    try:
        with reading(published) as connection:
            stamp = stamp_of(connection)
    except duckdb.Error as error:
        if "could not set lock" in str(error).lower():  # and not: a damaged block
            raise Refused(
                f"{published} is open for writing in another program; close it there and run again"
            ) from None
        stamp = None
    if not os.access(published, os.R_OK):
        raise Refused(_unreadable(published))
    if stamp is None:
        raise Refused(
            f"{published} is no warehouse of ours, or damaged (ops.published cannot be read); "
            f"{files.how_to_put_back(published)}"
        )
    return stamp


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
            raise DiskTrouble(files.no_room(config)) from error
        if isinstance(cause, duckdb.Error) and DAMAGE_SAID.search(str(cause)):
            why = f"{type(cause).__name__}: {without_values(str(cause))}"
            raise DiskTrouble(_set_damaged_aside(files.work_path(config), why)) from error
        raise


def root_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _set_damaged_aside(work: Path, why: str) -> str:
    aside = files.set_aside(work)
    return (
        f"the work file is damaged ({why}) and set aside as {aside.name}; run again: it is made "
        "from the published one"
    )


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
    for path in (config.published, files.work_path(config)):
        try:
            if path.exists():
                with reading(path) as connection:
                    yield connection
                    return
        except duckdb.IOException:
            continue
    yield None


@contextmanager
def reading_published(config: Config) -> Iterator[Connection]:
    """The published file for a command that only looks. Raises Refused where it cannot."""
    if not config.published.exists():
        raise Refused(not_there(config))
    try:
        with reading(config.published) as connection:
            yield connection
    except duckdb.Error as error:
        if not os.access(config.published, os.R_OK):
            raise Refused(_unreadable(config.published)) from None
        raise Refused(
            f"{config.published} cannot be read: it is open for writing in another program, or it "
            f"is no warehouse of ours ({type(error).__name__})"
        ) from None


def _unreadable(published: Path) -> str:
    return f"{published} may not be read by this user; give it back to who runs outreach (chown)"


def not_there(config: Config) -> str:
    return f"there is no warehouse at {config.published} yet: `outreach run` makes it"


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


def was_published(connection: Connection) -> bool:
    return stamp_of(connection) is not None


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


def without_values(message: str) -> str:
    """An error's text in one line, without what it quotes: that may be a person's."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "'...'", " ".join(message.split()))
    return text[:300]


def comment_on(
    connection: Connection, schema: str, table: str, column: str | None, text: str
) -> None:
    """Describe a table, or a column of it."""
    name = f'"{schema}"."{table}"'
    what = f'column {name}."{column}"' if column else f"table {name}"
    quoted = text.replace("'", "''")
    connection.execute(f"comment on {what} is '{quoted}'")


def write_stamp(connection: Connection, stamp: tuple[Any, ...]) -> None:
    with transaction(connection):
        connection.execute("delete from ops.published")
        connection.execute("insert into ops.published values (?, ?, ?, ?)", list(stamp))
