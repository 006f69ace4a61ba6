"""Kore.ai's campaign management API v2: list of campaigns, status and contacts of one.

Documented ([D] in shared/reference/koreai.md): POST for reads, under
/campaign/api/v2/public/{streamId}/campaign; header `auth`, a JWT signed HS256 with the client
secret, with `sub` and `appId` = client id; headers `iid` and `accountId`; with "Enforce JTI" a
token needs a `jti`. Contacts: `view=contacts`, body `page` >= 1 and `limit` 1 to 100, both JSON
integers; no filter, no sort, no time, no id but an often empty `uniqueId`; contact lists may allow
duplicates. List: `type` voice or sms, page, skip, limit, filters, sortBy, startDate, endDate; page,
skip and limit may be empty text; a voice row's key is `_id` in the sample and `id` in the table.
60 requests a minute per account, with the message below. The failing status word is "failure" on
one page and "error" on the other. Starting, stopping, changing and deleting a campaign lie on the
same prefix and are open to the same token.

Assumed, since the pages are silent: page 1 and limit 100 (list: 50) where not said, and a list
limit above 50 is a 400; the order of contacts is the stored one, of campaigns newest first;
totalPages is 0 for an empty set; dates filter on createdAt, both ends included; skip and page add
up; without `view` both parts come; `accountId` in the list's query is required; exp, iat and nbf
count against the real clock; the rate window slides, refused requests do not count; a campaign
that is not known gives 200 with a failure; 400, 401, 404 and 405 and their bodies; contacts of an
SMS campaign are not to be had. Left out: GET of one campaign, contact lists, analytics.
"""

import json
import random
import re
import time
from collections import Counter, deque
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import jwt

from tests.fakes._server import Answer, Ask, Fake, Row

PATH = re.compile(
    r"^/campaign/api/v2/public/(?P<stream>[^/]+)/campaign"
    r"(/(?P<id>[^/]+)(/(?P<action>status|start|stop|callContactAt))?)?$"
)
RATE_MESSAGE = (
    "You've exceeded the per-minute rate limit. Please wait for sometime before retrying."
)

