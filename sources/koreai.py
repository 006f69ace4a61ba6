"""Kore.ai: voice campaigns and their contacts (campaign management API v2).

Documents: "Get All Contact Details Of Voice Campaigns-v2", "Get All Campaigns-v2", "Get Campaign
Status-v2", API introduction, rate limits; read 2026-11. Never tried on a live account.

Login       header `auth`: a JWT signed by us (HS256, the client secret) with `appId`, `sub` and,
            for apps that enforce it, its own `jti`; `iid` and `accountId` beside it. The same scope
            can start and stop campaigns: two reads may leave, nothing else.
Replies     `status` is "success", or the request failed, whatever the HTTP status says.
Paging      page (from 1) and limit in the JSON body, as numbers. Contacts: up to 100 a page, 0
            pages when empty, no order. Campaigns: 50 a page, `hasMore`.
Time filter none: a campaign is read as a whole, and kept as a history.
Same row    the vendor gives a contact no id and often an empty `uniqueId`: contacts of one
            campaign with equal phone and unique id are numbered by what they say (`occurrence`).
Changes     while a campaign runs; stopping or running it again resets what its contacts say. A
            finished campaign is skipped while its stamps and its total stand still, for a week.
Gone        contacts no more in their campaign are closed; so are the row and the contacts of a
            campaign no more in the list. What shrank much is held back first (`_snapshots`); the
            list itself goes by the name "campaigns" there. Configured campaigns are never gone.
Limits      60 requests a minute for the whole account, other integrations included.
Left out    SMS campaigns (no contacts to be had), contact lists, one campaign's settings,
            analytics of conversations.
Assumed     `exp` and `iat` are accepted though the pages do not name them; `limit` 50 is the list's
            largest. A total that is none (the page's own sample says 4 and shows 3) is a warning.
"""

import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial
from typing import Any
from urllib.parse import quote

from ._api import Api
from ._endpoints import REQUIRED, Finding, Listed, Night, Slice, Vendor
from ._errors import VendorError
from ._gate import RATE_LIMIT_TEXT
from ._json import is_storable
from ._logins import Login
from ._meter import Meter
from ._paging import Found, Page, readings, settled
from ._replies import Row, field_of, rows_of, with_ours
from ._snapshots import believe
from ._tables import Table
from ._windows import is_within_a_week, iso, parse_time

LIST = "/getAllCampaignDetails"
LIST_LIMIT = 50
TOKEN_SECONDS = 300
FINISHED = ("Completed", "Stopped")
STAMPS = ("status", "updatedAt", "campaignInstanceUpdatedAt")

CAMPAIGNS = Table(
    "campaigns",
    key=("id",),
    kept="history",
    parent="id",  # configured campaigns are not the whole list: each answers for itself
    newest="updated_at",
    fields={
        "id": "code",
        "name": "text",
        "description": "text",
        "dncLists.id": "code",
        "dncLists.name": "text",
        "priority": "code",
        "dialingMode": "text",
        "status": "text",
        "isFiltersEnabled": "bool",
        "createdAt": "time",
        "updatedAt": "time",
        "campaignInstanceUpdatedAt": "time",
        "schedule.isSchedulingEnabled": "bool",
        "schedule.isRecurrenceEnabled": "bool",
        "connection": "text",
        "contactLists": "list",
    },
)
CONTACTS = Table(
    "campaign_contacts",
    key=("campaign_id", "phone_number", "unique_id", "occurrence"),
    kept="history",
    parent="campaign_id",
    own=frozenset({"campaignId", "occurrence"}),
    fields={
        "campaignId": "code",
        "occurrence": "int",
        "phoneNumber": "code",
        "uniqueId": "code",
        "dialerOutcome": "text",
        "numberOfAttemptsSoFar": "int",
        "botSessionId": "code",
        "agentDispositionCodes": "list",
        "botOutboundStatus": "text",
        "botOutboundStatusDetail": "text",
    },
)


