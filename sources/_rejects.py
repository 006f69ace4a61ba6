"""Records that make no table, put aside so that the others can be loaded.

What goes with a bad row: a row that is kept whole with its parent takes the parent and all its
children along; a row of a history takes the list it was read from, for a row that is absent counts
as gone and would close the version that the warehouse has; any other row goes alone.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ._arrow import TypeChanged, first_bad, why_not
from ._endpoints import Slice
from ._json import content_of, printable
from ._replies import Row
from ._tables import Table

MOST_ROWS, MOST_SHARE = 100, 0.1  # of a slice's rows of a table: more is no bad record
FEW = 5  # rows, all of which may be bad records
LONGEST_PART = 200  # characters of a key that are kept
Known = Mapping[str, Mapping[str, str]]  # per table, its columns with their dlt types


@dataclass(frozen=True)
class Rejected:
    """A record put aside: where it came from and why, its hash, no value but its key (JSON)."""

    table: str
    key: str
    place: str
    reason: str
    sha256: str


def without_bad(piece: Slice, known: Known, place: str) -> tuple[Slice, list[Rejected]]:
    """The slice without the rows that make no table and what has to go with them.

    Raises TypeChanged where there are too many of them.
    """
    rejected: list[Rejected] = []
    for table in piece.rows:
        rows = piece.rows[table]
        bad = bad_rows(table, rows, known.get(table.name, {}))
        culprits = {_part(rows[n].get(table.key_fields[0])): (rows[n], bad[n]) for n in bad}
        if not bad:
            continue
        if table.kept != "history" and (root := _root(table, piece.rows)):
            units = [
                _rejected(root, row, found[0], place, found[1])
                for row in piece.rows[root]
                if (found := culprits.get(_part(row.get(root.key_fields[0]))))
            ]
            _refuse_all(len(units), len(piece.rows[root]), next(iter(bad.values())))
            rejected += units
            piece = _without_units(piece, root, culprits.keys())
            continue
        _refuse_all(len(bad), len(rows), next(iter(bad.values())))
        rejected += [_rejected(table, rows[n], rows[n], place, why) for n, why in bad.items()]
        if table.kept == "history":
            piece = _without_lists(piece, table, [rows[n] for n in bad])
        else:
            left = [row for n, row in enumerate(rows) if n not in bad]
            piece = replace(piece, rows={**piece.rows, table: left})
    return piece, rejected


def _refuse_many(bad: int, of: int, why: str) -> None:
    """What befalls many rows is no bad record."""
    if bad > max(MOST_ROWS, MOST_SHARE * of):
        raise _a_change(f"more than {bad - 1} of {of}", why)


def _refuse_all(bad: int, of: int, why: str) -> None:
    """Nor is what befalls each of some."""
    _refuse_many(bad, of, why)
    if FEW < of == bad:
        raise _a_change(f"all {of}", why)


def _a_change(rows: str, why: str) -> TypeChanged:
    told = "that is no bad record but a change of the vendor's; nothing was loaded of it"
    return TypeChanged(f"{why}; {rows} rows are so: {told}")


def bad_rows(table: Table, rows: Sequence[Row], known: Mapping[str, str]) -> dict[int, str]:
    """The numbers of the rows that make no table, by themselves or with the rest, and why not.

    Nothing is sought where nothing is bad: the table is built once.
    """
    bad: dict[int, str] = {}

    def search(start: int, stop: int) -> bool:
        why = why_not(table, rows[start:stop], known)
        if why is None:
            return False
        if stop - start == 1:
            bad[start] = why
            _refuse_many(len(bad), len(rows), why)
            return True
        middle = (start + stop) // 2
        search(start, middle)
        search(middle, stop)
        return True

    if not search(0, len(rows)):
        return bad
    good = [number for number in range(len(rows)) if number not in bad]
    while why_not(table, [rows[n] for n in good], known):  # two spellings of a field
        number, why = first_bad(table, [rows[n] for n in good], known)
        bad[good.pop(number)] = why
        _refuse_many(len(bad), 0, why)  # each is a search of its own
    return bad


def key_text(table: Table, row: Row) -> str:
    """The key as JSON, the same each night; null where a part is missing or is none."""
    parts = {
        column: _part(row.get(field))
        for column, field in zip(table.key, table.key_fields, strict=True)
        if table.fields[field] not in ("instant", "date")  # of the observation
    }
    return json.dumps(parts)


def _part(value: Any) -> str | None:
    if value is None or isinstance(value, dict | list | float | bool):
        return None
    text = printable(str(value))
    return text if len(text) <= LONGEST_PART else f"sha256:{_sha256(text)}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _rejected(table: Table, row: Row, culprit: Row, place: str, why: str) -> Rejected:
    key, digest = key_text(table, row), _sha256(content_of(culprit))
    return Rejected(table.name, key, printable(place), printable(why), digest)


# --- what goes with a bad row --------------------------------------------------------------------


def _root(table: Table, tables: Mapping[Table, Any]) -> Table | None:
    """`interactions` of `interactions__channels` and of itself; None of a table without family."""
    name = table.name.partition("__")[0]
    family = [each for each in tables if each.name.partition("__")[0] == name]
    return next((t for t in family if t.name == name), None) if len(family) > 1 else None


def _without_units(piece: Slice, root: Table, units: Collection[str | None]) -> Slice:
    """Parents with all their children gone from every table of the family."""
    rows = {
        table: [row for row in some if _part(row.get(table.key_fields[0])) not in units]
        if _root(table, piece.rows) is root
        else some
        for table, some in piece.rows.items()
    }
    return replace(piece, rows=rows)


def _without_lists(piece: Slice, table: Table, bad: Sequence[Row]) -> Slice:
    """A history without the lists of these rows, which stay as they were; without any where it
    cannot be told which lists they are. Their cursors go too: they are read again next time."""
    assert table.parent
    field = table.field_of(table.parent)
    lists = {_part(row.get(field)) for row in bad}
    if piece.scope is None or None in lists:
        told = f"{table.name}: a row was put aside, all stay as they were"
        rows = {each: some for each, some in piece.rows.items() if each is not table}
        scope = None if piece.scope is None else ()
        return replace(piece, rows=rows, scope=scope, held=(*piece.held, told))
    left = [row for row in piece.rows[table] if _part(row.get(field)) not in lists]
    kept = tuple(each for each in piece.scope if _part(each) not in lists)
    cursors = piece.state.get("cursor")
    if isinstance(cursors, dict):  # which the endpoint goes on with
        for each in lists:
            cursors.pop(each, None)
    told = ", ".join(sorted(map(ascii, lists)))
    warning = f"{table.name} of {table.parent} {told} stay as they were: a row was put aside"
    return replace(
        piece,
        rows={**piece.rows, table: left},
        scope=kept,
        held=(*piece.held, warning),
    )
