"""The dialer: QVOICE's "Contact center - Campaigns API", sold under other names too.

Documents: docs.qvoice.net/api/campaigns, and others' clients for what it leaves out [T]; read
2026-11. Never tried on a live account.

Login       POST /api/v2/login with username, password, domain: a token that goes with the account's
            id. Its life is the `exp` of the JWT that it is [T], else unknown; a 401 renews it. No
            one uses the refresh token. A wrong login is a 400.
Paging      leads: page_size, next_start_key. History: pageSize, startKey; both are answered with
            `next_start_key`, absent, null or empty at the end. The page prints the history as a
            bare array, which has no place for a key: it is halved until nothing can hide in it.
Time filter history alone: startDate and endDate, whole seconds, always both (the page's own sample
            mixes seconds with milliseconds). Which time it filters is unsaid: checked by
            `timestamp`, which comes in seconds or milliseconds.
Changes     dispositions and notes arrive after the call; leads change and are deleted for good.
Same row    leads and campaigns have ids. Calls have a `call_id` at some tenants: see `call_key`.
Kept        leads as a history; campaigns that go get `deleted_at`; counts and queues as seen.
            Calls name their campaign as it was called then: its `earlier_names` are kept.
Gone        a campaign no more listed: its leads are closed. A list that shrank much is held back
            first (`_snapshots`); the name of the campaign list itself is "campaigns".
Certificate often the tenant's own authority on port 9443: `ca_bundle`. It is always verified.
Left out    CDRs, recordings, users, configuration of queues and campaigns: not in the document.
            Adding, setting and deleting leads and dispositions are writes: they cannot leave.
Assumed     1,000 rows a page are accepted. A null where a list belongs is an empty one (Go prints
            it so); the totals and the shrink rule stand behind it.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from . import _json
from ._api import Api, T
from ._arrow import why_not
from ._calls import call_key, numbered, seconds
from ._endpoints import REQUIRED, Finding, Listed, Night, Read, Slice, Vendor, Window, Windowed
from ._errors import VendorError
from ._logins import Login, StaticHeaders
from ._meter import Meter
from ._paging import Found, Page, keyed_pages, settled, uncut
from ._replies import Fault, Row, field_of, rows_if_any, rows_of, token_of, with_ours, without
from ._snapshots import believe
from ._tables import Table
from ._windows import iso

LOGIN = "/api/v2/login"
STATUS = "/api/v2/reports/campaigns/leads/status"
HISTORY_PATH = "/api/v2/reports/campaigns/leads/history"
QUEUE_STATUS = "/callcenter/queues/status"
ARRAY = object()  # in place of the key of a next page
NAMED = 5  # campaigns in a warning

CAMPAIGNS = Table(
    "campaigns",
    key=("id",),
    own=frozenset({"id", "deleted_at", "earlier_names"}),
    fields={
        "id": "code",
        "name": "text",
        "status": "text",
        "total_leads": "int",
        "deleted_at": "instant",
        "earlier_names": "json",
    },
)
LEAD_COUNTS = Table(
    "campaign_lead_counts",
    key=("campaign_id", "status", "occurrence", "observed_at"),
    own=frozenset({"campaign_id", "occurrence", "observed_at"}),
    newest="observed_at",
    fields={
        "campaign_id": "code",
        "status": "text",
        "occurrence": "int",
        "observed_at": "instant",
        "leads": "int",
    },
)
LEADS = Table(
    "leads",
    key=("id",),
    kept="history",
    parent="campaign_id",
    newest="created",
    fields={
        "id": "code",
        "campaign_id": "code",
        "created": "epoch",
        "number": "code",
        "status": "text",
        "retries": "int",
        "first_name": "text",
        "last_name": "text",
        "priority": "int",
        "type": "text",
        "ticket_id": "code",
        "note": "text",
        "cool_off": "int",
    },
)
QUEUES = Table(
    "queues",
    key=("id", "observed_at"),
    own=frozenset({"observed_at"}),
    newest="observed_at",
    fields={
        "id": "code",
        "observed_at": "instant",
        "name": "text",
        "extension": "code",
        "max_time_caller_in_queue": "int",
        "strategy": "text",
        "calls": "json",
        "total_agents": "int",
        "logged_in_agents": "int",
        "logged_out_agents": "int",
        "idle_agents": "int",
        "misconfigured_agents": "int",
        "agents_registered": "int",
        "agents_on_call": "int",
    },
)
QUEUE_AGENTS = Table(
    "queues__agents",
    key=("queue_id", "observed_at", "position"),
    own=frozenset({"queue_id", "observed_at", "position"}),
    newest="observed_at",
    fields={
        "queue_id": "code",
        "observed_at": "instant",
        "position": "int",
        "id": "code",
        "name": "text",
        "extension": "code",
        "extension_is_valid": "bool",
        "delay": "int",
        "timeout": "int",
        "logged_in": "bool",
        "status": "text",
        "registered": "bool",
        "tags": "list",
    },
)
HISTORY = Table(
    "lead_history",
    key=("call_key",),
    own=frozenset({"call_key"}),
    newest="timestamp",
    fields={
        "call_key": "code",
        "datetime": "text",  # as Go prints a time: "2022-10-19 23:31:58 +0000 UTC"
        "timestamp": "epoch",
        "campaign_name": "text",
        "lead_name": "text",
        "lead_number": "code",
        "agent_name": "text",
        "agent_extension": "code",
        "lead_history": "list",
        # From here on [T], and not at every tenant. Times of unstated unit (hangup_time,
        # answered_time, customer_wait_time_sla…) are left to become text.
        "call_id": "code",
        "campaign_type": "text",
        "lead_first_name": "text",
        "lead_last_name": "text",
        "lead_ticket_id": "code",
        "lead_type": "text",
        "status": "text",
        "disposition": "text",
        "lead_disposition": "text",
        "agent_disposition": "text",
        "agent_subdisposition": "json",
        "follow_up_notes": "text",
        "hangup_cause": "code",
        "agent_talk_time": "float",
        "media_recording_id": "code",
        "recording_filename": "text",
        "agent_history": "json",
    },
)


# --- connecting ----------------------------------------------------------------------------------


def connect(settings: Mapping[str, Any], meter: Meter) -> Api:
    ca_bundle = settings["ca_bundle"]
    url = settings["api_url"].rstrip("/") + LOGIN
    who = {name: settings[name] for name in ("username", "password", "domain")}

    def log_in() -> tuple[str, float | None]:
        if ca_bundle and not Path(ca_bundle).is_file():
            raise VendorError("[sources.dialer] ca_bundle names a file that is not there")
        try:
            reply = api.ask("POST", url, json=who, auth=StaticHeaders({}))
        except VendorError as error:
            if error.status not in (400, 401, 403):
                raise
            raise VendorError(
                f"the login is refused ({error}); check [sources.dialer] username and password "
                "in .dlt/secrets.toml and domain in .dlt/config.toml",
                status=401,  # a 400 would mean that a campaign is gone
            ) from None
        return _token(reply.body)

    api = Api(
        "dialer",
        settings["api_url"],
        reads=[
            ("GET", STATUS),
            ("GET", "/api/v2/config/campaigns/[^/%]+/leads"),
            ("GET", QUEUE_STATUS),
            ("GET", HISTORY_PATH),
        ],
        login_urls=[url],
        auth=Login(log_in, lambda token: {"Authorization": f"Bearer {token}"}),
        headers={"X-Account-ID": settings["account_id"]},
        secrets=[settings["password"], settings["username"]],
        requests_per_minute=settings["requests_per_minute"],
        max_in_flight=settings["max_in_flight"],
        ca_bundle=ca_bundle or None,
        meter=meter,
    )
    return api


def _token(body: Any) -> tuple[str, float | None]:
    """The access token and the second at which it ends, by the vendor's clock; None: unknown."""
    import jwt  # with cryptography, which `outreach status` need not load

    camel = isinstance(body, dict) and "access_token" not in body and "accessToken" in body
    token = token_of(body, "accessToken" if camel else "access_token")
    try:
        ends = jwt.decode(token, options={"verify_signature": False}).get("exp")
    except jwt.PyJWTError:
        return token, None
    # their clock may be behind ours: a fresh token is good for a minute at least
    return token, max(ends, time.time() + 60) if isinstance(ends, int | float) else None


