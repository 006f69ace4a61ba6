"""Slices joined to loads: each load has a price of its own, whatever is in it."""

import time
from collections.abc import Iterator, Mapping, Sequence

from sources._api import Row
from sources._endpoints import Slice
from sources._errors import VendorError
from sources._tables import Table

ENOUGH_ROWS = 2_000  # of the main table
ENOUGH_SECONDS = 10.0


def gathered(slices: Iterator[Slice]) -> Iterator[Slice]:
    """Small slices joined to loads worth their overhead; what was read before a failure is kept."""
    pending: list[Slice] = []
    since = time.monotonic()
    try:
        for piece in slices:
            pending.append(piece)
            enough = sum(map(weight, pending)) >= ENOUGH_ROWS
            if enough or time.monotonic() - since > ENOUGH_SECONDS:
                yield joined(pending)
                pending, since = [], time.monotonic()
    except VendorError:
        if pending:
            yield joined(pending)
        raise
    if pending:
        yield joined(pending)


def weight(piece: Slice) -> int:
    """Rows of the endpoint's main table: an interaction counts once, not with all its events."""
    counts = [len(rows) for table, rows in piece.rows.items() if not table.is_child]
    return max(counts, default=0)


def joined(pieces: Sequence[Slice]) -> Slice:
    """One slice of several: a later version of a row, or of a parent's children, takes the place
    of an earlier one; dlt itself would keep either."""
    if len(pieces) == 1:
        return pieces[0]
    latest_of_parent = {parent: n for n, piece in enumerate(pieces) for parent in piece.parents}
    tables = {table for piece in pieces for table in piece.rows}
    rows = {table: _joined_rows(table, pieces, latest_of_parent) for table in tables}
    first, last = pieces[0], pieces[-1]
    return Slice(
        rows,
        {key: value for piece in pieces for key, value in piece.state.items()},
        f"{first.label.split('..')[0]}..{last.label.split('..')[-1]}",
        scope=None if last.scope is None else tuple(i for p in pieces for i in p.scope or ()),
        parents=tuple(latest_of_parent),
        warnings=tuple(w for piece in pieces for w in piece.warnings),
        held=tuple(h for piece in pieces for h in piece.held),
    )


def _joined_rows(
    table: Table, pieces: Sequence[Slice], latest_of_parent: Mapping[str, int]
) -> list[Row]:
    if table.is_child:
        return [
            row
            for n, piece in enumerate(pieces)
            for row in piece.rows.get(table, [])
            if latest_of_parent[str(row[str(table.parent)])] == n
        ]
    if table.kept == "history":
        return [row for piece in pieces for row in piece.rows.get(table, [])]
    latest = {table.key_of(row): row for piece in pieces for row in piece.rows.get(table, [])}
    return list(latest.values())
