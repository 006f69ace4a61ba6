"""Reading a set page by page without losing a row.

Pages move while they are read: a row arrives at the front and pushes another over the edge of a
page that was read already, a row goes and another is never seen. So what a reading found is held
against the total that the vendor reports and against itself (`settled`), and a page that repeats
is an error and not an end.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain, count, pairwise, repeat
from typing import Any, Literal, TypeVar

from ._api import Api
from ._errors import VendorError
from ._json import content_of
from ._replies import Row

MOST_PAGES = 1_000_000  # of one set; a vendor that says more is not to be believed
MOST_ROWS = 10**12
MOST_STALE = 9  # pages in a row that hold nothing new, under keys that are
FEW = 10  # rows: no vendor cuts an array so short
ROUND = 50  # a cut array has so many rows, or a multiple
READINGS = {"all": 12, "last": 6}  # of one set, before it counts as never settling
TOO_LARGE = (400, 413, 422, 503, 504)  # what a vendor may say to a page of too many rows
SMALLER = 0.83  # each further reading's pages; no two have many edges in common

Key = Callable[[Row], Hashable]
T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """Rows of one reply. `total` and `pages` are what the vendor says of the whole set."""

    rows: list[Row]
    sent: int
    total: int | None = None
    pages: int | None = None
    up_to: datetime | None = None  # the vendor's time of the request, where it says so
    latest: datetime | None = None  # what happened until then is there, where it says so
    size: int = 0  # the rows that were asked for

    def __post_init__(self) -> None:
        if abs(self.total or 0) > MOST_ROWS:
            raise VendorError("the vendor's total of rows is no such number")


Reading = list[tuple[Page, list[Hashable]]]  # with the keys of their rows


@dataclass(frozen=True)
class Found:
    """The rows of a set, each key once (`settled` with repeats: as often as the vendor has it).

    `sent`: by key, the number of the request that a row came with; not told with repeats.
    """

    rows: list[Row]
    warnings: list[str] = field(default_factory=list)
    sent: Mapping[Hashable, int] = field(default_factory=dict)


def settled(
    read: Callable[[], list[Page]],
    key: Key,
    place: str,
    *,
    keep: Literal["all", "last"] = "all",
    repeats: bool = False,
    total: int | None = None,
) -> Found:
    """Read a set until it can be trusted.

    One reading is enough where its keys agree with the total; else as many as it takes until two
    in a row agree with each other, three where the vendor's total says otherwise. Three are enough,
    too, that only grow, up to the total where there is one: rows that arrive push others over the
    edges of pages, but hide none. Where rows repeat, such a one would count twice.
    `keep="all"` unites the readings (events: what was seen has happened), `"last"` takes the last
    one (snapshots: what is gone is gone). `repeats` counts equal keys as rows of their own.
    `total` stands in where the replies carry none.
    Raises VendorError where so many READINGS do not settle.
    """
    readings: list[Reading] = []
    found: list[Counter[Hashable]] = []
    most = READINGS[keep]
    for _ in range(most):
        pages = read()
        readings.append([(page, list(map(key, page.rows))) for page in pages])
        keys = Counter(chain.from_iterable(keys for _, keys in readings[-1]))
        found.append(keys if repeats else Counter(keys.keys()))
        doubt = _doubt(readings[-1], found, total, repeats=repeats, unite=keep == "all")
        least = min((p.total for p in pages if p.total is not None), default=total or 0)
        grows = not repeats and found[-1].total() >= least
        if doubt is None or _agree(found, two="total of" not in doubt, grows=grows):
            break
    else:
        raise VendorError(f"{place}: {most} readings in a row gave different rows ({doubt})")
    kept = readings[-1:] if keep == "last" else readings
    warnings = [f"{place}: {doubt}"] if doubt and "total of" in doubt else []
    if repeats:
        return Found([row for page in pages for row in page.rows], warnings)
    newest = _newest(kept)
    return Found(
        [row for row, _ in newest.values()],
        warnings,
        {of: sent for of, (_, sent) in newest.items()},
    )


def _doubt(
    reading: Reading,
    found: list[Counter[Hashable]],
    total: int | None,
    *,
    repeats: bool,
    unite: bool,
) -> str | None:
    """Why the last reading (with those before it, where they are united) might miss a row."""
    totals = {page.total for page, _ in reading if page.total is not None} or {total} - {None}
    if len(totals) > 1:
        return "the total changed while paging"
    counts = {found[-1].total()}
    if unite and not repeats:
        counts.add(len(set().union(*found)))
    if totals and not totals <= counts:
        return f"the vendor reports a total of {totals.pop()}, its pages hold {found[-1].total()}"
    if totals and not repeats:
        return None
    homes: dict[Hashable, int] = {}
    for number, (_, keys) in enumerate(reading):
        for key in keys:
            if homes.setdefault(key, number) != number:
                return "a row stands on two pages"
    return None


def _agree(found: list[Counter[Hashable]], *, two: bool, grows: bool) -> bool:
    """Whether the last three readings are equal, or the last `two`, or three that `grows` permits
    to have grown."""
    if two and len(found) > 1 and found[-2] == found[-1]:
        return True
    pairs = list(pairwise(found[-3:]))
    equal = all(earlier == later for earlier, later in pairs)
    return len(pairs) == 2 and (equal or (grows and all(a <= b for a, b in pairs)))


def _newest(readings: list[Reading]) -> dict[Hashable, tuple[Row, int]]:
    """Each key once: the version whose request was sent last, and the number of that request."""
    latest: dict[Hashable, tuple[Row, int]] = {}
    for page, keys in sorted(chain.from_iterable(readings), key=lambda keyed: keyed[0].sent):
        latest.update(zip(keys, zip(page.rows, repeat(page.sent)), strict=True))
    return latest


def is_page(asked: int, came: int, pages: int, place: str) -> bool:
    """Whether the page that came is the one asked for. Behind the last of them another may come
    instead; before it, that raises VendorError."""
    if came != asked and asked <= max(pages, 1):
        raise VendorError(f"{place}: page {asked} was asked for, page {came} came")
    return came == asked


def numbered_pages(
    api: Api, fetch: Callable[[int], Page], place: str, *, first: Page | None = None
) -> list[Page]:
    """Pages 1, 2, 3… as far as the vendor says there are, several at a time where it permits; while
    the rows are fewer than the total, on behind the last page until an empty one.

    `first`: page 1, where it was read already.
    """
    pages = [first or fetch(1)]
    while len(pages) < (last := pages[-1].pages or 0):
        if last > MOST_PAGES:
            raise VendorError(f"{place}: the vendor says that there are {last} pages")
        numbers = range(len(pages) + 1, last + 1)
        pages += api.together([partial(fetch, number) for number in numbers])
    _refuse_repeats(pages, place)
    while pages[-1].rows and sum(len(p.rows) for p in pages) < (pages[0].total or 0):
        page = _page_beyond(fetch, len(pages) + 1)
        if page is None or page.rows == pages[-1].rows:
            break
        pages.append(page)
    return pages


def readings(
    api: Api, fetch: Callable[[int, int], Page], place: str, size: int, first: Page
) -> Callable[[], list[Page]]:
    """Reads the numbered pages of `fetch(size, number)` each time it is called, the first time with
    page 1 as it is there, each further time in smaller pages: a vendor that orders equal times anew
    for each page hides rows at the pages' edges, and then each reading hides others."""
    firsts = iter([first])
    sizes = (max(1, round(size * SMALLER**number)) for number in count())

    def read() -> list[Page]:
        sized = partial(fetch, next(sizes))
        return numbered_pages(api, sized, place, first=next(firsts, None))

    return read


