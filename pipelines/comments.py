"""What tables and columns mean, as comments in the file, where every tool that opens it shows it.

Their descriptions stand with dbt's models. It could write those of the marts itself, a statement
for each column at every build; here only what has changed is written.
"""

from collections.abc import Iterable
from typing import Any

import yaml

from . import warehouse
from .marts import PROJECT
from .warehouse import Connection

DLT_TABLES = {
    "_dlt_loads": "One row per load of this vendor; the tables' _dlt_load_id leads here.",
    "_dlt_version": "Kept by dlt, which loads the tables: the columns it has known.",
    "_dlt_pipeline_state": "Kept by dlt, which loads the tables: how far each vendor was read.",
}
DLT_COLUMNS = {
    "load_id": "The load; the tables' _dlt_load_id.",
    "inserted_at": "When it was written, in UTC.",
    "status": "0 of a load that is complete.",
}
DLTS_OWN = "For dlt's own use."
NOT_DOCUMENTED = (
    "A field that the vendor's documents do not name, kept as it came: text, or JSON of an object "
    "or a list."
)

Place = tuple[str, str, str]  # schema, table, column; "" for the table itself


def describe(connection: Connection) -> None:
    """Give every table of ours, and each of its columns, its comment where it has another."""
    told = descriptions()
    schemas = {schema for schema, _, _ in told}
    changed = [
        (place, text)
        for place, comment in _comments(connection)
        if place[0] in schemas and (text := _text(told, place)) and text != comment
    ]
    if not changed:
        return
    with warehouse.transaction(connection):
        for (schema, table, column), text in changed:
            warehouse.comment_on(connection, schema, table, column, text)


def descriptions() -> dict[Place, str]:
    """Every description of a table that is in the file, as one line."""
    told: dict[Place, str] = {}
    for path in sorted((PROJECT / "models").glob("*/*.yml")):
        about = yaml.load(path.read_text(), yaml.CSafeLoader)
        for source in about.get("sources", ()):
            told |= _of_tables(source["name"], source["tables"])
        told |= _of_tables("marts", about.get("models", ()))
    return told


def _of_tables(schema: str, tables: Iterable[dict[str, Any]]) -> dict[Place, str]:
    told: dict[Place, str] = {}
    for table in tables:
        name = table["name"]
        told[schema, name, ""] = " ".join(table["description"].split())
        for column in table["columns"]:
            told[schema, name, column["name"]] = " ".join(column["description"].split())
    return told


def _text(told: dict[Place, str], place: Place) -> str | None:
    """What is to be said of it; None of a table that is none of ours."""
    schema, table, column = place
    if table in DLT_TABLES:
        return DLT_COLUMNS.get(column, DLTS_OWN) if column else DLT_TABLES[table]
    if (schema, table, "") not in told:
        return None
    return told.get(place, NOT_DOCUMENTED)


def _comments(connection: Connection) -> list[tuple[Place, str | None]]:
    """Each table and column of this file with the comment it has."""
    rows = connection.execute(
        "select schema_name, table_name, '', comment from duckdb_tables() "
        "where database_name = current_database() and not internal union all "
        "select schema_name, table_name, column_name, comment from duckdb_columns() "
        "where database_name = current_database() and not internal"
    ).fetchall()
    return [((schema, table, column), comment) for schema, table, column, comment in rows]
