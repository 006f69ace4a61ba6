"""inwise: e-mail campaigns; what was sent, what was not, what people did with it.

Document: "Get campaigns analytics", developers.inwise.com; read 2026-11. Never tried on a live
account.

Login       header X-API-Key.
Time filter `date_from` and `date_to`, days in the account's local time; without both the vendor
            silently answers for the last 7 days, so both are always sent. Whether `date_to` is
            part of the span is not said: the day after the last is sent, the merge absorbs it.
Paging      `page_index`, whether from 0 or 1 is not said; 100 rows, at most 1,000; the size
            parameter's name is not said and may be ignored. `_days` is right under all readings.
Times       local, without a zone, to the minute: the text is kept beside the converted time.
Feed        recentActivities gives each change ONCE. See `_feed`; it is never retried. A reply
            that was lost on the wire is made good from `activities`, read from start_date once.
Changes     activities arrive late; sent mails may bounce later (an activity, the row stays).
Left out    two more "Recent" methods that the page mentions and does not name; the webhook.
Assumed     `date_to` and `page_size` by name; ids of recent activities are those of activities
            or another sequence: they have a table of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ._api import Api
from ._arrow import TypeChanged, arrow
from ._days import Days, read_days
from ._endpoints import Finding, Listed, Night, Read, Slice, State, Vendor, Window, Windowed
from ._errors import VendorError
from ._feed import replies
from ._journal import Journal
from ._json import is_storable
from ._logins import StaticHeaders
from ._meter import Meter
from ._rejects import without_bad
from ._replies import Row, rows_if_any, rows_of
from ._tables import Kind, Table
from ._windows import first_instant, iso, parse_time, tiles

BASE = "/campaigns/email"
RECENT_PATH = f"{BASE}/recentActivities"
STEP = timedelta(days=7)
ACTIVE_DAYS = 30  # campaigns with an event so recent get their summary read

SENT = Table(
    "sent_emails",
    key=("transaction_id", "contact_id", "campaign_id"),
    newest="date_sent",
    fields={
        "transaction_id": "code",
        "contact_id": "code",
        "campaign_id": "code",
        "date_sent": "instant",
        "date_sent_text": "text",
        "email": "text",
        "sending_source": "text",
        "external_id": "code",
        "row_index": "int",
        "message_size": "float",
    },
)
UNDELIVERED = Table(
    "undelivered",
    key=("id",),
    newest="create_date",
    fields={
        "id": "code",
        "campaign_id": "code",
        "contact_id": "code",
        "create_date": "instant",
        "create_date_text": "text",
        "email": "text",
        "reason": "text",
        "external_id": "code",
    },
)
_ACTIVITY: Mapping[str, Kind] = {
    "id": "code",
    "action_type": "text",
    "contact_id": "code",
    "campaign_id": "code",
    "action_date": "instant",
    "action_date_text": "text",
    "ip": "text",
    "remarks": "code",
    "additional_data": "text",
    "external_id": "code",
}
ACTIVITIES = Table("activities", key=("id", "action_type"), newest="action_date", fields=_ACTIVITY)
RECENT = Table(
    "recent_activities", key=("id", "action_type"), newest="action_date", fields=_ACTIVITY
)
_INT: Kind = "int"
COUNTERS = (
    "sent",
    "undelivered",
    "opens",
    "opens_unique",
    "clicks",
    "clicks_unique",
    "bounces",
    "bounces_unique",
    "webversions_unique",
    "unsubscribes",
    "unsubscribes_unique",
    "report_spam",
    "report_spam_unique",
    "onsite",
    "onsite_unique",
)
SUMMARY = Table(
    "activities_summary",
    key=("campaign_id", "observed_on"),
    newest="observed_on",
    fields={"campaign_id": "code", "observed_on": "date", **dict.fromkeys(COUNTERS, _INT)},
)


def connect(settings: Mapping[str, Any], meter: Meter) -> Api:
    names = "sentEmails|undelivered|activities|activitiesSummary|recentActivities"
    return Api(
        "inwise",
        settings["api_url"],
        reads=[("GET", f"{BASE}/({names})")],
        auth=StaticHeaders({"X-API-Key": settings["api_key"]}),
        secrets=[settings["api_key"]],
        requests_per_minute=settings["requests_per_minute"],
        max_in_flight=settings["max_in_flight"],
        meter=meter,
    )


# --- the three lists with a time filter ----------------------------------------------------------


@dataclass(frozen=True)
class List:
    """A list of events: where it is, its table, and the field with its local time."""

    name: str
    path: str
    table: Table
    time: str

    def read(self, api: Api, night: Night, window: Window) -> Read:
        """The events of one window's local days."""
        zone = zone_of(night)
        first, last, today = (
            moment.astimezone(zone).date() for moment in (window.start, window.end, night.now)
        )
        size, campaigns = night.settings["page_size"], known_campaigns(night).keys()
        days = Days(api, self.path, self.table, size, today, campaigns)
        found = read_days(days, first, last + timedelta(days=1))
        rows = _timed(found.rows, self.time, zone)
        return Read(
            {self.table: rows},
            state={"campaigns": _with_campaigns(night, self.name, rows, self.time)},
            warnings=tuple(found.warnings),
        )


