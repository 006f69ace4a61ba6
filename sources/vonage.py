"""Vonage Contact Center (ex NewVoiceMedia): Insights Stats API, interactions.

Documents: "Get interactions", "Requests/Responses (Insights Stats API)", "How to authenticate";
read 2026-11. Never tried on a live account.

Login       OAuth2 client credentials, form-encoded, scope `stats`; a token lives 7,200 s.
Paging      page (from 1) and limit (25 by default, up to 5,000); meta.pageCount is 0 when empty.
Time filter `start` and `end`, ISO 8601 UTC, at most 31 days apart. `include=Processed` also gives
            what ended or was processed in the window, so older interactions come again: the newest
            version wins, with its channels and events.
Cursor      the first page's `upTo` (the time of the request), never behind `end`: a later page's
            `upTo` would skip what changed between the two requests. Not behind `latestUpdate`
            either (the newest event that is available, where it is told), but for a day at most.
Changes     ongoing interactions have null durations and come again when they end.
Limits      "fair usage", 429; the one number in the documents is about 160 a minute.
Left out    /interactions/ongoing, /agent-activities, /queue-times, /wfm: other questions.
Assumed     limit=1000 is accepted; where it is not, half and a quarter of it are tried. Bounds may
            be inclusive or not: a window begins a millisecond early and ends up to one late.
"""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ._api import Api
from ._endpoints import Finding, Night, Read, Vendor, Window, Windowed
from ._errors import VendorError
from ._logins import Login, StaticHeaders
from ._meter import Meter
from ._paging import Page, is_page, readings, settled, smaller_where_refused
from ._replies import Fault, Row, field_of, make_room, rows_of, token_of
from ._tables import Table
from ._windows import parse_time, parted

PATH = "/stats/interactions"
MOST_BEHIND = timedelta(days=1)  # that the vendor's statistics are thought to be
SLICE_ROWS = 3_000  # more in one window, and it is read in parts

INTERACTIONS = Table(
    "interactions",
    key=("guid",),
    kept="replaced",
    newest="start",
    fields={
        "guid": "code",
        "conversationGuid": "code",
        "start": "time",
        "categorizedAt": "time",
        "status": "text",
        "medium": "text",
        "mediumManager": "text",
        "direction": "text",
        "serviceName": "text",
        "connectTo": "code",
        "connectToKey": "code",
        "connectFrom": "code",
        "connectFromKey": "code",
        "outcome": "text",
        "interactionPlanMapping.addressName": "text",
        "interactionPlanMapping.mappingName": "text",
        "interactionPlanMapping.interactionPlanName": "text",
        "interactionPlanMapping.reportingGroup": "text",
        "duration": "int",
        "handleTime": "int",
        "talkTime": "int",
    },
)
CHANNELS = Table(
    "interactions__channels",
    key=("interaction_guid", "position"),
    kept="replaced",
    parent="interaction_guid",
    own=frozenset({"interaction_guid", "position"}),
    fields={
        "interaction_guid": "code",
        "position": "int",
        "guid": "code",
        "party.id": "code",
        "party.role": "text",
        "party.touchpoint": "code",
        "party.touchpointKey": "code",
        "endReason": "text",
        "integrationType": "text",
        "offset": "int",
        "duration": "int",
        "handleTime": "int",
    },
)
EVENTS = Table(
    "interactions__channels__events",
    key=("interaction_guid", "channel_position", "position"),
    kept="replaced",
    parent="interaction_guid",
    own=frozenset({"interaction_guid", "channel_position", "position"}),
    fields={
        "interaction_guid": "code",
        "channel_position": "int",
        "position": "int",
        "type": "text",
        "name": "text",
        "offset": "int",
        "duration": "int",
        "properties": "map",
    },
)

OURS = CHANNELS.own | EVENTS.own


def connect(settings: Mapping[str, Any], meter: Meter) -> Api:
    def fetch_token() -> tuple[str, float | None]:
        form = {
            "grant_type": "client_credentials",
            "client_id": settings["client_id"],
            "client_secret": settings["client_secret"],
            "scope": "stats",
        }
        reply = api.ask("POST", settings["token_url"], data=form, auth=StaticHeaders({}))
        token = token_of(reply.body, "access_token")
        life = reply.body.get("expires_in")
        return token, time.time() + life if isinstance(life, int | float) else None

    api = Api(
        "vonage",
        settings["api_url"],
        reads=[("GET", PATH)],
        login_urls=[settings["token_url"]],
        auth=Login(fetch_token, lambda token: {"Authorization": f"bearer {token}"}),
        headers={"Accept": "application/vnd.newvoicemedia.v3+json"},
        secrets=[settings["client_secret"], settings["client_id"]],
        requests_per_minute=settings["requests_per_minute"],
        max_in_flight=settings["max_in_flight"],
        meter=meter,
    )
    return api