# The replies printed by the vendor: contacts, list of voice campaigns, list of SMS campaigns,
# status. All were valid JSON; nothing was mended. The contacts say totalResults 4 and print three.
# Of the SMS campaigns two of seven are kept, one for each format. Descriptions are in our words.
SAMPLES: list[Row] = json.loads(r"""[
{"status": "success", "data": {"results": [
  {"phoneNumber": "919876543210", "uniqueId": "", "dialerOutcome": "", "numberOfAttemptsSoFar": 2,
   "botSessionId": "685d3c819e81807087b6xxxx", "agentDispositionCodes": [],
   "botOutboundStatus": "userHangUp", "botOutboundStatusDetail": "Client side"},
  {"phoneNumber": "125xxxx0200", "uniqueId": "", "dialerOutcome": "completed",
   "numberOfAttemptsSoFar": 1, "botSessionId": "685d3c4a6b208b1e96a1xxxx",
   "agentDispositionCodes": ["System Generated"], "botOutboundStatus": "userHangUp",
   "botOutboundStatusDetail": "user_hangup"},
  {"phoneNumber": "911234567890", "uniqueId": "", "dialerOutcome": "completed",
   "numberOfAttemptsSoFar": 1, "botSessionId": "685d3c479e81807087b6xxxx",
   "agentDispositionCodes": ["Requires Supervisor Attention"], "botOutboundStatus": "agentHangUp",
   "botOutboundStatusDetail": "agent_hangup"}],
  "page": 1, "limit": 100, "totalPages": 1, "totalResults": 4}},
{"status": "success", "message": "Campaign  retrieved successfully", "data": {"results": [
  {"_id": "cd-c1b940c-7012-4e7d-98d9-4707177xxxxx", "name": "Billing Reminder Voice Campaign123",
   "description": "Calls about bills that are due",
   "dncLists": {"id": "cl-68b802a-2b99-4245-8eea-6d322a8xxxxx", "name": "DNC CL Dec 4"},
   "priority": "5", "dialingMode": "Preview", "status": "Ready", "isFiltersEnabled": false,
   "createdAt": "2025-12-08T09:17:21.090Z", "updatedAt": "2025-12-08T09:17:37.927Z",
   "campaignInstanceUpdatedAt": "2025-12-08T09:17:37.927Z",
   "schedule": {"isSchedulingEnabled": false}, "connection": "Default Queue",
   "contactLists": ["CL Only 2020 Dec 4"]},
  {"_id": "cd-8615101-71da-445c-ad7e-187e695xxxxx", "name": "Service Renewal Outreach Campaign61",
   "description": "Calls about renewals; an agent takes over",
   "dncLists": {"id": "cl-68b802a-2b99-4245-8eea-6d322a8xxxxx", "name": "DNC CL Dec 4"},
   "priority": "5", "dialingMode": "Progressive", "status": "Ready", "isFiltersEnabled": false,
   "createdAt": "2025-12-08T07:19:58.279Z", "updatedAt": "2025-12-08T07:20:43.340Z",
   "schedule": {"isSchedulingEnabled": false, "isRecurrenceEnabled": false},
   "campaignInstanceUpdatedAt": "2025-12-08T07:20:43.340Z", "connection": "Default Queue",
   "contactLists": ["CL Only 2020 Dec 4"]},
  {"_id": "cd-54d2481-53bd-4903-a2c6-45b527dxxxxx", "name": "Billing Reminder Voice Campaign12",
   "description": "Calls about bills that are due",
   "dncLists": {"id": "cl-68b802a-2b99-4245-8eea-6d322a8xxxxx", "name": "DNC CL Dec 4"},
   "priority": "5", "dialingMode": "Preview", "status": "Ready", "isFiltersEnabled": false,
   "createdAt": "2025-12-08T05:11:18.054Z", "updatedAt": "2025-12-08T05:14:28.832Z",
   "schedule": {"isSchedulingEnabled": false, "isRecurrenceEnabled": false},
   "campaignInstanceUpdatedAt": "2025-12-08T05:14:28.832Z", "connection": "Default Queue",
   "contactLists": ["CL Only 2020 Dec 4"]},
  {"_id": "cd-b2c1690-0a1b-497c-9326-1bdd229xxxxx", "name": "Billing Reminder Voice Campaign1",
   "description": "Calls about bills that are due",
   "dncLists": {"id": "cl-68b802a-2b99-4245-8eea-6d322a8xxxxx", "name": "DNC CL Dec 4"},
   "priority": "5", "dialingMode": "Preview", "status": "Ready", "isFiltersEnabled": false,
   "createdAt": "2025-12-04T11:05:52.809Z", "updatedAt": "2025-12-04T11:05:52.911Z",
   "campaignInstanceUpdatedAt": "2025-12-04T11:05:52.911Z",
   "schedule": {"isSchedulingEnabled": false}, "connection": "Default Queue",
   "contactLists": ["CL Only 2020 Dec 4"]},
  {"_id": "cd-469cba4-2597-471d-b5ed-02732c2xxxxx", "name": "Service Renewal Outreach Campaign6",
   "description": "Calls about renewals; an agent takes over",
   "dncLists": {"id": "cl-68b802a-2b99-4245-8eea-6d322a8xxxxx", "name": "DNC CL Dec 4"},
   "priority": "5", "dialingMode": "Progressive", "status": "Ready", "isFiltersEnabled": false,
   "createdAt": "2025-12-04T09:51:08.181Z", "updatedAt": "2025-12-05T07:14:24.916Z",
   "schedule": {"isSchedulingEnabled": false, "isRecurrenceEnabled": false},
   "campaignInstanceUpdatedAt": "2025-12-05T07:14:24.916Z", "connection": "Default Queue",
   "contactLists": ["CL Only 2020 Dec 4"]}],
  "skip": 0, "limit": 50, "hasMore": false, "totalPages": 1, "totalResults": 5}},
{"status": "success", "message": "Campaign  retrieved successfully", "data": {"results": [
  {"name": "Event Reminder SMS Campaign8",
   "description": "One plain text about an event",
   "status": "Ready", "dncLists": {"name": "DNC CL Dec 4"}, "priority": "5",
   "message": {"message": "TWVzc2FnZSBmb3IgeW91ciB0YXJnZXRlZCBjdXN0b21lcg%xxxxx"},
   "createdAt": "2025-12-05T09:31:52.281Z", "updatedAt": "2025-12-05T09:31:52.092Z",
   "schedule": {"isSchedulingEnabled": false, "isRecurrenceEnabled": false},
   "id": "cd-78d3f0a9-8f42-5d8c-af8d-d6a63eaxxxxx", "totalMessagesSent": 0,
   "campaignInstanceUpdatedAt": "2025-12-05T09:31:52.092Z", "campaignExecutionType": "NORMAL",
   "contactLists": ["CL Only 2020 Dec 4"], "format": "simple"},
  {"name": "Interactive Support SMS Campaign",
   "description": "A text with a link, for questions and orders",
   "status": "Ready", "priority": "5", "experienceFlow": "cf-67447605-115e-5dd2-a676-e158cf3xxxxx",
   "createdAt": "2025-12-05T08:16:19.398Z", "updatedAt": "2025-12-05T08:57:17.709Z",
   "schedule": {"isSchedulingEnabled": false, "isRecurrenceEnabled": false},
   "id": "cd-e7110489-a30a-5d1e-80ee-f246cc8xxxxx", "totalMessagesSent": 0,
   "campaignInstanceUpdatedAt": "2025-12-05T08:57:17.709Z", "campaignExecutionType": "NORMAL",
   "contactLists": ["CL Only 2020 Dec 4"], "format": "advanced"}],
  "skip": 0, "limit": 50, "hasMore": false, "totalPages": 1, "totalResults": 7}},
{"status": "success", "data": {"id": "cd-469cba4-2597-471d-b5ed-02732c2xxxxx", "status": "Ready",
  "name": "Service Renewal Outreach Campaign6"}}]
""")
CONTACTS: list[Row] = SAMPLES[0]["data"]["results"]
VOICE: Row = SAMPLES[1]["data"]["results"][1]  # the one with every documented field
SMS: list[Row] = SAMPLES[2]["data"]["results"]

