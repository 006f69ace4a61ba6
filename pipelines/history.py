"""What a history owes beyond dlt, which closes versions list by list."""

from datetime import UTC, datetime

from sources._tables import Table

from .warehouse import Connection


def join_moved(connection: Connection, schema: str, table: Table, since: datetime | None) -> None:
    """Versions of a row that moved to another list meet: lists are loaded one after the other, and
    one may be held back or fail, so that a row is open in two, or closed in one before it is seen
    in the next. A gap is closed if it began `since` all lists were read, or lies in one run, as an
    earlier version of ours left some: else the row was away."""
    place = f'"{schema}"."{table.name}"'
    key = ", ".join(f'"{name}"' for name in table.key)
    same = " and ".join(f'version."{name}" = pair."{name}"' for name in table.key)
    versions = (
        f'select {key}, "{table.parent}" as list, _dlt_valid_from as begins, '
        f'_dlt_valid_to as ends, lead("{table.parent}") over later as next_list, '
        f"lead(_dlt_valid_from) over later as next_begins from {place} "
        f"window later as (partition by {key} order by _dlt_valid_from)"
    )
    pairs = (
        f"select * from ({versions}) where next_begins > begins and (ends is null "
        "or ends > next_begins or (ends < next_begins and list is distinct from next_list))"
    )
    in_one_run = (
        f"exists (from ops.runs where vendor = '{schema}' and status <> 'running' "
        "and started_at <= ends and ended_at >= next_begins)"
    )
    connection.execute(
        f"update {place} as version set _dlt_valid_to = pair.next_begins "
        f"from (select *, {in_one_run} as in_one_run from ({pairs})) as pair "
        f"where {same} and version._dlt_valid_from = pair.begins "
        "and (ends is null or ends > next_begins or ends > $since or in_one_run)",
        {"since": since or datetime.min.replace(tzinfo=UTC)},
    )
