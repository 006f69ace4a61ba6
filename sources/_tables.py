"""What a table of the warehouse looks like: a vendor's documented fields in the vendor's words with
their kinds, and what makes a row the same row.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from typing import Any, Literal

from ._json import content_of
from ._replies import Row

Kind = Literal[
    "text",  # a text
    "code",  # an id, number or code: kept as text, though the vendor may send digits
    "int",
    "float",
    "bool",
    "time",  # ISO 8601 text with a zone
    "epoch",  # seconds (or milliseconds, told by their size) since 1970
    "instant",  # an aware datetime that the source made
    "date",  # a date that the source made
    "list",  # JSON
    "map",  # JSON
    "json",  # JSON of any shape
]
Kept = Literal["newest", "replaced", "history"]

DLT_TYPES: dict[Kind, str] = {
    "text": "text",
    "code": "text",
    "int": "bigint",
    "float": "double",
    "bool": "bool",
    "time": "timestamp",
    "epoch": "timestamp",
    "instant": "timestamp",
    "date": "date",
    "list": "json",
    "map": "json",
    "json": "json",
}
VERSION = "row_version"
PERSONAL = ("phone", "email", "number")  # in a column's name: its values stay out of messages
LONGEST_NAMED = 80  # characters of a key in a message


@dataclass(frozen=True)
class Table:
    """A table of the contract.

    `fields`: the vendor's name (a dot goes into an object) to its kind, in the order of columns.
    `key`: the columns that make a row the same row.
    `kept`: newest version per key | replaced whole with its parent (`parent`: the column that
    names it) | history (SCD2; `parent`: the column that names the list it was read from).
    `own`: fields that the source adds, which are no part of what the vendor said of a row.
    `newest`: the column that tells how fresh the table is.
    """

    name: str
    key: tuple[str, ...]
    fields: Mapping[str, Kind]
    kept: Kept = "newest"
    parent: str | None = None
    own: frozenset[str] = frozenset()
    newest: str | None = None

    def __hash__(self) -> int:
        return hash(self.name)

    @cached_property
    def is_child(self) -> bool:
        """Whether its rows come and go with a parent's."""
        return self.kept == "replaced" and self.parent is not None

    @property
    def is_observation(self) -> bool:
        """Whether each run adds what it sees, as of its own time."""
        return "observed_at" in self.key

    @property
    def columns(self) -> dict[str, Kind]:
        columns = {column_name(name): kind for name, kind in self.fields.items()}
        return columns | ({VERSION: "text"} if self.kept == "history" else {})

    def key_of(self, row: Row) -> tuple[Any, ...]:
        """The key of a row as the vendor sent it. Where a part of it is missing or is none, the
        row's content stands in: it is told from other rows until `arrow` refuses it."""
        parts = tuple([_key_part(row.get(name)) for name in self.key_fields])
        return ("", content_of(row)) if None in parts else parts

    @cached_property
    def main_column(self) -> str:
        """The column that names the row of the main table: its key, or of a child its parent."""
        return (self.parent if self.is_child else None) or self.key[0]

    def main_keys_of(self, rows: Sequence[Row]) -> Iterable[tuple[Any, ...]]:
        """The key of each row, or of the row of the main table that it is a child of."""
        if not self.is_child:
            return map(self.key_of, rows)
        return zip([_key_part(row.get(self.main_column)) for row in rows])

    def field_of(self, column: str) -> str:
        """The vendor's name of a column."""
        return _columns_to_fields(tuple(self.fields))[column]

    @cached_property
    def key_fields(self) -> tuple[str, ...]:
        by_column = _columns_to_fields(tuple(self.fields))
        return tuple(by_column[column] for column in self.key)


def _key_part(value: Any) -> Any:
    if type(value) is str:  # as nearly all are
        return value
    if type(value) is int:
        return str(value)  # 7 and "7" are one id
    return value if isinstance(value, str | date) else None


def named(table: Table, row: Row) -> str:
    """The key of a row for a message, without what is or may be personal."""
    told = [
        f"{column} {str(value)[:LONGEST_NAMED]!a}"
        for column, field in zip(table.key, table.key_fields, strict=True)
        if isinstance(value := row.get(field), str | int | date)
        and not _is_personal(table, column, str(value))
    ]
    return ", ".join(told) or "its key is missing or personal"


def _is_personal(table: Table, column: str, value: str) -> bool:
    """Beside a phone number every id may be the same person's again, or a name."""
    if any(word in name for name in table.key for word in PERSONAL):
        return column not in (table.parent, "occurrence")
    return "@" in value or value[:1] == "+"


@cache
def _columns_to_fields(fields: tuple[str, ...]) -> dict[str, str]:
    return {column_name(field): field for field in fields}


@cache
def column_name(field: str) -> str:
    """`party.touchpointKey` to `party__touchpoint_key`."""
    naming = _naming()
    return "__".join(naming(part) for part in field.split("."))


@cache
def _naming() -> Callable[[str], str]:
    from dlt.common.normalizers.naming.snake_case import NamingConvention

    return NamingConvention().normalize_identifier


def column_hints(table: Table) -> dict[str, dict[str, Any]]:
    """The declared columns as dlt wants them. Fresh dicts each time: dlt writes into them."""
    hints: dict[str, dict[str, Any]] = {}
    for column, kind in table.columns.items():
        hint = {"data_type": DLT_TYPES[kind], "nullable": column not in (*table.key, VERSION)}
        if hint["data_type"] == "timestamp":
            hint |= {"timezone": True, "precision": 6}
        hints[column] = hint
    if table.is_child:  # as in warehouses of earlier versions: dlt lets no column become stricter
        for column in table.key:
            hints[column]["nullable"] = column != table.parent
    return hints