def connect(settings: Mapping[str, Any], meter: Meter) -> Api:
    def sign_token() -> tuple[str, float]:
        import jwt  # with cryptography, which `outreach status` need not load

        now = int(time.time())
        claims = {
            "appId": settings["client_id"],
            "sub": settings["client_id"],
            "iat": now - 30,  # the vendor's clock may be behind ours
            "exp": now + TOKEN_SECONDS,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(claims, settings["client_secret"], "HS256"), now + TOKEN_SECONDS

    stream = quote(settings["stream_id"], safe="")
    return Api(
        "koreai",
        f"{settings['api_url'].rstrip('/')}/campaign/api/v2/public/{stream}/campaign",
        reads=[("POST", LIST), ("POST", "/[^/%]+/status")],
        auth=Login(sign_token, lambda token: {"auth": token}),
        headers={"iid": settings["app_id"], "accountId": settings["account_id"]},
        secrets=[settings["client_secret"], settings["client_id"]],
        requests_per_minute=settings["requests_per_minute"],
        max_in_flight=settings["max_in_flight"],
        meter=meter,
    )


def _ask(api: Api, path: str, query: Row, body: Row, place: str) -> Row:
    """The `data` of a reply that says success. A refusal of the vendor has the status 404."""
    reply = api.post(path, body, query).body
    if field_of(reply, "status", str, place) != "success":
        said = str(reply.get("message") or "it does not say why")
        raise VendorError(
            f"{place}: the vendor answers '{api.clean(reply['status'])}' ({api.clean(said)})",
            status=429 if RATE_LIMIT_TEXT.search(said.encode()) else 404,
        )
    return field_of(reply, "data", dict, place)


def _remember(night: Night, table: Table, state: dict[str, Any]) -> dict[str, Any]:
    """The state of a table's endpoint, from now on."""
    night.states[table.name] = state
    return night.state(table.name)


# --- campaigns -----------------------------------------------------------------------------------


def campaigns(api: Api, night: Night) -> Iterator[Slice]:
    """The voice campaigns: all that there are, or those that are configured.

    The state tells the contacts which campaigns to read ("listed") and whether any other one is
    gone ("complete"); "open" are the campaigns that have a current row.
    """
    ids = list(dict.fromkeys(night.settings["campaign_ids"]))
    yield _configured(api, night, ids) if ids else _discovered(api, night)


def _discovered(api: Api, night: Night) -> Slice:
    found, total = _all_campaigns(api, night)
    state = night.state(CAMPAIGNS.name)
    verdict = believe(
        night, state, "campaigns", len(found.rows), total=total, what="the list of campaigns"
    )
    listed = {
        row["id"]: [_stamp(row.get(name)) for name in STAMPS]
        for row in found.rows
        if isinstance(row["id"], str) and is_storable(row["id"])  # `arrow` refuses any other
    }
    known = {*state.get("open", ()), *listed}
    whole = len(listed) == len(found.rows)  # a row without a sound id may be any campaign's
    state |= verdict.state | {"listed": listed, "complete": whole and verdict.held is None}
    state |= {} if verdict.held else {"open": sorted(listed if whole else known)}
    state = _remember(night, CAMPAIGNS, state)
    warnings = tuple(found.warnings)
    if verdict.held:
        return Slice({}, state, "held", scope=(), warnings=warnings, held=(verdict.held,))
    scope = tuple(known if whole else listed)
    return Slice({CAMPAIGNS: found.rows}, state, "all", scope=scope, warnings=warnings)


def _all_campaigns(api: Api, night: Night) -> tuple[Found, int | None]:
    """The list as it is now, and how many the vendor says there are."""
    fetch = partial(_list_page, api, night.settings["account_id"])
    first = fetch(LIST_LIMIT, 1)
    read = readings(api, fetch, LIST, LIST_LIMIT, first)
    return settled(read, CAMPAIGNS.key_of, LIST, keep="last"), first.total


def _stamp(value: Any) -> Any:
    """None, which never stands still, for what a state cannot hold."""
    return value if is_storable(value) else None


def _list_page(api: Api, account_id: str, limit: int, number: int) -> Page:
    """One page of campaigns; `hasMore` tells of another, though never far beyond `totalPages`: a
    list that did not heed `page` would have no end."""
    body = {"type": "voice", "page": number, "limit": limit}
    data = _ask(api, LIST, {"accountId": account_id}, body, LIST)
    more = field_of(data, "hasMore", bool, LIST)
    return Page(
        [_with_id(row) for row in rows_of(field_of(data, "results", list, LIST), LIST)],
        sent=number,
        total=field_of(data, "totalResults", int, LIST),
        pages=number + (more and number <= field_of(data, "totalPages", int, LIST)),
    )


def _with_id(row: Row) -> Row:
    """The row with its id as `id`: so the vendor's table has it, its voice sample has `_id`."""
    found = row.get("id") or row.get("_id")
    found = str(found) if type(found) is int else found
    return {"id": found} | {k: row[k] for k in row if k not in ("id", "_id")}


def _configured(api: Api, night: Night, ids: Sequence[str]) -> Slice:
    """Id, name and status of each. One that the vendor does not know is named at least; what was
    loaded of it before stays."""
    state = night.state(CAMPAIGNS.name)
    known = set(state.get("open", ()))
    rows: list[Row] = []
    warnings: list[str] = []
    for campaign_id in ids:
        try:
            rows.append(_status(api, night, campaign_id))
        except VendorError as error:
            if error.status != 404:
                raise
            warnings.append(f"campaign_ids: {error}")
            rows += [] if campaign_id in known else [{"id": campaign_id}]
    listed = {campaign_id: [None] * len(STAMPS) for campaign_id in ids}
    state |= {"listed": listed, "complete": False, "open": sorted(known.union(ids))}
    state = _remember(night, CAMPAIGNS, state)
    scope = tuple(row["id"] for row in rows)
    return Slice({CAMPAIGNS: rows}, state, "configured", scope=scope, warnings=tuple(warnings))


def _status(api: Api, night: Night, campaign_id: str) -> Row:
    query = {"accountId": night.settings["account_id"], "view": "status"}
    data = _ask(api, _path(campaign_id), query, {}, f"status of campaign {campaign_id}")
    return _with_id(data) | {"id": campaign_id}


def _place(campaign_id: str) -> str:
    return f"contacts of campaign {campaign_id}"


def _path(campaign_id: str) -> str:
    return f"/{quote(campaign_id, safe='')}/status"


# --- contacts ------------------------------------------------------------------------------------


def campaign_contacts(api: Api, night: Night) -> Iterator[Slice]:
    """A slice for each campaign: all its contacts, or none where it is gone.

    The contacts of one that is refused stay as they were: it went meanwhile, or it is still listed
    and held back. Where every one is refused, something else is wrong.
    """
    listing = night.state(CAMPAIGNS.name)
    listed: dict[str, list[Any]] = listing["listed"]
    still_listed: Set[str] | None = None
    refused: list[VendorError] = []
    for campaign_id, stamps in listed.items():
        try:
            yield from _one_campaign(api, night, campaign_id, stamps)
        except VendorError as error:
            if error.status != 404:
                raise
            refused.append(error)
            if still_listed is None:
                still_listed = _listed_now(api, night)
            state = _remember(night, CONTACTS, night.state(CONTACTS.name))
            told = (f"{error}; they stay as they were",)
            if campaign_id in still_listed:
                yield Slice({}, state, campaign_id, scope=(), held=told)
            else:
                yield Slice({}, state, campaign_id, scope=(), warnings=told)
    alone = len(listed) == 1 and not night.settings["campaign_ids"]  # which may have gone
    if refused and len(refused) == len(listed) and not alone:
        raise refused[0].at("every campaign is refused")
    if listing["complete"]:
        for campaign_id in sorted(night.state(CONTACTS.name).get("counts", {}).keys() - listed):
            yield _kept_or_held(night, campaign_id, Found([]), None, None)


def _listed_now(api: Api, night: Night) -> Set[str]:
    """The campaigns that the list still names; none where they are configured."""
    if night.settings["campaign_ids"]:
        return set()
    try:
        return {str(row["id"]) for row in _all_campaigns(api, night)[0].rows}
    except VendorError:  # the list was there a while ago: nothing says that they are gone
        return set(night.state(CAMPAIGNS.name)["listed"])


def _one_campaign(
    api: Api, night: Night, campaign_id: str, stamps: Sequence[Any]
) -> Iterator[Slice]:
    """All contacts of a campaign that is listed, or nothing where they are as they were."""
    fetch, size = partial(_contacts_page, api, campaign_id), night.settings["page_size"]
    first = fetch(size, 1)
    if _stands_still(night, campaign_id, [*stamps, first.total]):
        return
    reading = readings(api, fetch, _place(campaign_id), size, first)
    found = settled(reading, _number_and_id, _place(campaign_id), keep="last", repeats=True)
    said = [*stamps, first.total, iso(night.now)]
    yield _kept_or_held(night, campaign_id, found, first.total, said)


def _stands_still(night: Night, campaign_id: str, says: list[Any]) -> bool:
    """Whether a finished campaign says what it said when it was last read, within a week."""
    state = night.state(CONTACTS.name)
    *said, read_at = state.get("cursor", {}).get(campaign_id, [""])
    if said != says or says[0] not in FINISHED or None in says:
        return False
    doubted = campaign_id in state.get("doubted", {})
    return not doubted and is_within_a_week(parse_time(read_at), night.now)


def _kept_or_held(
    night: Night, campaign_id: str, found: Found, total: int | None, said: list[Any] | None
) -> Slice:
    """What was read of a campaign, if it is believed. `said`: what to hold against it next time,
    kept as the "cursor" that `outreach reset` forgets; None: the campaign is gone."""
    state = night.state(CONTACTS.name)
    what = _place(campaign_id) + ("" if said else ", which is no more listed")
    verdict = believe(night, state, campaign_id, len(found.rows), total=total, what=what)
    known = verdict.state | {"cursor": dict(state.get("cursor", {}))}
    if said and not verdict.held:
        known["cursor"][campaign_id] = said
    elif not verdict.held:
        for each in known.values():
            each.pop(campaign_id, None)
    state = _remember(night, CONTACTS, state | known)
    warnings = tuple(found.warnings)
    if verdict.held:
        return Slice({}, state, campaign_id, scope=(), warnings=warnings, held=(verdict.held,))
    rows = _numbered(campaign_id, found.rows)
    return Slice({CONTACTS: rows}, state, campaign_id, scope=(campaign_id,), warnings=warnings)


def _contacts_page(api: Api, campaign_id: str, limit: int, number: int) -> Page:
    place = _place(campaign_id)
    body = {"page": number, "limit": limit}
    data = _ask(api, _path(campaign_id), {"view": "contacts"}, body, place)
    if field_of(data, "page", int, place) != number:
        text = f"{place}: page {number} was asked for, page {data['page']} came"
        raise VendorError(text, status=416)  # which behind the last page is an end
    rows = rows_of(field_of(data, "results", list, place), place)
    return Page(
        list(map(_with_key, rows)),
        sent=number,
        total=field_of(data, "totalResults", int, place),
        pages=field_of(data, "totalPages", int, place),
    )


def _with_key(row: Row) -> Row:
    """The contact with both parts of its key: an empty text where the vendor has none."""
    parts = {name: row.get(name) for name in ("phoneNumber", "uniqueId") if name in row}
    return {"uniqueId": ""} | row | {k: "" if part is None else part for k, part in parts.items()}


def _number_and_id(contact: Row) -> tuple[str, str]:
    return str(contact.get("phoneNumber")), str(contact["uniqueId"])


def _numbered(campaign_id: str, contacts: Sequence[Row]) -> list[Row]:
    """Contacts under their campaign; equal ones numbered by their content, not by their page."""
    counts = Counter[tuple[str, str]]()
    rows = []
    for contact in sorted(contacts, key=_content):
        key = _number_and_id(contact)
        ours = {"campaignId": campaign_id, "occurrence": counts[key]}
        rows.append(with_ours(contact, ours))
        counts[key] += 1
    return rows


def _content(contact: Row) -> str:
    """What the documented fields say; missing is null, and a new field changes no order."""
    said = {k: v for k, v in contact.items() if k in CONTACTS.fields and v is not None}
    return json.dumps(said, sort_keys=True, default=str)


# --- check ---------------------------------------------------------------------------------------


def probe(api: Api, night: Night) -> Iterator[Finding]:
    """The list, or each configured campaign's status; then a contact of a campaign."""
    findings = {each: _known(api, night, each) for each in night.settings["campaign_ids"]}
    yield from findings.values()
    ids = [each for each, finding in findings.items() if finding.level == "ok"]
    if not findings:
        page = _list_page(api, night.settings["account_id"], 1, 1)
        ids = [row["id"] for row in page.rows if isinstance(row["id"], str)]
        mend = "" if ids else "are stream_id and account_id under [sources.koreai] right?"
        yield Finding("ok" if ids else "warning", f"campaigns: {page.total} for voice", mend)
    if ids:
        total = _contacts_page(api, ids[0], 1, 1).total
        yield Finding("ok", f"campaign_contacts: {total} in campaign {ids[0]}")


def _known(api: Api, night: Night, campaign_id: str) -> Finding:
    try:
        _status(api, night, campaign_id)
    except VendorError as error:
        if error.status != 404:
            raise
        return Finding("failure", str(error), "correct [sources.koreai] campaign_ids")
    return Finding("ok", f"campaigns: {campaign_id} is there")


VENDOR = Vendor(
    name="koreai",
    defaults={
        "api_url": "https://platform.kore.ai",
        "stream_id": REQUIRED,
        "app_id": REQUIRED,
        "account_id": REQUIRED,
        "campaign_ids": [],
        "page_size": 100,
        "requests_per_minute": 45,
    },
    secrets=("client_id", "client_secret"),
    page_sizes=(1, 100),
    connect=connect,
    endpoints=(
        Listed("campaigns", (CAMPAIGNS,), campaigns),
        Listed("campaign_contacts", (CONTACTS,), campaign_contacts),
    ),
    probe=probe,
)