#: what a contact's call leaves behind; a new run sets these back
OUTCOME = ("dialerOutcome", "agentDispositionCodes", "botOutboundStatus", "botOutboundStatusDetail")
FRESH: Row = dict.fromkeys(OUTCOME, "") | {
    "agentDispositionCodes": [],
    "numberOfAttemptsSoFar": 0,
    "botSessionId": "",
}
WAITING = ("Ready", "Paused", "Preparing", "Scheduled", "Rescheduled")
STATUSES = ("Active", "Completed", "Stopped", *WAITING)
#: name, dialing mode, status, share of all contacts, age in days; the first takes the rest. Names
#: are not unique at the vendor either.
SEEDED = (
    ("Billing Reminder Voice Campaign1", "Progressive", "Active", 0.0, 20),
    ("Service Renewal Outreach Campaign6", "Preview", "Active", 0.08, 9),
    ("Billing Reminder Voice Campaign1", "Agentless", "Completed", 0.05, 60),
    ('Umfrage "Zufriedenheit" äöü ✓', "Progressive", "Paused", 0.03, 4),
    ("Product Feedback Voice Campaign-3.41", "Agentless", "Ready", 0.0, 1),
)

LIST_KEYS = {"limit", "skip", "page", "type", "filters", "sortBy", "startDate", "endDate"}
SORTS = ("name", "createdAt", "updatedAt")
FILTERS: dict[str, tuple[Any, ...]] = {
    "status": STATUSES,
    "priority": (1, 2, 3, 4, 5),
    "dialingMode": ("Progressive", "Preview", "Agentless"),
}
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z")


