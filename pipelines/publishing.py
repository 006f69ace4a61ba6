"""The published file: a copy of the work file takes its place in one atomic step; a vendor put back
from it."""

import json
from datetime import UTC, datetime
from pathlib import Path

from sources._journal import sync_folder

from . import files, records, warehouse
from .config import Config
from .files import Say
from .warehouse import Connection

CONTRACT_VERSION = 1


def publish(config: Config, connection: Connection, run_id: str, say: Say) -> None:
    """Put a copy of the work file in the published one's place, in one atomic step.

    Closes the connection. The copy has no staging schemas, no working tables and no views, carries
    the stamp, and is on the disk before it gets its name.
    """
    published, copy, work = config.published, files.publishing_path(config), files.work_path(config)
    as_of = records.as_of(connection)
    connection.execute("checkpoint")
    connection.close()
    stamp = (run_id, datetime.now(UTC), CONTRACT_VERSION, json.dumps(as_of))
    published.parent.mkdir(parents=True, exist_ok=True)
    try:
        with files.private():
            _copy(work, copy)
        with warehouse.connect(copy) as inside:
            _strip(inside)
            warehouse.write_stamp(inside, stamp)
            inside.execute("checkpoint")
        copy.chmod(config.file_mode)
        files.sync(copy)
        files.set_wal_aside(published, say)
        files.keep_earlier(config)
        copy.replace(published)
    finally:
        files.remove(copy)  # what is half done would fill a full disk
    sync_folder(published.parent)
    with warehouse.connect(work) as inside:
        warehouse.write_stamp(inside, stamp)
    files.sum_path(work).write_text(files.sum_of(work))


def _copy(work: Path, copy: Path) -> None:
    """A plain copy; where free blocks outnumber used ones, a compact one."""
    files.remove(copy)
    with warehouse.connect(work) as connection:
        connection.execute("reset threads")
        row = connection.execute("select used_blocks, free_blocks from pragma_database_size()")
        used, free = row.fetchone() or (0, 0)
        if free > max(used, 100):
            target = str(copy).replace("'", "''")
            connection.execute(f"attach '{target}' as compact (storage_version 'v1.0.0')")
            connection.execute(f'copy from database "{work.stem}" to compact')
            connection.execute("detach compact")
            return
    files.duplicate(work, copy)


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
        with warehouse.transaction(connection):
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
        warehouse.comment_on(connection, schema, table, column, text)
