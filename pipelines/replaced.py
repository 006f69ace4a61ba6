"""What is replaced whole: a row with all its children is one thing, and of one load.

What comes again as it stands in the warehouse is left out of a load: a lookback, and each week 30
days, bring many interactions of which few have changed, and marts go by the load of a row. The
others are added by dlt, and then their earlier versions are removed. So a load that did not end can
be undone: nothing was removed yet. dlt's own merge writes each row twice, needs a mark for a parent
that came without children, and looks for no change where there are children.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sources._tables import Table

from . import warehouse
from .gather import Built

WORTH_IT = 0.1  # of the rows known: to look at fewer costs more than to write them again


def without_unchanged(connection: warehouse.Connection, schema: str, built: Built) -> Built:
    """Without those parents that stand in the schema as they came, with the same children."""
    tables = built.replaced
    same = _unchanged(connection, schema, tables)
    if not same:
        return built
    keys = pa.array(same)
    changed = {
        table: rows.filter(pc.invert(pc.is_in(rows.column(table.main_column), value_set=keys)))
        for table, rows in tables.items()
    }
    return replace(built, tables={**built.tables, **changed})


def remove_earlier(
    connection: warehouse.Connection,
    schema: str,
    family: Collection[Table],
    load_id: str,
    *,
    torn: bool = False,
) -> None:
    """Delete what the parents that a load added were before it, with their children; all or none.

    `torn`: a load by an earlier version of ours may have ended between its tables, so that children
    are there without a parent.
    """
    main = _main(family)
    key, place = f'"{main.main_column}"', f'"{schema}"."{main.name}"'
    added = f"select {key} from {place} where _dlt_load_id = $load"
    earlier = f"from {place} where {key} in ({added}) and _dlt_load_id <> $load limit 1"
    load = {"load": load_id}
    if not torn and not connection.execute(earlier, load).fetchone():
        return
    with warehouse.transaction(connection):
        for table in family:
            connection.execute(
                f'delete from "{schema}"."{table.name}" '
                f'where "{table.main_column}" in ({added}) and _dlt_load_id <> $load',
                load,
            )


def remove_added(
    connection: warehouse.Connection, schema: str, family: Collection[Table], load_id: str
) -> None:
    """Delete what a load that did not end has added."""
    with warehouse.transaction(connection):
        for table in family:
            connection.execute(
                f'delete from "{schema}"."{table.name}" where _dlt_load_id = ?', [load_id]
            )


def _main(family: Collection[Table]) -> Table:
    """The table of the parents: there is one."""
    (main,) = (table for table in family if not table.is_child)
    return main


def _unchanged(
    connection: warehouse.Connection, schema: str, tables: Mapping[Table, Any]
) -> list[str]:
    main = _main(tables)
    places = {table: (f"came_{table.name}", f'"{schema}"."{table.name}"') for table in tables}
    for table, rows in tables.items():
        connection.register(places[table][0], rows)
    try:
        came, there = places[main]
        key = main.main_column
        connection.execute(
            f'create or replace temp table known as select "{key}" from {came} '
            f'where "{key}" in (select "{key}" from {there})'
        )
        (count,) = connection.execute("select count(*) from known").fetchone() or (0,)
        if count <= WORTH_IT * len(tables[main]):
            return []
        hashed = [_hashed(connection, table, *places[table]) for table in tables]
        sides = (" union all ".join(rows) for rows in zip(*hashed, strict=True))
        # a sum over the hashes of a parent's rows, whatever their order
        query = " intersect ".join(
            f"select parent, sum(row), count(*) from ({rows}) group by parent" for rows in sides
        )
        return [parent for parent, *_ in connection.execute(query).fetchall()]
    finally:
        connection.execute("drop table if exists known")
        for came, _ in places.values():
            connection.unregister(came)


def _hashed(
    connection: warehouse.Connection, table: Table, came: str, there: str
) -> tuple[str, str]:
    """The rows of known parents as hashes, of what came and of what is there. A column that one
    side has not is null there; dlt's own are none of the vendor's."""
    sides = [
        {name: kind for name, kind, *_ in connection.execute(f"describe {place}").fetchall()}
        for place in (came, there)
    ]
    names = sorted(name for name in sides[0] | sides[1] if not name.startswith("_dlt"))
    alike = {name for name in names if sides[0].get(name) == sides[1].get(name)}

    def select(place: str, columns: Mapping[str, str]) -> str:
        values = [
            f'"{n}"' + ("" if n in alike else "::varchar") if n in columns else "null"
            for n in names
        ]
        return (
            f"select \"{table.main_column}\" as parent, hash('{table.name}', {', '.join(values)}) "
            f'as row from {place} where "{table.main_column}" in (from known)'
        )

    return select(came, sides[0]), select(there, sides[1])
