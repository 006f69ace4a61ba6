"""Avaamo: Outreach Insights API, one row per campaign message to a recipient.

Documents: "Outreach insights API" (GET /api/v2/campaigns/insights); read 2026-11. Never tried on a
live account.

Login       header `access-token`, a user's static token; it sees the campaigns that the user sees.
Paging      page (from 1) and per_page (25 by default, 100 at most). The page says total_entries =
            per_page * total_pages, its own samples say otherwise: neither number ends a reading
            alone, and a total that never agrees is a warning.
Time filter start_time and end_time. end_time is in milliseconds; start_time's unit is not said, the
            sister APIs' examples are in seconds: `time_unit` (ms) is the unit of both. Replies are
            in seconds. A wrong unit is met with no rows or with rows of other times, so both are
            looked at (`_unit_holds`).
Kept        six months; an older start is moved without a word. Nothing is deleted here.
Changes     delivery_status moves on (C-IVR pending without a limit) and `user` is rewritten by
            later files; there is no updated_at, so days with a row that is not final come again.
Limits      none documented; 7 days a fetch are recommended.
Left out    filters in the request (SQL does it), change log, opt status, the agents' SMS report.
Assumed     the filter is on created_at or near it; six months are 180 days at least; Custom channel
            messages go on from `sent`. Bounds may be inclusive or not.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from ._api import Api
from ._endpoints import Finding, Night, Read, Vendor, Window, Windowed
from ._errors import VendorError
from ._logins import StaticHeaders
from ._meter import Meter
from ._paging import Page, is_page, readings, settled
from ._replies import Fault, Row, field_of, rows_of
from ._tables import Table
from ._windows import parted

PATH = "/api/v2/campaigns/insights"
NAME = "campaign_insights"
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
STEP = WEEK - timedelta(minutes=1)  # with the second that bounds are asked early, 7 days at most
# Less than the vendor's own limit: the time to the first request must not move the bound.
KEEPS = timedelta(days=180) - timedelta(minutes=10)
SLICE_ROWS = 5_000  # more in one window, and it is read in parts
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = {"ms": timedelta(milliseconds=1), "s": timedelta(seconds=1)}
OTHER_UNIT = {"ms": "s", "s": "ms"}
INTERIM = {"pending", "queued", "installed", "sent"}

INSIGHTS = Table(
    NAME,
    key=("id",),
    newest="created_at",
    fields={
        "id": "code",
        "created_at": "epoch",
        "recipient_uuid": "code",
        "delivery_status": "text",
        "delivery_channel": "text",
        "campaign.id": "code",
        "campaign.name": "text",
        "execution.id": "code",
        "execution.created_at": "epoch",
        "response_set.id": "code",
        "response_set.name": "text",
        "from_phone": "code",
        "to_phone": "code",
        "to_email": "text",
        "language": "text",
        "content": "text",
        "conversation_uuid": "code",
        "message_uuid": "code",
        "error": "text",
        "error_code": "code",  # AVM1015 here, an integer in the status callback
        "filters": "list",
        "user": "map",  # the headers of customers' files
        "agent": "map",
    },
)


def connect(settings: Mapping[str, Any], meter: Meter) -> Api:
    return Api(
        "avaamo",
        settings["api_url"],
        reads=[("GET", PATH)],
        auth=StaticHeaders({"access-token": settings["access_token"]}),
        secrets=[settings["access_token"]],
        requests_per_minute=settings["requests_per_minute"],
        max_in_flight=settings["max_in_flight"],
        meter=meter,
    )


def campaign_insights(api: Api, night: Night, window: Window) -> Read | list[Window]:
    """One window of messages."""
    unit, size = night.settings["time_unit"], night.settings["page_size"]
    fetch = partial(_page, api, window, unit)
    first = fetch(size, 1)
    parts = parted(window, first, SLICE_ROWS)
    # a vendor that ignores the bounds gives as much for any part: then that is no help
    if parts and _some_inside(first.rows, window):
        return parts
    read = readings(api, fetch, PATH, size, first)
    found = settled(lambda: _without_made_up_total(read()), INSIGHTS.key_of, PATH)
    return Read(
        {INSIGHTS: found.rows},
        unfinished=_unfinished(found.rows),
        state=_unit_holds(api, night, window, found.rows),
        warnings=tuple(found.warnings),
        sent=found.sent,
    )


def _page(api: Api, window: Window, unit: str, size: int, number: int) -> Page:
    query = _bounds(window, unit) | {"page": number, "per_page": size}
    reply = api.get(PATH, query, rank=window.start.timestamp())
    body = reply.body
    rows = rows_of(field_of(body, "entries", list, PATH), PATH)
    pages = field_of(body, "total_pages", int, PATH)
    came = field_of(body, "current_page", int, PATH)
    return Page(
        [_checked(row) for row in rows] if is_page(number, came, pages, PATH) else [],
        reply.sent,
        total=field_of(body, "total_entries", int, PATH),
        pages=pages,
        size=size,
    )


def _without_made_up_total(pages: list[Page]) -> list[Page]:
    """The page's text has total_entries = per_page * total_pages: that is no total to hold the
    rows against, where they fill all those pages but the last."""
    first, rows = pages[0], sum(len(page.rows) for page in pages)
    filled = first.size * (first.pages or 0)
    if first.total == filled and filled - first.size < rows < filled:
        return [replace(page, total=None) for page in pages]
    return pages


def _bounds(window: Window, unit: str) -> dict[str, int]:
    """The window in the vendor's unit, rounded outwards.

    It starts a second early, so that a row on the instant that two windows share comes with one of
    them also where bounds are exclusive.
    """
    return {
        "start_time": (window.start - EPOCH - timedelta(seconds=1)) // UNITS[unit],
        "end_time": -((EPOCH - window.end) // UNITS[unit]),
    }


def _checked(row: Row) -> Row:
    """The page's table has `execution` as an integer, its samples as an object with that id."""
    if "created_at" not in row:
        return {"": Fault(f"{PATH}: a row came without 'created_at'")} | row
    execution = row.get("execution")
    return row | {"execution": {"id": execution}} if type(execution) is int else row