SENT_LIST = List("sent_emails", f"{BASE}/sentEmails", SENT, "date_sent")
UNDELIVERED_LIST = List("undelivered", f"{BASE}/undelivered", UNDELIVERED, "create_date")
ACTIVITY_LIST = List("activities", f"{BASE}/activities", ACTIVITIES, "action_date")


def zone_of(night: Night) -> ZoneInfo:
    return ZoneInfo(night.settings["timezone"])


def _timed(rows: list[Row], field: str, zone: ZoneInfo) -> list[Row]:
    """Rows with their local time as an instant, and its text beside it."""
    return [
        {
            "contact_id": "",
            "campaign_id": "",
            **{key: value for key, value in row.items() if value is not None},
            field: _instant(row.get(field), zone),
            f"{field}_text": row.get(field),
        }
        for row in rows
    ]


def _instant(text: Any, zone: ZoneInfo) -> Any:
    """A local time such as 2024-09-02 13:59:00; what is none stays as it is, and makes no table."""
    if text in (None, ""):
        return None
    try:
        return _parsed(text, zone)
    except (TypeError, ValueError, OverflowError):
        return text


@cache
def _parsed(text: str, zone: ZoneInfo) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


# --- the campaigns that are known ----------------------------------------------------------------


def _with_campaigns(night: Night, name: str, rows: list[Row], field: str) -> dict[str, str]:
    """Every campaign that a list has named, with the day of its last event."""
    days = dict(night.state(name).get("campaigns", {}))
    for row in rows:
        campaign, moment = str(row["campaign_id"]), row.get(field)
        if campaign and isinstance(moment, datetime) and is_storable(campaign):
            days[campaign] = max(days.get(campaign, ""), f"{moment:%Y-%m-%d}")
    return days


def known_campaigns(night: Night) -> dict[str, str]:
    """The campaigns of all lists, each with the day of its last event."""
    known: dict[str, str] = {}
    for name in ("activities", "undelivered", "sent_emails", "recent_activities"):
        for campaign, day in night.state(name).get("campaigns", {}).items():
            known[campaign] = max(known.get(campaign, ""), day)
    return known


def active_campaigns(night: Night) -> list[str]:
    """Campaigns with an event in the last ACTIVE_DAYS."""
    oldest = f"{night.now - timedelta(days=ACTIVE_DAYS):%Y-%m-%d}"
    return sorted(campaign for campaign, day in known_campaigns(night).items() if day >= oldest)


