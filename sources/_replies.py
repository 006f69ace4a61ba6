"""What a reply holds: a field that must be there, rows that must be objects."""

from collections.abc import Set
from typing import Any, TypeVar

from ._errors import VendorError

Row = dict[str, Any]
T = TypeVar("T")

NOTHING = 204  # the HTTP status of a reply without rows


def field_of(body: Any, name: str, kind: type[T], place: str) -> T:
    """`body[name]`, which must be there and of that kind: a renamed key is no empty page."""
    if not isinstance(body, dict):
        raise VendorError(f"{place}: the reply is {_json_kind(body)} where an object belongs")
    if name not in body:
        keys = ", ".join(sorted(map(str, body))[:12])
        raise VendorError(f"{place}: the reply has no '{name}' (it has: {keys})")
    value = body[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise VendorError(f"{place}: '{name}' is {_json_kind(value)}, not {_KINDS[kind]}")
    return value


def token_of(body: Any, name: str) -> str:
    """The token of a login's reply, fit for a header."""
    token = field_of(body, name, str, "the login")
    if not token.isascii() or not token.isprintable() or not token.strip():
        raise VendorError(f"the login: '{name}' is no token")
    return token


class Fault(str):
    """What is wrong with a row, found by its source. It stands in the row under no name, so that
    `arrow` refuses the row and no other."""


def rows_of(value: Any, place: str) -> list[Row]:
    """A list of objects, or VendorError. What is no object becomes one with a Fault."""
    if not isinstance(value, list):
        raise VendorError(f"{place}: the reply is {_json_kind(value)} where a list belongs")
    if {*map(type, value)} <= {dict}:
        return value
    return [
        row
        if isinstance(row, dict)
        else {"": Fault(f"{place}: the list holds {_json_kind(row)} where objects belong")}
        for row in value
    ]


def rows_if_any(body: Any, place: str) -> list[Row]:
    """As `rows_of`; a null is a list without rows."""
    return rows_of([] if body is None else body, place)


def without(row: Row, name: str) -> Row:
    return {key: value for key, value in row.items() if key != name}


def with_ours(row: Row, ours: Row) -> Row:
    """The row and what its source adds, as `make_room` where the vendor says something else."""
    row = dict(row)
    make_room(row, {name for name in ours.keys() & row.keys() if row[name] != ours[name]})
    return row | ours


def make_room(row: Row, ours: Set[str]) -> None:
    """A field of the vendor's that has a name of ours goes on as `vendor_NAME`."""
    for name in ours & row.keys():
        row[f"vendor_{name}"] = row.pop(name)


_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def _json_kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), "something else")