def _or_empty(body: Any, name: str, kind: type[T], place: str) -> T:
    """`body[name]`, which must be there; a null is an empty one, since Go prints it so."""
    if isinstance(body, dict) and body.get(name, ...) is None:
        return kind()
    return field_of(body, name, kind, place)


def _next_key(body: Row, place: str) -> Any:
    """The key of the next page, absent at the end. Under another name it would be a lost page."""
    if "next_start_key" in body:
        return body["next_start_key"]
    renamed = sorted(name for name, value in body.items() if "next" in name.lower() and value)
    if renamed:
        raise VendorError(f"{place}: the reply has no 'next_start_key' but {', '.join(renamed)}")
    return None


def _remember(night: Night, endpoint: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """The endpoint's state with `more`, for the slice and for what is read after it."""
    state = night.state(endpoint) | dict(more)
    night.states[endpoint] = state
    return dict(state)


# --- campaigns and their counts ------------------------------------------------------------------


def lead_status(api: Api, night: Night) -> Iterator[Slice]:
    """All campaigns with their leads by status, as observed now."""
    campaigns, counts = _campaigns(api)
    state = night.state("lead_status")
    verdict = believe(night, state, "campaigns", len(campaigns), total=None, what="campaigns")
    believed = verdict.held is None
    listed = {key: campaign["total_leads"] for key, campaign in campaigns.items()}
    known = _to_remember(campaigns, state.get("known", {})) if believed else state["known"]
    names = _names(state, known, night)
    more = {"listed": listed, "complete": believed, "known": known, "names": names}
    remembered = _remember(night, "lead_status", verdict.state | more)
    warnings = _miscounts(listed, counts)
    if verdict.held:
        yield Slice({}, remembered, "held", warnings=warnings, held=(verdict.held,))
        return
    gone = [row for key, row in state.get("known", {}).items() if key not in campaigns]
    rows = {
        CAMPAIGNS: [_campaign(row, names, None) for row in campaigns.values()]
        + [_campaign(row, names, night.now) for row in gone],
        LEAD_COUNTS: [row | {"observed_at": night.now} for row in counts],
    }
    yield Slice(rows, remembered, "all", warnings=warnings)


def _campaign(row: Row, names: Mapping[str, Row], deleted_at: datetime | None) -> Row:
    earlier = names.get(row["id"], {}).get("earlier") or None
    return with_ours(row, {"deleted_at": deleted_at, "earlier_names": earlier})


def _names(state: Mapping[str, Any], known: Mapping[str, Row], night: Night) -> dict[str, Row]:
    """The name of each campaign, also of those gone, and the earlier ones: each with the night that
    saw another."""
    names: dict[str, Row] = dict(state.get("names", {}))
    # the night before as well: a state made before names were kept has them there alone
    for key, row in [*state.get("known", {}).items(), *known.items()]:
        name, before = row.get("name"), names.get(key)
        if not name or (before and before["name"] == name):
            continue
        left = [{"name": before["name"], "until": iso(night.now)}] if before else []
        names[key] = {"name": name, "earlier": (before["earlier"] if before else []) + left}
    return names


def _to_remember(campaigns: Mapping[str, Row], earlier: Mapping[str, Row]) -> dict[str, Row]:
    """The rows that will say of a campaign that it is gone: tonight's without what no state holds.
    Where that makes no table the earlier one, as in the warehouse."""
    loaded = [_campaign(row, {}, None) for row in campaigns.values()]
    sound = why_not(CAMPAIGNS, loaded, {}) is None
    known: dict[str, Row] = {}
    for (key, row), alone in zip(campaigns.items(), loaded, strict=True):
        if sound or why_not(CAMPAIGNS, [alone], {}) is None:
            known[key] = {k: v for k, v in row.items() if _json.is_storable({k: v})}
        elif key in earlier:
            known[key] = earlier[key]
    return known


def _campaigns(api: Api) -> tuple[dict[str, Row], list[Row]]:
    """The campaigns by their id, and how many leads of each are in each status printed.

    The vendor prints one status twice in an object, of which a dict keeps the last alone.
    """
    try:
        body, pairs = api.get(STATUS, decode=_twice_decoded).body
    except VendorError as error:
        if error.status == 400:  # there is nothing else in the request that could be wrong
            raise VendorError(f"{error}; check [sources.dialer] account_id", status=400) from None
        raise
    campaigns: dict[str, Row] = {}
    counts: list[Row] = []
    if not isinstance(body, dict) or len(pairs) != len(body):
        raise VendorError(f"{STATUS}: the reply is not an object that holds each campaign once")
    for campaign_id, printed in pairs:
        place = f"{STATUS}: campaign {campaign_id}"
        campaign = field_of(body, campaign_id, dict, STATUS)
        total = field_of(campaign, "total_leads", int, place)
        if not campaign_id or not _json.is_storable([campaign_id, total]):
            raise VendorError(f"{STATUS}: a campaign's id or total_leads is none")
        _or_empty(campaign, "leads_by_status", dict, place)
        campaign = without(campaign, "leads_by_status")
        campaigns[campaign_id] = with_ours(campaign, {"id": campaign_id})
        counts += _counts(campaign_id, dict(printed)["leads_by_status"] or [])
    return campaigns, counts


def _twice_decoded(content: bytes) -> tuple[Any, Any]:
    """The reply as usual, and with every object as the list of the pairs that were printed."""
    return _json.exactly(content), _json.exactly(content, object_pairs_hook=list)


def _counts(campaign_id: str, printed: Sequence[tuple[str, Any]]) -> list[Row]:
    seen = Counter[str]()
    rows = []
    for status, leads in printed:
        key = {"campaign_id": campaign_id, "status": status, "occurrence": seen[status]}
        rows.append(key | {"leads": leads})
        seen[status] += 1
    return rows


def _miscounts(listed: Mapping[str, int], counts: Sequence[Row]) -> tuple[str, ...]:
    """A warning where the statuses of a campaign do not add up to its total."""
    sums = Counter[str]()
    for row in counts:
        sums[row["campaign_id"]] += row["leads"] if isinstance(row["leads"], int) else 0
    odd = [f"{key} ({sums[key]} of {total})" for key, total in listed.items() if sums[key] != total]
    such = f"{len(odd)} campaigns, such as {', '.join(odd[:NAMED])}"
    return (f"{STATUS}: leads by status do not add up to total_leads: {such}",) if odd else ()


# --- leads ---------------------------------------------------------------------------------------


def leads(api: Api, night: Night) -> Iterator[Slice]:
    """A slice for each campaign of this run: all its leads, or none where it is gone."""
    listing = night.state("lead_status")
    elsewhere: set[str] = set()
    refused: list[VendorError] = []
    for campaign_id, total in listing["listed"].items():
        try:
            yield _one_campaign(api, night, campaign_id, total, elsewhere)
        except VendorError as error:
            if error.status not in (400, 404):
                raise
            refused.append(error)
            told = f"leads of campaign {campaign_id}: {error}; they stay as they were"
            yield Slice({}, {}, campaign_id, scope=(), held=(told,))
    if refused and len(refused) == len(listing["listed"]):
        raise refused[0].at("the leads of every campaign are refused")
    if listing["complete"]:
        yield from _gone(night, listing["listed"])


def _one_campaign(
    api: Api, night: Night, campaign_id: str, total: int, elsewhere: set[str]
) -> Slice:
    """All leads of a campaign. `elsewhere`: those that other campaigns have shown this night."""
    place = f"leads of campaign {campaign_id}"
    found = _all_leads(api, night.settings["page_size"], campaign_id, total, place)
    if found is None:
        told = f"{place}: the campaign went meanwhile, its leads stay as they were tonight"
        return Slice({}, {}, campaign_id, scope=(), warnings=(told,))
    state = night.state("leads")
    verdict = believe(night, state, campaign_id, len(found.rows), total=total, what=place)
    remembered = _remember(night, "leads", verdict.state)
    warnings = tuple(found.warnings)
    if verdict.held:
        held = (verdict.held,)
        return Slice({}, remembered, campaign_id, scope=(), warnings=warnings, held=held)
    rows = [row | {"campaign_id": campaign_id} for row in found.rows]
    if any(row.get("campaign_id") not in (None, campaign_id) for row in found.rows):
        warnings += (f"{place}: some name another campaign; they are taken as this one's",)
    rows = [row for row in rows if str(row.get("id")) not in elsewhere]
    if len(rows) < len(found.rows):
        warnings += (f"{place}: some stand in an earlier campaign too, and are taken as that's",)
    elsewhere.update(str(row["id"]) for row in rows if row.get("id") is not None)
    return Slice({LEADS: rows}, remembered, campaign_id, scope=(campaign_id,), warnings=warnings)


def _all_leads(api: Api, size: int, campaign_id: str, total: int, place: str) -> Found | None:
    """All pages of a campaign's leads as they last were; None where the campaign is gone.

    `total` was counted a little earlier: two readings that agree are believed against it. A
    refusal may also come from a page's key whose lead was deleted: the leads are read once more.
    """
    fetch = partial(_leads_page, api, size, campaign_id, place)
    read = partial(keyed_pages, fetch, place)
    try:
        return settled(read, LEADS.key_of, place, keep="last", total=total)
    except VendorError as error:
        if error.status not in (400, 404):
            raise
        if campaign_id not in _campaigns(api)[0]:
            return None
    return settled(read, LEADS.key_of, place, keep="last", total=total)


def _leads_page(
    api: Api, size: int, campaign_id: str, place: str, start: Any = None
) -> tuple[Page, Any]:
    query = {"page_size": size} | ({"next_start_key": start} if start else {})
    reply = api.get(f"/api/v2/config/campaigns/{quote(campaign_id, safe='')}/leads", query)
    rows = rows_of(_or_empty(reply.body, "data", list, place), place)
    return Page(rows, reply.sent), _next_key(reply.body, place)


def _gone(night: Night, listed: Mapping[str, Any]) -> Iterator[Slice]:
    """Campaigns whose leads were loaded and that are no more listed: their leads are closed."""
    for campaign_id in sorted(night.state("leads").get("counts", {}).keys() - listed):
        state = night.state("leads")
        what = f"leads of campaign {campaign_id}, which is no more listed"
        verdict = believe(night, state, campaign_id, 0, total=None, what=what)
        if verdict.held:
            remembered = _remember(night, "leads", verdict.state)
            yield Slice({}, remembered, campaign_id, scope=(), held=(verdict.held,))
            continue
        counts = {k: n for k, n in verdict.state["counts"].items() if k != campaign_id}
        remembered = _remember(night, "leads", verdict.state | {"counts": counts})
        yield Slice({LEADS: []}, remembered, campaign_id, scope=(campaign_id,))


# --- queues --------------------------------------------------------------------------------------


def queue_status(api: Api, night: Night) -> Iterator[Slice]:
    """The queues and their agents as they stand now."""
    queues = list({QUEUES.key_of(row): row for row in _queues(api, night)}.values())
    queues = [_with_agents(queue) for queue in queues]
    agents = [
        with_ours(agent, {"queue_id": queue.get("id"), "observed_at": night.now, "position": n})
        for queue in queues
        for n, agent in enumerate(rows_of(queue["agents"], QUEUE_STATUS))
    ]
    rows = [without(queue, "agents") for queue in queues]
    yield Slice({QUEUES: rows, QUEUE_AGENTS: agents}, {}, "all")


def _with_agents(queue: Row) -> Row:
    """The queue with a list of agents, be it empty; one whose agents are no list has a Fault."""
    if isinstance(queue.get("agents", ...) or [], list):
        return queue | {"agents": queue["agents"] or []}
    fault = {"": Fault(f"{QUEUE_STATUS}: a queue has no 'agents' that is a list")}
    return fault | queue | {"agents": []}


def _queues(api: Api, night: Night) -> list[Row]:
    rows = rows_if_any(api.get(QUEUE_STATUS).body, QUEUE_STATUS)
    return [with_ours(row, {"observed_at": night.now}) for row in rows]


# --- history -------------------------------------------------------------------------------------


def lead_history(api: Api, night: Night, window: Window) -> Read:
    """The calls of a window."""
    size = night.settings["page_size"]
    # rounded outwards: a bound that the vendor leaves out is still in one of two neighbours
    start, end = int(window.start.timestamp()), int(window.end.timestamp()) + 1
    readings: list[list[Page]] = []

    def read_pages() -> list[Page]:
        readings.append(_history_pages(api, size, start, end))
        return readings[-1]

    settled(read_pages, call_key, HISTORY_PATH, repeats=True)
    calls = numbered(readings, HISTORY.fields)
    rows = [with_ours(_call(row), {"call_key": key}) for key, row in calls]
    _check_unit(_times(rows), start, end)
    return Read({HISTORY: rows})


def _history_pages(api: Api, size: int, start: int, end: int) -> list[Page]:
    first, key = _history(api, size, start, end)
    if key is ARRAY:

        def fetch(since: int, until: int) -> list[Row]:
            return _history(api, size, since, until)[0].rows

        rows = uncut(fetch, start, end, first.rows, size=size, place=HISTORY_PATH)
        return [Page(rows, first.sent)]
    return keyed_pages(
        lambda start_key: _history(api, size, start, end, start_key) if start_key else (first, key),
        HISTORY_PATH,
    )


def _history(api: Api, size: int, start: int, end: int, start_key: Any = None) -> tuple[Page, Any]:
    """A page and the key of the next, or ARRAY where the reply has no place for one."""
    query = {"startDate": start, "endDate": end, "pageSize": size}
    reply = api.get(HISTORY_PATH, query | ({"startKey": start_key} if start_key else {}))
    is_array = reply.body is None or isinstance(reply.body, list)
    rows = reply.body if is_array else _or_empty(reply.body, "data", list, HISTORY_PATH)
    key = ARRAY if is_array else _next_key(reply.body, HISTORY_PATH)
    return Page(rows_if_any(rows, HISTORY_PATH), reply.sent), key


def _call(row: Row) -> Row:
    """The row with `agent_history` as the list that it is, where it came as JSON text [T]."""
    if seconds(row) is None:
        return {"": Fault(f"{HISTORY_PATH}: a row has no 'timestamp' that is a number")} | row
    told = row.get("agent_history")
    if not isinstance(told, str):
        return row
    try:
        return row | {"agent_history": json.loads(told)}
    except (ValueError, RecursionError):
        return row


def _times(rows: Sequence[Row]) -> list[int]:
    return [time for row in rows if (time := seconds(row)) is not None]


def _check_unit(times: Sequence[int], start: int, end: int) -> None:
    """A vendor that counts in another unit answers with another time, or with all there is."""
    inside = any(start <= moment <= end for moment in times)
    far = any(not start - 86_400 <= moment <= end + 86_400 for moment in times)
    if far and not inside:
        raise VendorError(
            f"{HISTORY_PATH}: {len(times)} rows, none of them in the window that was asked for in "
            "seconds: the vendor counts in another unit, or filters by another time"
        )


# --- check ---------------------------------------------------------------------------------------


def probe(api: Api, night: Night) -> Iterator[Finding]:
    """The campaigns, a page of the first one's leads, the queues, a page of a month's calls."""
    campaigns, counts = _campaigns(api)
    listed = {key: campaign["total_leads"] for key, campaign in campaigns.items()}
    if campaigns:
        yield Finding("ok", f"lead_status: {len(campaigns)} campaigns")
    else:
        mend = "if there should be some: see account_id under [sources.dialer]"
        yield Finding("warning", "lead_status: no campaign", mend)
    for warning in _miscounts(listed, counts):
        yield Finding("warning", warning, "ask the vendor which statuses a total counts")
    size = night.settings["page_size"]
    for campaign_id in list(campaigns)[:1]:
        _leads_page(api, size, campaign_id, f"leads of campaign {campaign_id}")
        yield Finding("ok", f"leads: those of campaign {campaign_id} can be read")
    yield Finding("ok", f"queue_status: {len(_queues(api, night))} queues")
    yield _history_found(api, night, size)


def _history_found(api: Api, night: Night, size: int) -> Finding:
    """Whether the last 30 days hold calls, and whether their bounds are seconds."""
    end = int(night.now.timestamp()) + 1
    start = end - int(timedelta(days=30).total_seconds())
    page, key = _history(api, size, start, end)
    if page.rows:
        _check_unit(_times(page.rows), start, end)
        shape = "arrays" if key is ARRAY else "pages"
        with_id = "with" if any(row.get("call_id") for row in page.rows) else "without"
        return Finding("ok", f"lead_history: calls in {shape}, {with_id} a call_id")
    if _history(api, size, start * 1000, end * 1000)[0].rows:
        text = "lead_history: the vendor takes startDate and endDate in milliseconds"
        return Finding("failure", text, "sources/dialer.py asks in seconds: tell who keeps it")
    return Finding("warning", "lead_history: no call in the last 30 days", "see whether that is so")


VENDOR = Vendor(
    name="dialer",
    defaults={
        "api_url": REQUIRED,  # scheme, host and port
        "domain": REQUIRED,
        "account_id": REQUIRED,
        "ca_bundle": "",
        "lookback_days": 3.0,
        "page_size": 1000,
        "max_in_flight": 1,
    },
    secrets=("username", "password"),
    page_sizes=(1, 2000),
    connect=connect,
    endpoints=(
        Listed("lead_status", (CAMPAIGNS, LEAD_COUNTS), lead_status),
        Listed("leads", (LEADS,), leads),
        Listed("queue_status", (QUEUES, QUEUE_AGENTS), queue_status),
        Windowed("lead_history", (HISTORY,), timedelta(days=7), lead_history),
    ),
    probe=probe,
)
