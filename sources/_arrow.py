"""How a vendor's rows become an Arrow table of the warehouse.

Rows as the vendor sent them become snake_case columns, known objects flattened with `__`, lists and
free-form maps as JSON text, new fields as new columns. A field whose type or shape is not what it
was raises TypeChanged; nothing is cast in silence.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from itertools import chain
from operator import itemgetter
from types import NoneType
from typing import Any

import orjson

from ._errors import VendorError
from ._json import dumps
from ._replies import Fault, Row
from ._tables import VERSION, Kind, Table, column_name, named

MOST_PASSES = 4  # to find the fields that every row has
# What Python, and with it most readers, can hold as a time.
TIMES = (datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


class TypeChanged(VendorError):
    """A field is not what it was: this vendor stops, nothing of the slice is loaded."""


def arrow(table: Table, rows: Sequence[Row], known: Mapping[str, str]) -> tuple[Any, set[str]]:
    """Rows of one slice as a `pyarrow.Table`, and which new columns of it hold JSON.

    `known` are the warehouse's columns of this table with their dlt types: a new field of an
    earlier night keeps the type it got. Raises TypeChanged, which names the first row to blame.
    """
    try:
        return _arrow(table, rows, known)
    except TypeChanged:
        number, why = first_bad(table, rows, known)
        raise TypeChanged(f"{why} ({named(table, rows[number])})") from None


def first_bad(table: Table, rows: Sequence[Row], known: Mapping[str, str]) -> tuple[int, str]:
    """Of rows that make no table, the first that cannot stand with those before it, and why."""
    good, bad, why = 0, len(rows), ""
    while bad - good > 1 or not why:
        middle = (good + bad) // 2 if why else bad
        said = why_not(table, rows[:middle], known)
        good, bad, why = (middle, bad, why) if said is None else (good, middle, said)
    return bad - 1, why


def why_not(table: Table, rows: Sequence[Row], known: Mapping[str, str]) -> str | None:
    """Why rows make no table; None where they do. Holds no value of them."""
    try:
        _arrow(table, rows, known)
    except TypeChanged as error:
        return str(error)
    return None


def _arrow(table: Table, rows: Sequence[Row], known: Mapping[str, str]) -> tuple[Any, set[str]]:
    import pyarrow as pa

    names: set[str] = set().union(*rows)
    if "" in names:
        raise TypeChanged(_fault(table, rows))
    arrays: dict[str, Any] = {}
    new_json: set[str] = set()
    inner = _inner(table, rows)
    for field, values in _declared(table, inner).items():
        column = column_name(field)
        arrays[column] = _array(table, field, table.fields[field], values)
        if column in table.key and arrays[column].null_count:
            raise TypeChanged(f"{table.name}: a row came without its key '{field}'")
    for column, values in _unknown(table, inner, names).items():
        if column in arrays:
            raise TypeChanged(f"{table.name}: two fields of the vendor share the name '{column}'")
        if all(value is None for value in values):
            continue
        arrays[column], is_json = _new_column(table, column, values, known.get(column))
        if is_json:
            new_json.add(column)
    result = pa.table(arrays)
    if table.kept == "history":
        result = result.append_column(VERSION, pa.array(_versions(table, result), pa.string()))
    return result, new_json


def _fault(table: Table, rows: Sequence[Row]) -> str:
    """What the source found wrong with a row."""
    fault = next(row[""] for row in rows if "" in row)
    return fault if isinstance(fault, Fault) else f"{table.name}: a field without a name"


def _inner(table: Table, rows: Sequence[Row]) -> dict[str, Sequence[Row]]:
    """The declared objects of each row by where they are in it, "" the row itself; one that is no
    object raises."""
    inner: dict[str, Sequence[Row]] = {"": rows}
    for prefix in _by_object(tuple(table.fields)):
        if prefix:
            outer, _, last = prefix.rpartition(".")
            inner[prefix] = _objects(table, prefix, [row.get(last) for row in inner[outer]])
    return inner


def _declared(table: Table, inner: Mapping[str, Sequence[Row]]) -> dict[str, Sequence[Any]]:
    """The values of each declared field, row by row."""
    values: dict[str, Sequence[Any]] = {}
    for prefix, names in _by_object(tuple(table.fields)).items():
        start = f"{prefix}." if prefix else ""
        of_each = _of_each(inner[prefix], names)
        values |= {start + name: of_each[name] for name in names}
    return values


@cache
def _by_object(fields: tuple[str, ...]) -> dict[str, list[str]]:
    """The names of fields by the object they are in, outer objects first; "" is the row itself."""
    names: dict[str, list[str]] = {"": []}
    for field in fields:
        prefix, _, name = field.rpartition(".")
        names.setdefault(prefix, []).append(name)
    return names


def _of_each(rows: Sequence[Row], names: Sequence[str]) -> dict[str, list[Any]]:
    """Per name its value in each row. Those that every row has are taken in one pass, in two thirds
    of the time."""
    common = list(names)
    for _ in range(MOST_PASSES):
        if len(common) < 2:
            break
        try:
            one_by_one = list(chain.from_iterable(map(itemgetter(*common), rows)))
        except KeyError as missing:
            common.remove(missing.args[0])
            continue
        values = {name: one_by_one[n :: len(common)] for n, name in enumerate(common)}
        return values | {n: [row.get(n) for row in rows] for n in names if n not in values}
    return {name: [row.get(name) for row in rows] for name in names}


def _objects(table: Table, field: str, values: Sequence[Any]) -> list[Row]:
    for value in values:
        if value is not None and not isinstance(value, dict) and value != []:
            raise _changed(table, field, "an object", value)
    return [value or {} for value in values]


def _unknown(
    table: Table, inner: Mapping[str, Sequence[Row]], names: set[str]
) -> dict[str, list[Any]]:
    """Values of the fields that the vendor's page does not name, by column; `names` are those of
    all the rows' own fields."""
    prefixes = inner.keys() - {""}
    unknown: dict[str, list[Any]] = {}
    for prefix in ("", *sorted(prefixes)):
        objects = inner[prefix]
        seen: set[str] = set().union(*objects) if prefix else names
        start = f"{prefix}." if prefix else ""
        for name in sorted(seen):
            if start + name in table.fields or start + name in prefixes:
                continue
            if not name.strip():
                raise TypeChanged(f"{table.name}: a field came without a name")
            if "." in name:
                column = column_name(start + name.replace(".", "_"))
            else:
                column = column_name(start + name)
            if column.startswith("_dlt") or column == VERSION:  # of dlt's and ours
                column = f"vendor_{column}"
            if column in unknown:
                raise TypeChanged(
                    f"{table.name}: two fields of the vendor share the name '{column}'"
                )
            unknown[column] = [obj.get(name) for obj in objects]
    return unknown


