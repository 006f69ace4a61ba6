"""Lists asked for by local days, where neither paging nor a cap of replies is documented.

Pages are compared until they prove that nothing was left out. Where they cannot, fewer days are
asked for, and in the end the campaigns of a day one by one.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Any

from ._api import Api, Reply
from ._errors import VendorError
from ._json import is_storable
from ._paging import Found, Page, settled
from ._replies import NOTHING, Row, rows_if_any
from ._tables import Table

CAPS = (100, 1000)  # rows of one reply: the documented default and maximum
MORE_DAYS = (7, 30, 90)  # asked on both sides of a day, to learn what is no cap
DAY = timedelta(days=1)
REFUSED = (400, 404, 416, 422)  # answers for a page that is not there


@dataclass(frozen=True)
class Days:
    """Who is asked, and for what: `path` gives rows of `table`, in pages of `size` where it pages.

    `today`: nothing is behind it. `campaigns`: the ids of all that are known.
    """

    api: Api
    path: str
    table: Table
    size: int
    today: date
    campaigns: Collection[str]


class _Doubtful(Exception):
    """A reply that may have been cut at the vendor's cap, and no page that would tell."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__()
        self.rows = rows


def read_days(days: Days, first: date, until: date) -> Found:
    """The rows of the local days [first, until). Where a reply may have been cut, half the days
    are asked for at a time, then each campaign of a day, and then that raises VendorError."""
    one_day = until - first <= DAY
    try:
        return _ask(days, {"date_from": first, "date_to": until}, one_day=one_day)
    except _Doubtful as doubt:
        if one_day and _more_in_more_days(days, first, len(doubt.rows)):
            return Found(doubt.rows)
        if one_day:
            return _read_day(days, first, doubt.rows)
    middle = first + (until - first) // 2
    return _united(days.table, [read_days(days, first, middle), read_days(days, middle, until)])


def _ask(days: Days, query: Mapping[str, Any], *, one_day: bool) -> Found:
    texts = {name: str(value) for name, value in query.items()}
    found = settled(
        lambda: _pages(days, texts, one_day=one_day),
        days.table.key_of,
        f"{days.path} {' '.join(texts.values())}",
    )
    learnt, refused = days.api.learnt, f"{days.path}: refused behind an empty page"
    if learnt.get(days.path) or learnt.get(refused) != 1:
        return found
    learnt[refused] = 2  # told once
    told = f"{days.path}: page 0 is empty, what is behind it refused; taken as an empty list"
    return Found(found.rows, [*found.warnings, told])


def _more_in_more_days(days: Days, day: date, rows: int) -> bool:
    """Whether more days give more rows: then so many are not the vendor's cap."""
    learnt = days.api.learnt
    if learnt.get(f"{days.path}: no more than") == rows:
        return False
    for more in map(timedelta, MORE_DAYS):
        until = max(day + DAY, min(day + more, days.today))
        with suppress(VendorError):  # so many days may be too many
            page = _page(days, {"date_from": str(day - more), "date_to": str(until)}, 0)
            if len(page.rows) > rows:
                return True
    learnt[f"{days.path}: no more than"] = rows
    return False


def _read_day(days: Days, day: date, seen: list[Row]) -> Found:
    """A day of which a reply may have been cut: alone, where `date_to` is part of the span, and
    then campaign by campaign."""
    query = {"date_from": day, "date_to": day}
    try:
        found = _ask(days, query, one_day=True)
        if found.rows:
            return found
        query["date_to"] = day + DAY
    except _Doubtful as doubt:
        seen = doubt.rows
    return _read_campaigns(days, query, seen)


def _read_campaigns(days: Days, query: Mapping[str, Any], seen: list[Row]) -> Found:
    """One day, campaign by campaign: all that any list has ever named."""
    named = {str(row.get("campaign_id")) for row in seen} | set(days.campaigns)
    named = set(filter(is_storable, named))
    place = f"{days.path} {query['date_from']}"
    parts = [Found(seen)]
    for campaign in sorted(named - {"None", ""}):
        try:
            parts.append(_ask(days, {**query, "campaign_id": campaign}, one_day=True))
        except _Doubtful as doubt:
            raise VendorError(
                f"{place} campaign {campaign}: the vendor does not page and gives "
                f"{len(doubt.rows)} rows, which may be its cap; there is no narrower question"
            ) from None
    found = _united(days.table, parts)
    told = f"{place}: cut at {len(seen)} rows; a campaign that no list names may be missing"
    return Found(found.rows, [*found.warnings, told])