def interactions(api: Api, night: Night, window: Window) -> Read | list[Window]:
    """One window of interactions with their channels and events, times in UTC, durations in ms."""
    read = partial(_interactions, api, window)
    return smaller_where_refused(api, night.settings["page_size"], read)


def _interactions(api: Api, window: Window, size: int) -> Read | list[Window]:
    fetch = partial(_page, api, window)
    first = fetch(size, 1)
    if parts := parted(window, first, SLICE_ROWS):
        return parts
    found = settled(readings(api, fetch, PATH, size, first), INTERACTIONS.key_of, PATH)
    return Read(
        _three_tables(found.rows),
        cursor=_reached(window, first),
        warnings=tuple(found.warnings),
        sent=found.sent,
    )


def _reached(window: Window, first: Page) -> datetime:
    """Up to where the next night need not look again: what happened behind `latestUpdate` may come
    later, if the vendor is behind and the account is not merely quiet."""
    reached = min(window.end, first.up_to or window.end)
    return min(reached, max(first.latest or reached, reached - MOST_BEHIND))


def _page(api: Api, window: Window, limit: int, number: int) -> Page:
    query = {
        "start": _text(window.start - timedelta(milliseconds=1)),
        "end": _text(window.end + timedelta(microseconds=999)),  # rounded up
        "include": "Processed",
        "page": number,
        "limit": limit,
    }
    reply = api.get(PATH, query, rank=window.start.timestamp())
    meta = field_of(reply.body, "meta", dict, PATH)
    came, pages = field_of(meta, "page", int, PATH), field_of(meta, "pageCount", int, PATH)
    rows = rows_of(field_of(reply.body, "items", list, PATH), PATH)
    return Page(
        rows if is_page(number, came, pages, PATH) else [],
        reply.sent,
        total=field_of(meta, "totalCount", int, PATH),
        pages=pages,
        up_to=_up_to(reply.body),
        latest=_latest(reply.body),
    )


def _up_to(body: Row) -> datetime:
    try:
        return parse_time(field_of(body, "upTo", str, PATH))
    except (ValueError, OverflowError):
        raise VendorError(f"{PATH}: 'upTo' is no ISO 8601 time") from None


def _latest(body: Row) -> datetime | None:
    """`latestUpdate`, which not every reply has."""
    try:
        return parse_time(body["latestUpdate"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _three_tables(items: list[Row]) -> dict[Table, list[Row]]:
    """Interactions, channels and events, each row under its parents' names and position. The rows
    are taken apart in place: copies of a million events cost a quarter of a load's building."""
    channels: list[Row] = []
    events: list[Row] = []
    for item in items:
        guid = item.get("guid")
        for position, channel in enumerate(_children(item, "channels")):
            of_channel = _children(channel, "events")
            for number, event in enumerate(of_channel):
                if not OURS.isdisjoint(event):
                    make_room(event, OURS)
                event["interaction_guid"] = guid
                event["channel_position"] = position
                event["position"] = number
            events += of_channel
            if not OURS.isdisjoint(channel):
                make_room(channel, OURS)
            channel["interaction_guid"] = guid
            channel["position"] = position
            channels.append(channel)
    return {INTERACTIONS: items, CHANNELS: channels, EVENTS: events}


def _children(row: Row, name: str) -> list[Row]:
    """Taken out of their parent, which cannot be loaded where they are no list."""
    children = row.pop(name, None) or []
    if isinstance(children, list):
        return rows_of(children, f"{PATH}: '{name}'")
    row[""] = Fault(f"{PATH}: '{name}' is no list")
    return []


def probe(api: Api, night: Night) -> Iterator[Finding]:
    """A page of the last day, as large as a run asks for."""
    window, size = Window(night.now - timedelta(days=1), night.now), night.settings["page_size"]
    page = smaller_where_refused(api, size, lambda asked: _page(api, window, asked, 1))
    if size > (taken := api.learnt.get("page_size", size)):
        yield Finding(
            "warning",
            f"pages of {size} are refused, runs ask for {taken} after some tries",
            f"set [sources.vonage] page_size = {taken}",
        )
    yield Finding("ok", f"interactions: {page.total} in the last day, up to {page.up_to:%H:%M:%S}Z")


VENDOR = Vendor(
    name="vonage",
    defaults={
        "api_url": "https://emea.api.newvoicemedia.com",
        "token_url": "https://emea.cc.vonage.com/Auth/connect/token",
        "lookback_days": 0.02,
        "page_size": 1000,
        "max_in_flight": 4,
        "requests_per_minute": 150,
    },
    secrets=("client_id", "client_secret"),
    page_sizes=(1, 5000),
    connect=connect,
    endpoints=(
        Windowed(
            "interactions",
            (INTERACTIONS, CHANNELS, EVENTS),
            timedelta(days=7),
            interactions,
            apart=True,
        ),
    ),
    probe=probe,
)
