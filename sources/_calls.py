"""Which of the dialer's calls are the same call, with a `call_id` and without."""

import hashlib
import json
from collections.abc import Container, Iterator, Sequence

from ._json import content_of
from ._paging import Page
from ._replies import Row


def call_key(row: Row) -> str:
    """What makes a call the same call: its `call_id`, else what is known of it.

    That is the SHA-256 in hex of `json.dumps([timestamp, campaign_name, lead_number,
    agent_extension])` in UTF-8, with the timestamp in whole seconds and with Python's defaults: a
    blank after each comma, what is not ASCII as \\u and four digits. Different calls may share it.
    """
    if row.get("call_id"):
        return str(row["call_id"])
    names = ("campaign_name", "lead_number", "agent_extension")
    values = [row.get(name) for name in names]
    texts = [str(value) if type(value) is int else value for value in values]
    return hashlib.sha256(json.dumps([seconds(row), *texts], default=str).encode()).hexdigest()


def seconds(row: Row) -> int | None:
    """The call's time in whole seconds; some tenants send milliseconds [T]. None where it is no
    number: such a row makes no table."""
    moment = row.get("timestamp")
    if not isinstance(moment, int | float) or isinstance(moment, bool):
        return None
    try:
        return int(moment / 1000 if abs(moment) > 1e11 else moment)
    except OverflowError:
        return None


def numbered(
    readings: Sequence[Sequence[Page]], documented: Container[str]
) -> Iterator[tuple[str, Row]]:
    """Each call once, with its key, as it was in the last reading that has the key.

    Different calls that share a key are numbered by their content, `documented` fields first: the
    key itself, `#2`, `#3`… Different they are on one page, or where two readings saw both; else it
    is one call that changed while it was read.
    """
    latest: dict[str, dict[str, Row]] = {}
    before: dict[str, set[str]] = {}
    for pages in readings:
        for key, seen in _by_key(pages, documented).items():
            twins = {content: row for page in seen for content, row in page.items()}
            on_one_page = max(seen, key=len)
            again = twins.keys() & before.get(key, set())
            before[key] = set(twins)
            if len(twins) > len(on_one_page):
                one = on_one_page if len(on_one_page) > 1 else seen[-1]
                twins = {content: twins[content] for content in again} or one
            latest[key] = twins
    for key, twins in latest.items():
        for number, (_, row) in enumerate(sorted(twins.items()), 1):
            yield f"{key}#{number}" if number > 1 else key, row


def _by_key(pages: Sequence[Page], documented: Container[str]) -> dict[str, list[dict[str, Row]]]:
    """Of each key, what each page in turn says: its calls by their content."""
    found: dict[str, list[dict[str, Row]]] = {}
    for page in pages:
        here: dict[str, dict[str, Row]] = {}
        for row in page.rows:
            content = "" if row.get("call_id") else _content(row, documented)
            here.setdefault(call_key(row), {})[content] = row
        for key, calls in here.items():
            found.setdefault(key, []).append(calls)
    return found


def _content(row: Row, documented: Container[str]) -> str:
    """What a call says: a new field changes no order among twins."""
    known = {name: value for name, value in row.items() if name in documented}
    return content_of([known, row])