def _united(table: Table, parts: list[Found]) -> Found:
    rows = {table.key_of(row): row for part in parts for row in part.rows}
    return Found(list(rows.values()), [w for part in parts for w in part.warnings])


def _pages(days: Days, query: Mapping[str, str], *, one_day: bool) -> list[Page]:
    """Pages 0, 1, 2... until an empty one, whatever the vendor counts from.

    An empty page 0, or one that is refused, ends nothing. Two in a row that are refused behind one
    that came, or two without a new row: what is given for every number behind the last page comes
    again, or there is no paging at all.
    """
    pages: list[Page] = []
    stale: list[Page] = []
    seen: set[Any] = set()
    came = False
    for number in count():
        try:
            page = _page(days, query, number)
        except VendorError as error:
            if error.status not in REFUSED or (number > 0 and not came):
                raise
            if number > 0:
                _refused_again(days, query, number + 1)
                if pages:
                    longest = days.api.learnt[days.path]
                    _end_at_repeat(pages, days.size, one_day=one_day, longest=longest)
                else:
                    days.api.learnt.setdefault(f"{days.path}: refused behind an empty page", 1)
                return pages
            continue
        came = True
        if not page.rows and number > 0:
            return pages
        keys = set(map(days.table.key_of, page.rows))
        if keys - seen:
            # a page that had moved as a whole tells of a drift; page 1 like page 0 only of counting
            pages += [*(moved for moved in stale if number > 2), page]
            stale = []
        elif page.rows:
            stale.append(page)
        if len(stale) == 2:
            _end_at_repeat(pages, days.size, one_day=one_day, longest=days.api.learnt[days.path])
            return pages
        seen |= keys
    raise AssertionError("a list of finite length has an end")


def _refused_again(days: Days, query: Mapping[str, str], number: int) -> None:
    """Raises VendorError unless this page is refused, too: one alone may be a vendor in trouble."""
    try:
        _page(days, query, number)
    except VendorError as error:
        if error.status in REFUSED:
            return
        raise
    raise VendorError(f"{days.path}: page {number - 1} is refused, page {number} is not")


def _page(days: Days, query: Mapping[str, str], number: int) -> Page:
    """One page. The size's name is a guess: it is left out where the vendor refuses it."""
    learnt = days.api.learnt
    asked = {**query, "page_index": number}
    sized = asked | {"page_size": days.size}
    try:
        reply = days.api.get(days.path, asked if learnt.get("no_size") else sized)
        learnt["size"] = learnt.get("size") or number > 0
    except VendorError as error:
        if error.status == NOTHING:
            return Page([], 0)
        if error.status != 400 or learnt.get("size") or learnt.get("no_size"):
            raise
        reply = days.api.get(days.path, asked)
        learnt["no_size"] = True
    return _taken(days, reply)


def _taken(days: Days, reply: Reply) -> Page:
    """The page of a reply; how many rows the longest had is what the vendor's cap is not below."""
    rows = rows_if_any(reply.body, days.path)
    days.api.learnt[days.path] = max(len(rows), days.api.learnt.get(days.path, 0))
    return Page(rows, reply.sent)


def _end_at_repeat(pages: list[Page], size: int, *, one_day: bool, longest: int) -> None:
    """Nothing new comes: there is no paging, or the last page is given for every number behind.

    Raises _Doubtful unless the rows can be trusted to be all there are. `longest`: the rows of the
    longest reply of this list in this run.
    """
    rows = [row for page in pages for row in page.rows]
    if len(pages) > 1:
        trusted = len(pages[-1].rows) < len(pages[0].rows)  # a short page is the last
    elif len(rows) < longest:
        trusted = True  # a reply was cut no shorter than that
    elif one_day:
        trusted = len(rows) not in (*CAPS, size)
    else:  # fewer than any cap, or more than the largest
        trusted = not CAPS[0] <= len(rows) <= CAPS[-1] and len(rows) != size
    if not trusted:
        raise _Doubtful(rows)