def smaller_where_refused(api: Api, size: int, read: Callable[[int], T]) -> T:
    """`read(size)`; where the vendor refuses pages so large, or is too slow for them, with half as
    many rows, twice at most. What it takes is kept for this run (`Api.learnt`)."""
    least = max(1, size // 4)
    while True:
        asked = api.learnt.get("page_size", size)
        try:
            return read(asked)
        except VendorError as error:
            is_size = error.status in TOO_LARGE and not error.told_to_wait and not error.is_login
            if not is_size or size == least:
                raise
            if asked // 2 < least:
                told = f"{error} (the same for pages of {size} rows as of {asked}: page_size)"
                raise VendorError(told, status=error.status) from error
            api.learnt["page_size"] = min(asked // 2, api.learnt.get("page_size", size))


def _page_beyond(fetch: Callable[[int], Page], number: int) -> Page | None:
    try:
        return fetch(number)
    except VendorError as error:
        if error.status in (400, 404, 416, 422):
            return None
        raise


def _refuse_repeats(pages: list[Page], place: str) -> None:
    for number, (page, following) in enumerate(pairwise(pages), 1):
        # rows that are all equal may truly stand on two pages, and a lone one may have moved
        if page.rows == following.rows and any(row != page.rows[0] for row in page.rows):
            raise VendorError(f"{place}: page {number + 1} repeats page {number}")


def keyed_pages(fetch: Callable[[Any], tuple[Page, Any]], place: str) -> list[Page]:
    """Pages that each name the key of the next, until none does or a page is empty."""
    pages: list[Page] = []
    keys: set[Any] = set()
    contents: set[int] = set()  # hashes
    start, stale = None, 0
    while True:
        page, start = fetch(start)
        pages.append(page)
        if not start or not page.rows:
            return pages
        if not isinstance(start, str | int) or start in keys:
            raise VendorError(f"{place}: the key of the next page repeats: it would never end")
        keys.add(start)
        before = len(contents)
        contents.update(hash(content_of(row)) for row in page.rows)
        stale = stale + 1 if len(contents) == before else 0
        if stale > MOST_STALE:
            raise VendorError(f"{place}: the pages repeat under new keys: it would never end")


def uncut(
    fetch: Callable[[int, int], list[Row]],
    start: int,
    end: int,
    rows: list[Row],
    *,
    size: int,
    place: str,
    longest: int = 0,
) -> list[Row]:
    """All rows of the seconds from `start` to `end`, answered with `rows` in an array that has no
    pages and may be cut at any number; `fetch` asks for a part of them.

    An array shorter than another one (`longest`) was not cut, unless its length is the size asked
    for or a round one. Any other is halved, until its parts prove that nothing was cut off.
    """
    looks_cut = len(rows) > 0 and (len(rows) >= size or len(rows) % ROUND == 0)
    longest = max(longest, len(rows))
    if not looks_cut and len(rows) < max(longest, FEW):
        return rows
    if end - start > 1:
        middle = (start + end) // 2
        return [
            row
            for half in ((start, middle), (middle, end))
            for row in uncut(fetch, *half, fetch(*half), size=size, place=place, longest=longest)
        ]
    if looks_cut:
        raise VendorError(
            f"{place}: {len(rows)} rows in one second, in an array without a key for more: it "
            "cannot be known whether that is all; set a larger page_size"
        )
    return rows