def activities_summary(api: Api, night: Night) -> Iterator[Slice]:
    """The vendor's own counters of each active campaign, as they stand today (UTC)."""
    rows, warnings, refused = list[Row](), list[str](), list[VendorError]()
    campaigns = active_campaigns(night)
    for campaign in campaigns:
        place = f"{BASE}/activitiesSummary campaign {campaign}"
        try:
            body = api.get(f"{BASE}/activitiesSummary", {"campaign_id": campaign}).body
        except VendorError as error:
            if error.status == 404:
                warnings.append(f"{place}: the vendor does not know it any more")
            elif error.status in (400, 422):  # an id of an event that was none
                warnings.append(f"{place}: {error}")
                refused.append(error)
            else:
                raise
            continue
        if not isinstance(body, dict):
            raise VendorError(f"{place}: the reply is no object")
        if not body.keys() & set(COUNTERS):
            raise VendorError(f"{place}: the reply has none of the documented counters")
        rows.append(body | {"campaign_id": campaign, "observed_on": night.now.date()})
    if len(refused) == len(campaigns) > 1:
        raise refused[0].at("every campaign is refused")
    yield Slice({SUMMARY: rows}, {}, f"{len(rows)} campaigns", warnings=tuple(warnings))


# --- the read-once feed --------------------------------------------------------------------------


def _journal(work_dir: Path) -> Journal:
    return Journal(work_dir / "inwise_recent")


def recent_activities(api: Api, night: Night) -> Iterator[Slice]:
    """Replies kept from an earlier night, then the feed until it has nothing more to give.

    The vendor gives a reply once: one that makes no table waits on the disk, and is tried each
    night. Those behind it are loaded, and again behind it when it is: the newest version stays.
    """
    if not night.settings["read_recent"]:
        return
    assert night.work_dir
    journal = _journal(night.work_dir)
    kept, known = set(journal.names()), night.state("recent_activities").get("loaded", [])
    loaded = [name for name in known if name in kept]
    waiting: list[str] = []
    for name, body in _fed(api, journal, night, loaded):
        done = loaded if waiting else [*loaded, name]
        try:
            piece = _recent_slice(night, body, done)
        except VendorError as error:
            if isinstance(error, TypeChanged) and not night.settings.get("put_aside"):
                waiting.append(_told_to_wait(name, error))
                continue
            journal.spoil(name)
            raise VendorError(
                f"{error}; the reply is set aside as {name}.unreadable, the next run reads "
                "activities from start_date in its place"
            ) from error
        loaded = done
        night.states["recent_activities"] = piece.state
        yield piece
    yield Slice({}, {"loaded": loaded}, "drained", held=tuple(waiting))


def _fed(
    api: Api, journal: Journal, night: Night, loaded: Sequence[str]
) -> Iterator[tuple[str, Any]]:
    try:
        yield from replies(api, RECENT_PATH, journal, night.now, loaded)
    except VendorError as error:
        if error.status not in (403, 404):
            raise
        told = f"{error}; to go on without this feed: [sources.inwise] read_recent = false"
        raise VendorError(told, status=error.status) from None


def _told_to_wait(name: str, error: TypeChanged) -> str:
    return (
        f"recentActivities: {error}; the whole reply waits as {name}.reply. Set [sources.inwise] "
        "put_aside = true to go on without this record"
    )


def _recent_slice(night: Night, body: Any, loaded: list[str]) -> Slice:
    """The rows of one reply. Raises TypeChanged where they make no table."""
    rows = _timed(rows_if_any(body, "recentActivities"), "action_date", zone_of(night))
    campaigns = _with_campaigns(night, "recent_activities", rows, "action_date")
    state = {"loaded": loaded, "campaigns": campaigns}
    latest = {RECENT.key_of(row): row for row in rows}
    piece = Slice({RECENT: list(latest.values())}, state, f"{len(rows)} changes")
    _refuse_unloadable(piece, put_aside=night.settings.get("put_aside", False))
    return piece