def _array(table: Table, field: str, kind: Kind, values: Sequence[Any]) -> Any:
    """One column. Raises TypeChanged unless every value is of its kind."""
    import pyarrow as pa

    if kind in ("list", "map", "json"):
        return pa.array(_json_texts(table, field, kind, values), pa.string())
    types = {*map(type, values)} - {NoneType}
    if kind == "code" and int in types:
        values = [str(v) if type(v) is int else v for v in values]
    if kind == "time":
        values = [None if v == "" else v for v in values]
    try:
        # told what it is, Arrow does not look at each value twice; bool is a type of its own
        inferred = pa.array(values, pa.string()) if types == {str} else pa.array(values)
        return _within_times(_as_kind(inferred, kind))
    except UnicodeEncodeError:
        raise TypeChanged(f"{table.name}.{column_name(field)}: {NO_TEXT}") from None
    except (ValueError, ArithmeticError, pa.ArrowTypeError, pa.ArrowNotImplementedError):  # misfits
        index = next((i for i, v in enumerate(values) if not _fits(v, kind)), None)
        if index is None:
            raise TypeChanged(f"{table.name}.{column_name(field)}: a value out of range") from None
        raise _changed(table, field, _EXPECTED[kind], values[index]) from None


NO_TEXT = "a text that is none: a lone surrogate, or bytes that are no UTF-8"


def _as_kind(array: Any, kind: Kind) -> Any:
    """An inferred array as the declared type, or an Arrow error; nothing is rounded or guessed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    targets = {
        "text": pa.string(),
        "code": pa.string(),
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "date": pa.date32(),
    }
    moment = pa.timestamp("us", "UTC")
    is_number = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), targets.get(kind, moment))
    if kind == "time" and pa.types.is_string(array.type):
        try:
            return array.cast(moment)
        except pa.ArrowInvalid:  # more than six digits of a second
            return array.cast(pa.timestamp("ns", "UTC")).cast(moment, safe=False)
    if kind == "epoch" and is_number:
        seconds = array.cast(pa.float64())
        seconds = pc.if_else(pc.greater(pc.abs(seconds), 1e11), pc.divide(seconds, 1e3), seconds)
        return pc.round(pc.multiply(seconds, 1e6)).cast(pa.int64()).cast(moment)
    if kind == "instant" and pa.types.is_timestamp(array.type) and array.type.tz:
        return array.cast(moment)
    if kind in ("int", "float") and is_number:
        return array.cast(targets[kind])  # safe: 1.5 into a whole number raises
    if kind in targets and array.type == targets[kind]:
        return array
    raise pa.ArrowTypeError(kind)


def _within_times(array: Any) -> Any:
    """Raises where a time lies before the year 1 or after 9999: most readers would fail on it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(array.type) and len(array) > array.null_count:
        ends = pc.min_max(array.cast(pa.int64()))
        first, last = (pa.scalar(end, array.type).cast(pa.int64()).as_py() for end in TIMES)
        if ends["min"].as_py() < first or ends["max"].as_py() > last:
            raise OverflowError
    return array


