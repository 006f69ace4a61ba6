"""What runs write down of themselves: schema ops, and what dlt remembers of its loads."""

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sources._rejects import Rejected

from . import warehouse
from .warehouse import Connection


def record_runs(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a row per vendor into ops.runs; a row of the same run and vendor is replaced.

    The table has no key: a damaged index would be seen only by the run that writes to it.
    """
    names = list(rows[0]) if rows else []
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" for _ in names)
    with warehouse.transaction(connection):
        for row in rows:
            same = [row["run_id"], row["vendor"]]
            connection.execute("delete from ops.runs where run_id = ? and vendor = ?", same)
            query = f"insert into ops.runs ({columns}) values ({marks})"
            connection.execute(query, list(row.values()))


def close_interrupted_runs(connection: Connection) -> None:
    """A run that still says 'running' though we hold the lock was killed."""
    connection.execute(
        "update ops.runs set status = 'interrupted', error = 'the run was killed' "
        "where status = 'running'"
    )


def last_runs(connection: Connection) -> dict[str, dict[str, Any]]:
    """Per vendor: when it last loaded well, and how its latest run ended. Runs of a clock that was
    ahead do not count until it is that time."""
    rows = connection.execute(
        "select vendor, max(ended_at) filter (status = 'ok') as good_at, "
        "max_by(status, started_at) as status, max_by(error, started_at) as error, "
        "max_by(requests, started_at) as requests "
        "from (select * replace (coalesce(error, '') as error) from ops.runs "
        "where not starts_with(run_id, 'backfill') and started_at <= now()) group by vendor"
    ).fetchall()
    return {
        vendor: {"good_at": at, "status": status, "error": error or None, "requests": requests}
        for vendor, at, status, error, requests in rows
    }


def as_of(connection: Connection) -> dict[str, str | None]:
    """Per vendor, when its last complete load ended."""
    good = {vendor: run["good_at"] for vendor, run in last_runs(connection).items()}
    return {vendor: at.isoformat() if at else None for vendor, at in good.items()}


def freshness(
    connection: Connection, tables: Mapping[str, Sequence[tuple[str, str | None]]]
) -> list[dict[str, Any]]:
    """Per vendor and table: rows, and the newest value of the column that tells it."""
    found = []
    for vendor, columns in tables.items():
        there = warehouse.tables_in(connection, vendor)
        for table, newest in columns:
            row: tuple[Any, ...] = (0, None)
            if table in there:
                column = f'max("{newest}")' if newest else "null"
                query = f'select count(*), {column} from "{vendor}"."{table}"'
                row = connection.execute(query).fetchone() or row
            found.append({"vendor": vendor, "table": table, "rows": row[0], "newest": row[1]})
    return found


def load_is_complete(connection: Connection, vendor: str, load_id: str) -> bool:
    if "_dlt_loads" not in warehouse.tables_in(connection, vendor):
        return False
    query = f'select count(*) from "{vendor}"._dlt_loads where load_id = ?'
    row = connection.execute(query, [load_id]).fetchone()
    return bool(row and row[0])


def complete_cut_loads(connection: Connection, vendor: str, tables: Iterable[str]) -> None:
    """Of loads that ended before dlt wrote them down, whose rows were read again since: dlt knows
    them from now on, for unchanged rows keep their load. The state that came with them stays out.
    """
    if not {"_dlt_loads", "_dlt_pipeline_state"} <= set(warehouse.tables_in(connection, vendor)):
        return  # none was ever complete
    loads, state = f'"{vendor}"._dlt_loads', f'"{vendor}"._dlt_pipeline_state'
    cut = " union ".join(f'select _dlt_load_id as load_id from "{vendor}"."{t}"' for t in tables)
    with warehouse.transaction(connection):
        connection.execute(
            f"create or replace temp table cut as from ({cut}) "
            f"where load_id not in (select load_id from {loads})"
        )
        connection.execute(f"delete from {state} where _dlt_load_id in (from cut)")
        connection.execute(
            f"insert into {loads} by name select known.* "
            "replace (cut.load_id as load_id, to_timestamp(cut.load_id::double) as inserted_at) "
            f"from cut, (from {loads} order by load_id desc limit 1) as known"
        )
        connection.execute("drop table cut")


def newest_load(connection: Connection, vendor: str) -> float:
    """The time in the name of a vendor's newest load, in epoch seconds; 0 where there is none."""
    if "_dlt_loads" not in warehouse.tables_in(connection, vendor):
        return 0.0
    query = f'select max(try_cast(load_id as double)) from "{vendor}"._dlt_loads'
    row = connection.execute(query).fetchone()
    return row[0] or 0.0 if row else 0.0


def has_rows_of(connection: Connection, vendor: str, tables: Iterable[str], load_id: str) -> bool:
    """Whether a load brought or changed a row of these tables."""
    return any(
        connection.execute(
            f'select 1 from "{vendor}"."{table}" where _dlt_load_id = ? limit 1', [load_id]
        ).fetchone()
        for table in tables
    )


def record_rejected(
    connection: Connection, vendor: str, rejected: Sequence[Rejected], run_id: str, at: datetime
) -> None:
    """A row for each record put aside; one that was met before moves its last_seen_at. Where a
    part of the key is missing, the same content is the same record."""
    with warehouse.transaction(connection):
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


def keep_refused(connection: Connection, aside: Path, name: str, query: str) -> None:
    """The rows of a query into a table of a file beside the work file."""
    target = str(aside).replace("'", "''")
    connection.execute(f"attach '{target}' as aside")
    try:
        connection.execute(f'create or replace table aside."{name}" as {query}')
    finally:
        connection.execute("detach aside")
    aside.chmod(0o600)


def vendor_states(connection: Connection, vendor: str) -> dict[str, dict[str, Any]]:
    """What a warehouse remembers of each endpoint, without dlt."""
    if "_dlt_pipeline_state" not in warehouse.tables_in(connection, vendor):
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
