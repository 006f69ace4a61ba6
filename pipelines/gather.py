"""Slices joined to loads: each load has a price of its own, whatever is in it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from sources._endpoints import Slice
from sources._errors import VendorError
from sources._rejects import Rejected
from sources._tables import Table

ENOUGH_ROWS = 5_000  # of the main table
ENOUGH_SECONDS = 10.0


@dataclass(frozen=True)
class Built:
    """A slice with its rows as Arrow tables; they take a tenth of the memory of Python's."""

    piece: Slice  # without its rows
    tables: Mapping[Table, Any]
    rejected: tuple[Rejected, ...] = ()
    resolved: tuple[tuple[str, str], ...] = ()  # table and key of what was put aside, and is well

    def __len__(self) -> int:
        return sum(map(len, self.tables.values()))

    @property
    def weight(self) -> int:
        """Rows of the main table: an interaction counts once, not with all its events."""
        counts = [len(rows) for table, rows in self.tables.items() if not table.is_child]
        return max(counts, default=0)

    @property
    def replaced(self) -> dict[Table, Any]:
        """Of what is replaced whole: the table of the parents, and those of their children."""
        return {table: rows for table, rows in self.tables.items() if table.kept == "replaced"}

    @property
    def parents(self) -> list[str]:
        """The keys of what is replaced whole."""
        return [
            key
            for table, rows in self.replaced.items()
            if not table.is_child
            for key in rows.column(table.main_column).to_pylist()
        ]


def gathered(slices: Iterator[Built]) -> Iterator[Built]:
    """Small slices joined to loads worth their overhead; what was read before a failure is kept."""
    pending: list[Built] = []
    since = time.monotonic()
    try:
        for built in slices:
            pending.append(built)
            enough = sum(each.weight for each in pending) >= ENOUGH_ROWS
            if enough or time.monotonic() - since > ENOUGH_SECONDS:
                yield joined(pending)
                pending, since = [], time.monotonic()
    except VendorError:
        if pending:
            yield joined(pending)
        raise
    if pending:
        yield joined(pending)


def joined(parts: Sequence[Built]) -> Built:
    """One slice of several: a later version of a row, or of a parent's children, takes the place
    of an earlier one; dlt itself would keep either, or both."""
    if len(parts) == 1:
        return parts[0]
    pieces = [part.piece for part in parts]
    came = [part.parents for part in parts]
    latest_of_parent = {parent: n for n, parents in enumerate(came) for parent in parents}
    if len(latest_of_parent) == sum(map(len, came)):
        latest_of_parent = {}  # nobody's children came twice
    tables = dict.fromkeys(table for part in parts for table in part.tables)
    first, last = pieces[0], pieces[-1]
    piece = replace(
        last,
        state={key: value for piece in pieces for key, value in piece.state.items()},
        label=f"{first.label.split('..')[0]}..{last.label.split('..')[-1]}",
        scope=None if last.scope is None else tuple(i for p in pieces for i in p.scope or ()),
        warnings=tuple(w for piece in pieces for w in piece.warnings),
        held=tuple(h for piece in pieces for h in piece.held),
    )
    united = {table: _united(table, parts, latest_of_parent) for table in tables}
    rejected = tuple(each for part in parts for each in part.rejected)
    return Built(piece, united, rejected, _resolved(parts))


def _resolved(parts: Sequence[Built]) -> tuple[tuple[str, str], ...]:
    """What is well in the last part that has it."""
    resolved: set[tuple[str, str]] = set()
    for part in parts:
        resolved -= {(each.table, each.key) for each in part.rejected}
        resolved |= set(part.resolved)
    return tuple(sorted(resolved))


def _united(table: Table, parts: Sequence[Built], latest_of_parent: Mapping[str, int]) -> Any:
    several = [part.tables.get(table) for part in parts]
    rows = pa.concat_tables(
        [each for each in several if each is not None], promote_options="default"
    )
    if table.kept == "history":
        return rows
    if table.is_child:
        if not latest_of_parent:
            return rows
        came = [n for n, each in enumerate(several) for _ in range(len(each or ()))]
        parents = rows.column(table.parent).to_pylist()
        return rows.filter(
            pa.array([latest_of_parent[p] == n for p, n in zip(parents, came, strict=True)])
        )
    keys = zip(*(rows.column(name).to_pylist() for name in table.key), strict=True)
    latest = {key: number for number, key in enumerate(keys)}
    return rows if len(latest) == len(rows) else rows.take(pa.array(latest.values(), pa.int64()))
