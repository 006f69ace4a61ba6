"""What a history owes beyond dlt, which closes versions list by list."""

from sources._tables import Table

from .warehouse import Connection


def close_moved(connection: Connection, schema: str, table: Table) -> None:
    """A row that moved to another list is open there alone, also where its old list was held back:
    of several open versions of a key, the earlier end as the latest begins."""
    place = f'"{schema}"."{table.name}"'
    key = ", ".join(f'"{name}"' for name in table.key)
    same = " and ".join(f'earlier."{name}" = later."{name}"' for name in table.key)
    connection.execute(
        f"update {place} as earlier set _dlt_valid_to = later.since from ("
        f"select {key}, max(_dlt_valid_from) as since from {place} "
        f"where _dlt_valid_to is null group by all having count(*) > 1) as later "
        f"where {same} and earlier._dlt_valid_to is null and earlier._dlt_valid_from < since"
    )