def _refuse_unloadable(piece: Slice, *, put_aside: bool) -> None:
    """Raises TypeChanged where the load would: behind it nobody could let the reply wait."""
    left = without_bad(piece, {}, "")[0] if put_aside else piece
    arrow(RECENT, left.rows[RECENT], {})


def lost_activities(api: Api, night: Night) -> Iterator[Slice]:
    """Activities from start_date once, where a reply of the feed was lost on its way."""
    assert night.work_dir
    lost = _journal(night.work_dir).lost()
    state = night.state("lost_activities")
    if not set(lost) - set(state.get("healed", [])):
        return
    start = first_instant(ACTIVITIES_ENDPOINT, night)
    if state.get("healing") == lost:
        start = max(start, parse_time(state["position"]))
    for window in tiles(start, night.now, STEP):
        read = ACTIVITY_LIST.read(api, night, window)
        progress = {"healing": lost, "position": iso(window.end)}
        yield Slice(read.rows, progress, str(window), warnings=read.warnings)
    yield Slice({}, {"healed": lost}, "whole")


def published(work_dir: Path, states: Mapping[str, State]) -> None:
    """The rows of the kept replies are in the published file."""
    names = states.get("recent_activities", {}).get("loaded", [])
    names = [*names, *states.get("lost_activities", {}).get("healed", [])]
    if names:
        _journal(work_dir).forget(names)


# --- check ---------------------------------------------------------------------------------------


def probe(api: Api, night: Night) -> Iterator[Finding]:
    """The last day of each list, and whether its times fit the configured zone."""
    zone = zone_of(night)
    today = night.now.astimezone(zone).date()
    newest: list[datetime] = []
    for source in (SENT_LIST, UNDELIVERED_LIST, ACTIVITY_LIST):
        query = {"date_from": str(today), "date_to": str(today + timedelta(days=1))}
        asked = query | {"page_index": "1", "page_size": "10"}
        rows = rows_of(api.get(source.path, asked).body, source.path)
        said = [row[source.time] for row in _timed(rows, source.time, zone)]
        times = [moment for moment in said if isinstance(moment, datetime)]
        newest += times
        yield _timely(source, len(rows), len(said) - len(times) - said.count(None))
    if newest and max(newest) > night.now + timedelta(minutes=10):
        yield Finding(
            "warning",
            f"the newest row lies in the future if its time is {zone.key}",
            "set [sources.inwise] timezone to the account's zone",
        )


def _timely(source: List, rows: int, untimely: int) -> Finding:
    if not untimely:
        return Finding("ok", f"{source.name}: {rows} of today's rows")
    return Finding(
        "failure",
        f"{source.name}: in {untimely} of today's {rows} rows '{source.time}' is no time",
        "ask inwise; with [sources.inwise] put_aside = true a run goes on without such records",
    )


ACTIVITIES_ENDPOINT = Windowed("activities", (ACTIVITIES,), STEP, ACTIVITY_LIST.read)

VENDOR = Vendor(
    name="inwise",
    defaults={
        "api_url": "https://api.inwise.com/rest/v1",
        "timezone": "Asia/Jerusalem",
        "lookback_days": 7.0,
        "read_recent": True,
        "page_size": 1000,
    },
    secrets=("api_key",),
    page_sizes=(1, 1000),
    connect=connect,
    endpoints=(
        ACTIVITIES_ENDPOINT,  # first: it names the campaigns that the other two may ask for
        Windowed("undelivered", (UNDELIVERED,), STEP, UNDELIVERED_LIST.read),
        Windowed("sent_emails", (SENT,), STEP, SENT_LIST.read),
        Listed("activities_summary", (SUMMARY,), activities_summary),
        Listed("lost_activities", (ACTIVITIES,), lost_activities),
        # last: what it is not asked for it keeps
        Listed("recent_activities", (RECENT,), recent_activities),
    ),
    probe=probe,
    published=published,
)