_PYTHON: dict[Kind, tuple[type, ...]] = {
    "text": (str,),
    "code": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "time": (str,),
    "epoch": (int, float),
    "instant": (datetime,),
    "date": (date,),
    "list": (list,),
    "map": (dict,),
}
_EXPECTED: dict[Kind, str] = {
    "text": "a text",
    "code": "a text or a whole number",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "time": "an ISO 8601 time with its zone",
    "epoch": "a time in epoch seconds",
    "instant": "a time",
    "date": "a date",
    "list": "a list",
    "map": "an object",
}


def _fits(value: Any, kind: Kind) -> bool:
    if value is None:
        return True
    if kind == "int" and isinstance(value, float):
        return value.is_integer()
    if kind == "time" and isinstance(value, str):
        try:
            return datetime.fromisoformat(value).tzinfo is not None
        except ValueError:
            return False
    return isinstance(value, _PYTHON[kind]) and (kind == "bool" or not isinstance(value, bool))


def _json_texts(table: Table, field: str, kind: Kind, values: Sequence[Any]) -> list[str | None]:
    """JSON texts; an empty list may stand for an empty map and the other way round."""
    shapes = _PYTHON.get(kind)
    if shapes and not {*map(type, values)} <= {*shapes, NoneType}:
        for value in values:
            if not isinstance(value, (*shapes, NoneType)) and value not in ([], {}):
                raise _changed(table, field, _EXPECTED[kind], value)
    try:
        return [None if v is None else orjson.dumps(v).decode() for v in values]
    except TypeError:  # what `dumps` knows how to write, or can tell
        return [None if v is None else _json_text(table, column_name(field), v) for v in values]


def _json_text(table: Table, column: str, value: Any) -> str:
    try:
        return dumps(value)
    except ValueError:
        raise TypeChanged(
            f"{table.name}.{column}: what no JSON can hold ({NO_TEXT}, or no number)"
        ) from None


def _new_column(
    table: Table, column: str, values: list[Any], known: str | None
) -> tuple[Any, bool]:
    """A field that no document names: text, or JSON (then True) where it is an object or a list.

    One that was text once stays text, whatever it becomes: only declared fields can stop a vendor.
    """
    import pyarrow as pa

    nested = any(isinstance(v, dict | list) for v in values)
    is_json = known == "json" or (nested and known != "text")
    texts = [
        v if v is None or (isinstance(v, str) and not is_json) else _json_text(table, column, v)
        for v in values
    ]
    try:
        return pa.array(texts, pa.string()), is_json
    except UnicodeEncodeError:
        raise TypeChanged(f"{table.name}.{column}: {NO_TEXT}") from None


def _changed(table: Table, field: str, was: str, value: Any) -> TypeChanged:
    """Says where and what kind, never the value."""
    names = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
    names |= {dict: "an object", list: "a list"}
    now = names.get(type(value), "something else")
    none = now == was or now in was or was == _EXPECTED["time"]
    now = f"{now} that is none" if none else now
    return TypeChanged(f"{table.name}.{column_name(field)} was {was}, the vendor now sends {now}")


def _versions(table: Table, built: Any) -> list[str]:
    """A hash over the key and the vendor's documented fields; missing and null are the same.

    With the key, for dlt tells rows apart by their version alone.
    """
    said = [column_name(field) for field in table.fields if field not in table.own]
    fields = list(dict.fromkeys([*table.key, *said]))
    return [
        hashlib.md5(  # noqa: S324  # tells versions apart, guards nothing
            orjson.dumps(
                {k: v for k, v in row.items() if v is not None}, option=orjson.OPT_SORT_KEYS
            )
        ).hexdigest()
        for row in built.select(fields).to_pylist()
    ]