def _created(row: Row) -> datetime | None:
    """None where `created_at` is no time: what that means is said when the table is built."""
    value: Any = row.get("created_at")
    try:
        return EPOCH + timedelta(seconds=value / 1000 if value > 1e11 else value)
    except (TypeError, ArithmeticError):
        return None


def _times(rows: Iterable[Row]) -> list[datetime]:
    return [time for row in rows if (time := _created(row))]


def _some_inside(rows: Iterable[Row], window: Window) -> bool:
    """Whether a row is of this window; a day beside it still counts."""
    return any(window.start - DAY <= time <= window.end + DAY for time in _times(rows))


def _unfinished(rows: list[Row]) -> frozenset[date]:
    """UTC days of the messages whose state the vendor will still change."""
    return frozenset(time.date() for time in _times(filter(_will_change, rows)))


def _will_change(row: Row) -> bool:
    status = str(row.get("delivery_status")).lower()
    # Delivered is not listed for MS Teams: sent is as far as it gets
    final = status == "sent" and str(row.get("delivery_channel")).lower() == "ms_teams"
    return status in INTERIM and not final


# --- the unit of the bounds -----------------------------------------------------------------------


def _unit_holds(api: Api, night: Night, window: Window, rows: list[Row]) -> dict[str, Any]:
    """The state that says which unit once gave rows of the window asked for.

    Rows of other times only: the unit is wrong. No row up to now and never one before: the other
    unit is tried once, for a wrong one gives no rows in silence. Raises VendorError with the mend.
    """
    unit = night.settings["time_unit"]
    if _some_inside(rows, window):
        return {"time_unit": unit}
    if _times(rows):
        raise VendorError(f"{PATH}: none of the rows is of the time asked for; {_mend(unit)}")
    proven = window.end < night.now or night.state(NAME).get("time_unit") == unit
    if not proven and _other_unit_gives(api, window, unit):
        mend = f"{_mend(unit)} and run `outreach reset avaamo`"
        raise VendorError(f"{PATH}: rows come in the other unit of time only; {mend}")
    return {}


def _other_unit_gives(api: Api, window: Window, unit: str) -> bool:
    """Whether rows of the window come when its bounds are told in the unit that is not set."""
    try:
        page = _page(api, window, OTHER_UNIT[unit], 1, 1)
    except VendorError as error:
        if error.status in (400, 422):
            return False
        raise
    return _some_inside(page.rows, window)


def _mend(unit: str) -> str:
    return f'set [sources.avaamo] time_unit = "{OTHER_UNIT[unit]}"'


def probe(api: Api, night: Night) -> Iterator[Finding]:
    """One row of the last 7 days, and whether the unit of the bounds is the vendor's."""
    unit = night.settings["time_unit"]
    window = Window(night.now - WEEK, night.now)
    page = _page(api, window, unit, 1, 1)
    if _some_inside(page.rows, window):
        yield Finding("ok", f"{NAME}: {page.total} in the last 7 days")
        yield Finding("ok", f'time_unit "{unit}": rows are of the time asked for')
    elif page.rows:
        text = f'time_unit "{unit}": a row came that is not of the last 7 days'
        yield Finding("failure", text, _mend(unit))
    elif _other_unit_gives(api, window, unit):
        text = f'time_unit "{unit}" gives no rows of the last 7 days, "{OTHER_UNIT[unit]}" does'
        yield Finding("failure", text, _mend(unit))
    else:
        yield Finding("ok", f"{NAME}: no rows in the last 7 days")


VENDOR = Vendor(
    name="avaamo",
    defaults={
        "api_url": "https://cx.avaamo.com",
        "lookback_days": 14.0,
        "time_unit": "ms",
        "page_size": 100,
        "max_in_flight": 1,
    },
    secrets=("access_token",),
    choices={"time_unit": tuple(UNITS)},
    page_sizes=(1, 100),
    connect=connect,
    endpoints=(Windowed(NAME, (INSIGHTS,), STEP, campaign_insights, keeps=KEEPS, apart=True),),
    probe=probe,
)