class KoreaiFake(Fake):
    """`campaigns` and `sms_campaigns` hold rows as the list prints them, by id; `contacts` holds
    the contacts of each voice campaign, by its id, in the order they are served. Tests may edit
    all three at will; a campaign that left `campaigns` is unknown to the vendor.

    Quirks, each with its friendliest value as default:
    `enforce_jti`: a token without `jti` is refused.
    `list_id_key` "_id" | "id": the key of a voice campaign's id in the list.
    `status_word_failure` "failure" | "error": the body's `status` when a request fails.
    `unknown_campaign_status` 200 | 404: the HTTP status for a campaign that is not known.
    `skip_wins`: a `skip` that is given, even 0, makes the list ignore `page`.
    `list_limit_max` 50: the largest list limit that is not a 400.
    `rate_limit`: requests in 60 s of `clock`, then RATE_MESSAGE; None is no limit, 60 the vendor's.
    `rate_limit_style` "429" | "200": with that HTTP status; 200 is told apart by the body alone.
    `clock`: the seconds that the rate limit counts in, `time.monotonic` unless a test moves it.
    """

    vendor = "koreai"
    main_path = r"^/campaign/api/v2/public/[^/]+/campaign/[^/]+/status$"
    data_key = "results"  # inside `data`

    def __init__(self, *, certificate: Path | None = None) -> None:
        super().__init__(certificate=certificate)
        self.stream_id = "st-0603182c-7ffb-53c3-b307-47ca14b00001"
        self.app_id = "st-0603182c-7ffb-53c3-b307-47ca14b00002"  # another, so a mix-up is seen
        self.account_id = "67777ce93e25326494e00001"
        self.client_id = "cs-fake-koreai-client"
        self.client_secret = "fake-koreai-secret-of-forty-characters-00"  # opens nothing
        self.campaigns: dict[str, Row] = {}
        self.sms_campaigns: dict[str, Row] = {}
        self.contacts: dict[str, list[Row]] = {}
        self.writes: list[Ask] = []
        self.enforce_jti = False
        self.list_id_key: Literal["_id", "id"] = "_id"
        self.status_word_failure: Literal["failure", "error"] = "failure"
        self.unknown_campaign_status: Literal[200, 404] = 200
        self.skip_wins = False
        self.list_limit_max = 50
        self.rate_limit: int | None = None
        self.rate_limit_style: Literal["429", "200"] = "429"
        self.clock: Callable[[], float] = time.monotonic
        self._random = random.Random(23)  # repeatable, not secret
        self._last_number = 0
        self._last_stamp = datetime.min.replace(tzinfo=UTC)
        self._removed: dict[str, Row] = {}
        self._let_in: deque[float] = deque()
        self._tokens: set[str] = set()
        self._expired: set[str] = set()
        self._shift = False
        self._shift_after: tuple[str, int] | None = None  # campaign and limit of a first page

    def settings(self) -> Row:
        names = ("stream_id", "app_id", "account_id", "client_id", "client_secret")
        return {"api_url": self.url} | {name: getattr(self, name) for name in names}

    # --- answering ---------------------------------------------------------------------------

    def answer(self, ask: Ask) -> Answer:
        found = PATH.match(ask.path)
        if not found or found["stream"] != self.stream_id:
            return self._failure("Not Found", 404)
        lists = found["id"] == "getAllCampaignDetails"
        reads = lists or found["action"] == "status"
        if ask.method not in (("POST",) if reads else ("POST", "PUT", "DELETE")):
            return self._failure("Method Not Allowed", 405)
        if not reads:
            self.writes.append(ask)  # also without a login: no client should even try
        if turned_away := self._turned_away(ask):
            return turned_away
        if not reads:
            return Answer({"status": "success", "message": "Campaign updated"})
        return self._list(ask) if lists else self._status(ask, found["id"])

    def _failure(self, message: str, status: int) -> Answer:
        return Answer({"status": self.status_word_failure, "message": message}, status)

    def _turned_away(self, ask: Ask) -> Answer | None:
        if why := self._login_refusal(ask.headers):
            return self._failure(why, 401)
        if self._over_rate():
            return self._failure(RATE_MESSAGE, int(self.rate_limit_style))
        return None

    def _login_refusal(self, headers: dict[str, str]) -> str | None:
        token = headers.get("auth", "")
        try:
            claims = jwt.decode(token, self.client_secret, ["HS256"], options={"require": ["sub"]})
        except jwt.InvalidTokenError as error:
            return f"Invalid JWT token: {error}"
        if claims.get("appId") != self.client_id:
            return "appId is not the client id"
        if self.enforce_jti and not claims.get("jti"):
            return "jti is missing"
        if headers.get("iid") != self.app_id or headers.get("accountid") != self.account_id:
            return "iid and accountId do not fit the token"
        if "exp" in claims:
            self._tokens.add(token)
        return "Invalid JWT token: it has expired" if token in self._expired else None

    def expire_logins(self) -> None:
        """Tokens with an `exp` that were used so far count as expired from now on.

        One without never expires at this vendor. A client that signs the very same claims again
        (no `jti`, the same second in `exp`) sends the same text and is refused again.
        """
        self._expired |= self._tokens

    def _over_rate(self) -> bool:
        if self.rate_limit is None:
            return False
        now = self.clock()
        while self._let_in and self._let_in[0] <= now - 60:
            self._let_in.popleft()
        if len(self._let_in) >= self.rate_limit:
            return True
        self._let_in.append(now)
        return False

    def _status(self, ask: Ask, campaign_id: str) -> Answer:
        view, body = ask.query.get("view"), _body(ask)
        named = set() if view == "status" else {"page", "limit"}
        if why := self._query_refusal(ask, {"view", "accountId"}) or _contacts_refusal(body, named):
            return self._failure(why, 400)
        if view not in (None, "contacts", "status"):
            return self._failure("view must be contacts or status", 400)
        rows = self.campaigns | (self.sms_campaigns if view == "status" else {})
        if campaign_id not in rows:
            return self._failure("Campaign not found", self.unknown_campaign_status)
        data: Row = {} if view == "status" else self._contacts_page(campaign_id, body)
        if view != "contacts":
            data |= {"id": campaign_id} | {k: rows[campaign_id][k] for k in ("status", "name")}
        return Answer({"status": "success", "data": data})

    def _query_refusal(self, ask: Ask, named: set[str]) -> str | None:
        if unknown := ask.query.keys() - named:
            return f"unknown parameters: {', '.join(sorted(unknown))}"
        if ask.query.get("accountId", self.account_id) != self.account_id:
            return "accountId is not the account's"
        return None

    def _contacts_page(self, campaign_id: str, body: Row) -> Row:
        page, limit = body.get("page", 1), body.get("limit", 100)
        rows = self.contacts.setdefault(campaign_id, [])
        if self._shift and page > 1 and self._shift_after == (campaign_id, limit):
            self._shift = False
            rows.insert(0, rows.pop())
        elif self._shift and page == 1 and len(rows) > limit:
            self._shift_after = (campaign_id, limit)
        return {
            # A copy, since it is sent after the lock is released and tests change rows meanwhile.
            "results": deepcopy(rows[(page - 1) * limit :][:limit]),
            "page": page,
            "limit": limit,
            "totalPages": -(-len(rows) // limit),
            "totalResults": len(rows),
        }

    def _list(self, ask: Ask) -> Answer:
        body = _body(ask)
        if "accountId" not in ask.query:
            return self._failure("accountId is required", 400)
        if why := self._query_refusal(ask, {"accountId"}) or _list_refusal(
            body, self.list_limit_max
        ):
            return self._failure(why, 400)
        rows = self._selected(body)
        limit, skip = body.get("limit") or 50, body.get("skip") or 0
        by_skip_alone = self.skip_wins and body.get("skip", "") != ""
        start = skip if by_skip_alone else skip + ((body.get("page") or 1) - 1) * limit
        data = {
            "results": deepcopy(rows[start:][:limit]),
            "skip": start,
            "limit": limit,
            "hasMore": start + limit < len(rows),
            "totalPages": -(-len(rows) // limit),
            "totalResults": len(rows),
        }
        message = "Campaign  retrieved successfully"
        return Answer({"status": "success", "message": message, "data": data})

    def _selected(self, body: Row) -> list[Row]:
        """Rows as the list prints them, filtered and sorted; the id settles equal ones."""
        voice = body["type"] == "voice"
        key = self.list_id_key if voice else "id"
        stored = self.campaigns if voice else self.sms_campaigns
        rows = [_with_id(each_id, row, key) for each_id, row in stored.items()]
        if since := _time(body.get("startDate")):
            rows = [row for row in rows if _time(row["createdAt"]) >= since]
        if until := _time(body.get("endDate")):
            rows = [row for row in rows if _time(row["createdAt"]) <= until]
        for name, wanted in body.get("filters", {}).items():
            allowed = {str(value) for value in wanted}
            rows = [row for row in rows if not wanted or row.get(name) in allowed]
        rows.sort(key=itemgetter(key))
        sorts = body.get("sortBy") or {"createdAt": "desc"}
        for name, direction in reversed(sorts.items()):
            rows.sort(key=itemgetter(name), reverse=direction == "desc")
        return rows

    # --- drift -------------------------------------------------------------------------------

    def shift_once(self) -> None:
        """Once, between page 1 and a later page of one campaign's contacts, the order rotates.

        The last contact becomes the first: the last of page 1 is seen again on page 2, the last of
        all on no page, while totalResults and the number of rows read stay right. Armed by a first
        page of several, it happens on the next request for a later page of that campaign with the
        same limit. Later reads find the new order and keep it.
        """
        self._shift = True
        self._shift_after = None

    # --- records -----------------------------------------------------------------------------

    def add_campaign(self, **fields: Any) -> Row:
        """A voice campaign from the page's sample, made now; its id is under `_id`."""
        campaign_id = fields.pop("_id", None) or self._id("cd-")
        stamp = self._stamp()
        row = deepcopy(VOICE) | dict.fromkeys(
            ("createdAt", "updatedAt", "campaignInstanceUpdatedAt"), stamp
        )
        self.campaigns[campaign_id] = row | fields | {"_id": campaign_id}
        self.contacts[campaign_id] = []
        return self.campaigns[campaign_id]

    def add_sms_campaign(self, **fields: Any) -> Row:
        """An SMS campaign from the page's samples; its id is under `id`, as they have it."""
        campaign_id = fields.pop("id", None) or self._id("cd-")
        row = deepcopy(SMS[len(self.sms_campaigns) % 2]) | fields | {"id": campaign_id}
        self.sms_campaigns[campaign_id] = row
        return row

    def add_contact(self, campaign_id: str, **fields: Any) -> Row:
        """A contact of its own number that was not called yet, with `fields` as given."""
        self._last_number += 1
        number = self._last_number
        phone = f"1555{10 + number // 10_000:03}{number % 10_000:04}"
        row = CONTACTS[0] | deepcopy(FRESH)
        # A number written with 00 in front loses it to every cast to an integer.
        row |= {"phoneNumber": f"00{phone}" if number % 50 == 7 else phone}
        row |= {"uniqueId": f"CRM-{number:05}" if number % 9 == 0 else ""} | fields
        self.contacts.setdefault(campaign_id, []).append(row)
        return row

    def call(self, contact: Row) -> None:
        """One more attempt, ending as one of the page's three contacts did."""
        sample = self._random.choice(CONTACTS)
        contact |= deepcopy({name: sample[name] for name in OUTCOME})
        if contact["agentDispositionCodes"] and self._random.random() < 0.2:
            contact["agentDispositionCodes"].append("Rückruf, später ✓")
        contact["numberOfAttemptsSoFar"] += 1
        contact["botSessionId"] = f"{self._random.getrandbits(96):024x}"

    def empty_campaign(self, campaign_id: str) -> None:
        """Its contacts go; the campaign's row stands still, only totalResults tells."""
        self.contacts[campaign_id] = []

    def remove_campaign(self, campaign_id: str) -> None:
        self._removed[campaign_id] = self.campaigns.pop(campaign_id)

    def restore_campaign(self, campaign_id: str) -> None:
        """A removed campaign is back as it was, contacts included."""
        self.campaigns[campaign_id] = self._removed.pop(campaign_id)

    def rerun_campaign(self, campaign_id: str) -> None:
        """A new instance: active again, its contacts as if nobody had called them."""
        for contact in self.contacts[campaign_id]:
            contact |= deepcopy(FRESH)
        self._set_status(campaign_id, "Active")

    def _set_status(self, campaign_id: str, status: str) -> None:
        stamp = self._stamp()
        change = {"status": status, "updatedAt": stamp, "campaignInstanceUpdatedAt": stamp}
        self.campaigns[campaign_id] |= change

    def _stamp(self) -> str:
        """Now, but later than any stamp before: a change is never hidden by a quick test."""
        self._last_stamp = max(self.now(), self._last_stamp + timedelta(milliseconds=1))
        return _iso(self._last_stamp)

    def _id(self, prefix: str) -> str:
        text = f"{self._random.getrandbits(124):031x}"  # the first part has seven digits here
        return prefix + "-".join((text[:7], text[7:11], text[11:15], text[15:19], text[19:]))

    def seed(self, rows: int = 250) -> None:
        """Five voice campaigns with `rows` contacts in all, most of them in the first, which has
        contacts that share phone and uniqueId; the last is empty. And two SMS campaigns.
        """
        sizes = [int(rows * share) for *_, share, _ in SEEDED]
        sizes[0] = rows - sum(sizes)
        for (name, mode, status, _, days), size in zip(SEEDED, sizes, strict=True):
            campaign = self.add_campaign(
                name=name,
                dialingMode=mode,
                status=status,
                priority=str(self._random.randint(1, 5)),
                createdAt=self._ago(days),
                updatedAt=self._ago(days / 2),
                campaignInstanceUpdatedAt=self._ago(days / 2 - 0.01),
            )
            self._fill(campaign["_id"], size, called=1.0 if status == "Completed" else 0.7)
        _, renewal, old, survey, _ = self.campaigns.values()
        del old["dncLists"], renewal["schedule"]["isRecurrenceEnabled"]
        survey["contactLists"] = ["CL Only 2020 Dec 4", "Kündigung, äöü ✓"]
        for days in (3, 30):
            self.add_sms_campaign(createdAt=self._ago(days), updatedAt=self._ago(days - 1))

    def _ago(self, days: float) -> str:
        return _iso(self.now() - timedelta(days=days))

    def _fill(self, campaign_id: str, size: int, *, called: float) -> None:
        rows = self.contacts[campaign_id]
        for place in range(size):
            # Twins in campaigns of more than 25: now with another outcome, now equal in all.
            twin = self._random.choice(rows) if place % 25 in (12, 24) and place > 20 else None
            row = self.add_contact(campaign_id)
            if twin:
                row |= {"phoneNumber": twin["phoneNumber"], "uniqueId": twin["uniqueId"]}
            if twin and place % 25 == 24:
                row |= deepcopy(twin)
            elif self._random.random() < called:
                self.call(row)

    # --- a day passes ------------------------------------------------------------------------

    def change(self) -> None:
        """Active campaigns call on and get a new contact, while their own rows stand still. The
        last of several active ones completes and is stamped. Another starts: one that waits, else
        the one that completed longest ago, with its contacts afresh. The clock stays where it is.
        """
        active = self._in(("Active",))
        for campaign_id in active:
            self._call_some(campaign_id)
            self.add_contact(campaign_id)
        if len(active) > 1:
            self._set_status(active[-1], "Completed")
        if waiting := self._in(WAITING):
            self._set_status(waiting[0], "Active")
            for _ in range(5):
                self.add_contact(waiting[0])
        elif done := self._in(("Completed", "Stopped")):
            self.rerun_campaign(min(done, key=lambda each: str(self.campaigns[each]["updatedAt"])))

    def _in(self, statuses: tuple[str, ...]) -> list[str]:
        return [key for key, row in self.campaigns.items() if row["status"] in statuses]

    def _call_some(self, campaign_id: str) -> None:
        open_rows = [row for row in self.contacts[campaign_id] if not row["dialerOutcome"]]
        some = min(len(open_rows), max(3, len(open_rows) // 5))
        for row in self._random.sample(open_rows, some):
            self.call(row)

    # --- what the warehouse must hold --------------------------------------------------------

    def expected(self) -> dict[str, list[Row]]:
        """The current rows: voice campaigns that the vendor lists now, and their contacts.

        Which of several contacts with equal phone and uniqueId has which `occurrence` is free;
        compare those as multisets. A snapshot held back because it shrank is not allowed for.
        """
        contacts = [
            row
            for campaign_id in self.campaigns
            for row in _contact_columns(campaign_id, self.contacts.get(campaign_id, []))
        ]
        campaigns = [_columns(row, VOICE) | {"id": key} for key, row in self.campaigns.items()]
        return {"campaigns": campaigns, "campaign_contacts": contacts}


def _columns(row: Row, sample: Row, prefix: str = "") -> Row:
    """The fields that the page shows, missing ones as None."""
    found: Row = {}
    for key, shown in sample.items():
        name = prefix + re.sub(r"(?=[A-Z])", "_", key).lower().strip("_")
        if isinstance(shown, dict):
            found |= _columns(row.get(key) or {}, shown, f"{name}__")
        else:
            found[name] = _time(row.get(key)) if key.endswith("At") else deepcopy(row.get(key))
    return found


def _contact_columns(campaign_id: str, contacts: list[Row]) -> list[Row]:
    counts = Counter[tuple[str, str]]()
    found = []
    for contact in sorted(contacts, key=lambda each: json.dumps(each, sort_keys=True)):
        key = (contact["phoneNumber"], contact["uniqueId"])
        numbered = {"campaign_id": campaign_id, "occurrence": counts[key]}
        found.append(numbered | _columns(contact, CONTACTS[0]))
        counts[key] += 1
    return found


def _time(text: str | None) -> Any:
    """An aware time, or None."""
    return None if text is None else datetime.fromisoformat(text)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _with_id(campaign_id: str, row: Row, key: str) -> Row:
    return {key: campaign_id} | {k: v for k, v in row.items() if k not in ("_id", "id")}


# --- what is refused with a 400 ------------------------------------------------------------------


def _body(ask: Ask) -> Any:
    """The decoded body; a text where it cannot be read as JSON, which no check lets through."""
    if not ask.body:
        return {}
    if not ask.headers.get("content-type", "").startswith("application/json"):
        return "Content-Type must be application/json"
    try:
        return ask.json()
    except ValueError:
        return "body is not JSON"


def _keys_refusal(value: Any, place: str, named: set[str]) -> str | None:
    if not isinstance(value, dict):
        return value if value and isinstance(value, str) else f"{place} must be an object"
    if unknown := value.keys() - named:
        return f"unknown keys in {place}: {', '.join(sorted(unknown))}"
    return None


def _integer_refusal(body: Row, name: str, least: int, most: int | None) -> str | None:
    value = body.get(name, least)
    if not isinstance(value, int) or isinstance(value, bool):
        return f"{name} must be an integer"
    if value < least or (most is not None and value > most):
        return f"{name} must be at least {least}" + (f" and at most {most}" if most else "")
    return None


def _contacts_refusal(body: Any, named: set[str]) -> str | None:
    return (
        _keys_refusal(body, "body", named)
        or _integer_refusal(body, "page", 1, None)
        or _integer_refusal(body, "limit", 1, 100)
    )


def _list_refusal(body: Any, list_limit_max: int) -> str | None:
    if why := _keys_refusal(body, "body", LIST_KEYS):
        return why
    if body.get("type") not in ("voice", "sms"):
        return "type must be voice or sms"
    given = {name: value for name, value in body.items() if value != ""}  # empty text is allowed
    for name, least, most in (("page", 1, None), ("skip", 0, None), ("limit", 1, list_limit_max)):
        if why := _integer_refusal(given, name, least, most):
            return why
    for name in body.keys() & {"startDate", "endDate"}:
        if not _is_time(body[name]):
            return f"{name} must be an ISO 8601 time in UTC"
    return _sort_refusal(body.get("sortBy", {})) or _filters_refusal(body)


def _is_time(value: Any) -> bool:
    try:
        return bool(ISO.fullmatch(str(value)) and _time(value))
    except ValueError:  # the 31st of a shorter month
        return False


def _sort_refusal(sorts: Any) -> str | None:
    if why := _keys_refusal(sorts, "sortBy", set(SORTS)):
        return why
    if any(direction not in ("asc", "desc") for direction in sorts.values()):
        return "sortBy takes asc or desc"
    return None


def _filters_refusal(body: Row) -> str | None:
    filters = body.get("filters", {})
    if why := _keys_refusal(filters, "filters", set(FILTERS)):
        return why
    if body["type"] == "sms" and "dialingMode" in filters:
        return "filters.dialingMode is for voice campaigns"
    for name, values in filters.items():
        if not isinstance(values, list) or any(v not in FILTERS[name] for v in values):
            return f"filters.{name} must be a list of the allowed values"
    return None
