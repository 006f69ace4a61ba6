"""JSON as vendors send it, exactly.

orjson is fast, but rounds whole numbers beyond 64 bits and refuses a whole reply for one lone
surrogate or one byte that is no UTF-8. Such a reply is decoded by Python instead: what is bad in it
becomes a value that no table takes, so that its row can be named or put aside.
"""

import json
import math
from codecs import BOM_UTF8
from decimal import Decimal
from typing import Any

import orjson

_TO_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG = b"0" * 19  # digits in a row: the least of a number beyond 64 bits
_LONGEST_INT = 4_000  # digits that Python turns into a number


def loads(data: bytes) -> Any:
    """Raises ValueError where it is no JSON at all."""
    data = data.removeprefix(BOM_UTF8)
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return exactly(data)
    return exactly(data) if _LONG in data.translate(_TO_ZEROS) else value


def looks_whole(data: bytes) -> bool:
    """Whether a reply may be all of an object or a list, or null: one that was cut without having
    told its length begins well, and ends badly."""
    text = data.removeprefix(BOM_UTF8).strip()
    return text[:1] + text[-1:] in (b"{}", b"[]") or text == b"null"


def exactly(data: bytes, **how: Any) -> Any:
    """Whole numbers of any size; NaN and what is infinite as Decimal; bytes that are no UTF-8 as
    lone surrogates."""
    text = data.removeprefix(BOM_UTF8).decode("utf-8", "surrogateescape")
    try:
        return json.loads(
            text,
            strict=False,
            parse_constant=Decimal,
            parse_float=_float,
            parse_int=lambda digits: int(digits) if len(digits) < _LONGEST_INT else Decimal(digits),
            **how,
        )
    except RecursionError:
        raise ValueError("nested too deep") from None


def _float(digits: str) -> float | Decimal:
    number = float(digits)
    return number if math.isfinite(number) else Decimal(digits)


def dumps(value: Any) -> str:
    """Compact JSON. Raises ValueError for what none can hold."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        pass  # a whole number beyond 64 bits, or deeper than 254
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        text.encode()
    except (TypeError, RecursionError) as error:
        raise ValueError(type(error).__name__) from None
    return text


def content_of(value: Any) -> str:
    """A text that is the same for the same content, whatever that is."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        pass
    try:
        return json.dumps(value, sort_keys=True, default=str)
    except RecursionError:  # no table takes it
        return f"{len(value)} nested too deep"


def is_storable(value: Any) -> bool:
    """Whether a state may hold it."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def printable(text: str) -> str:
    """A text that every log and table takes."""
    return text.encode("utf-8", "backslashreplace").decode()
