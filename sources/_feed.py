"""A feed that gives each row once: every request is written down before it leaves, every reply
before it is read (`_journal`)."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from . import _api
from ._api import Api
from ._errors import Stopped, VendorError
from ._journal import Journal
from ._json import loads
from ._replies import NOTHING, Row, rows_if_any

MOST_CALLS = 500  # in one run: a busy account must not keep it for ever
MOST_ATTEMPTS = 4  # of a request that is refused for now
REFUSED = (400, 401, 403, 404, 429, NOTHING)  # answers for which the feed has given nothing out


def replies(
    api: Api, path: str, journal: Journal, now: datetime, loaded: Sequence[str]
) -> Iterator[tuple[str, Any]]:
    """The replies kept from earlier that are not `loaded`, then new ones until there are no more.

    Each has the name that the journal knows it by.
    """
    yield from journal.replies(loaded).items()
    largest, before = 0, None
    for number in range(MOST_CALLS):
        name, rows = _ask(api, path, journal, now, number)
        yield name, rows
        # less than a full reply: nothing was left behind it
        if rows == [] or rows == before or len(rows) < largest:
            return
        largest, before = len(rows), rows


def _ask(
    api: Api, path: str, journal: Journal, now: datetime, number: int
) -> tuple[str, list[Row]]:
    for attempt in range(MOST_ATTEMPTS):
        name = journal.intend(now, 10 * number + attempt)

        def keep(data: bytes, name: str = name) -> list[Row]:
            journal.keep(name, data)
            return rows_if_any(loads(data), path)

        try:
            return name, api.get(path, decode=keep, once=True).body
        except Stopped:
            journal.withdraw(name)
            raise
        except VendorError as error:
            if error.status in REFUSED:
                journal.withdraw(name)
            else:
                journal.spoil(name)
            if error.status == NOTHING:
                return name, []
            if error.status != 429 or attempt == MOST_ATTEMPTS - 1:
                raise
            api.meter.wait(_api.BREATH)
    raise AssertionError("the loop ends in a return or a raise")
