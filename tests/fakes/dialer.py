"""QVOICE's "Contact center - Campaigns API", also sold under other names, usually on port 9443.

Documented ([D] in shared/reference/dialer.md): POST /api/v2/login with username, password and
domain for an access token; X-Account-ID and `Authorization: Bearer` on everything else; 200, 400
"The information sent is invalid." and 500; campaigns as a map keyed by id, whose leads_by_status
prints a status twice; leads paged by page_size and next_start_key, history by pageSize and
startKey; queue status outside /api/v2; times in epoch seconds; leads deleted for good.

Seen in others' clients ([T]): the token is a JWT (identity, type, exp) that lives an hour and is
then refused with 401; history comes as {data, next_start_key, page_size} or as a bare array, its
times now and then in milliseconds, with the columns in RICH; agent_subdisposition is a text or an
object, agent_history a list or a JSON text; dispositions and notes arrive after the call.

Assumed, since the page is silent: leads are ordered by id and a page's next key is the id of the
next page's first row (Couch style), so that the key of a deleted row leads to the row after it;
history's key holds second and row, with a `+` between; the window is on `timestamp`, both ends
included, bounds are whole seconds compared as they are (an endDate in milliseconds is the year
54350 and bounds nothing, a startDate in milliseconds finds nothing), a missing bound bounds
nothing, start after end is a 400; 50 rows a page unless said and 2,000 at most, clamped; a campaign
that is gone, a wrong account and unknown parameters are a 400; 401, 404, 405 and the shape of error
bodies; the inside of `user`, agent_history, campaign_timestamps and the wait columns.
"""

import hashlib
import json
import random
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import jwt
import orjson

from tests.fakes._server import Answer, Ask, Fake, Row

LOGIN = "/api/v2/login"
CONFIG = "/api/v2/config/campaigns"
STATUS = "/api/v2/reports/campaigns/leads/status"
HISTORY = "/api/v2/reports/campaigns/leads/history"
QUEUES = "/callcenter/queues/status"
LEADS = re.compile(rf"{CONFIG}/(?P<campaign>[^/]+)/leads")
WRITES = (
    ("PUT", re.compile(rf"{CONFIG}/[^/]+/lead"), "Lead added to campaign successfully."),
    ("POST", re.compile(rf"{CONFIG}/leads/[^/]+/status/[^/]+"), "Lead status set successfully."),
    ("DELETE", re.compile(rf"{CONFIG}/leads/[^/]+"), "Lead deleted successfully."),
    (
        "PUT",
        re.compile(rf"{CONFIG}/call/[^/]+/disposition/voicemail"),
        "Call disposition set successfully.",
    ),
)
INVALID = "The information sent is invalid."
FIRST = f"-{10**18}+0"  # the startKey of a first page
DAY = 86_400
#: new rows are older than this, so that a reader whose windows end some minutes ago gets them
SETTLED_SECONDS = 600

# The page's replies. Mended: curly quotes made straight, the `…` in `user` and between the two
# campaigns left out, a comma put between these, the bracket that closes the history added. `status`
# stays text, since its repeated "success" is valid JSON but no Python dict.
SAMPLES: dict[str, Any] = {
    "login": json.loads("""{"user": {}, "access_token": "{access_token_value}",
 "refresh_token": "{refresh_token_value}"}"""),
    "status": """{
 "campaing_id_1": {"name": "campaign_1", "status": "stopped", "total_leads": 44,
  "leads_by_status": {"new": 4, "success": 10, "failed": 5, "success": 25}},
 "campaing_id_n": {"name": "campaign_n", "status": "stopped", "total_leads": 53,
  "leads_by_status": {"new": 8, "success": 15, "failed": 5, "success": 25}}}""",
    "leads": json.loads("""{"data": [
 {"created": 1665762498, "campaign_id": "210ea5d942f41744f1ef37e84a4965e0", "number": "+12131204",
  "status": "new", "retries": 11, "first_name": "Piper", "last_name": "Huffman", "priority": 4,
  "id": "210ea5d942f41744f1ef37e84a59878d"},
 {"created": 1665762674, "campaign_id": "210ea5d942f41744f1ef37e84a4965e0", "number": "+12131214",
  "status": "new", "retries": 11, "first_name": "Yash", "last_name": "Ellwood", "priority": 4,
  "id": "210ea5d942f41744f1ef37e84a5a1f95"}],
 "next_start_key": "9f6b620d4d5e82e16a822fdff7210a8f"}"""),
    "queues": json.loads("""[{"id": "9ba7842e-f51c-4156-9bee-1f4aa7466b1e", "name": "QueueName",
 "extension": "5586", "max_time_caller_in_queue": 120, "strategy": "single",
 "agents": [{"id": "8d0af2bafb82d021dc1fb5b09996d7d6", "name": "Agent1 Name", "extension": "5865",
  "extension_is_valid": true, "delay": 0, "timeout": 15, "logged_in": false, "status": "idle",
  "registered": false, "tags": [{"id": "6057e10976cba5c054d4a00e8aad9bc8", "name": "Batch-W??B1",
   "color": "#b306f1"}]}],
 "calls": {}, "total_agents": 1, "logged_in_agents": 0, "logged_out_agents": 1, "idle_agents": 0,
 "misconfigured_agents": 0, "agents_registered": 0, "agents_on_call": 0}]"""),
    "history": json.loads("""[{"datetime": "2022-10-19 23:31:58 +0000 UTC", "timestamp": 1666222318,
 "campaign_name": "load_test_camp_1", "lead_name": "Raven Shields", "lead_number": "+12195011918",
 "agent_name": "Jim Jones71", "agent_extension": "1071", "lead_history": [{
  "agent": {"delay": 0, "device_endpoints": [], "email": "jones8@jones.com",
   "endpoint": "009ec0f42923cceb8ce819aee367a215", "ext": "1008", "first_name": "Jim",
   "last_answered": 1666221871.9237537, "last_attempt": 1666221871.916515, "last_hangup": 0,
   "last_name": "Jones8", "status": "idle", "timeout": 20, "total_talk_time": 0, "type": "user"},
  "event": "campaign dial", "ext": "1008", "last_attempt": 1666222318.0263362,
  "type": "dial agent", "uuid": "d7bf2f395cf9adddece9dd8df49712f13d39-clicktocall"}]}]"""),
}
LEAD: Row = SAMPLES["leads"]["data"][0]
QUEUE: Row = SAMPLES["queues"][0]
CALL: Row = SAMPLES["history"][0]
LEG: Row = CALL["lead_history"][0]

#: columns of history that the page does not show [T] and whose kind is not in doubt
RICH = (
    *("call_id", "campaign_type", "lead_first_name", "lead_last_name", "lead_ticket_id"),
    *("lead_type", "status", "disposition", "lead_disposition", "agent_disposition"),
    *("agent_subdisposition", "follow_up_notes", "hangup_cause", "agent_talk_time"),
    *("media_recording_id", "recording_filename", "agent_history"),
)
#: and those whose kind nobody states: served, but not foretold by `expected`
UNSURE = (
    *("campaign_timestamps", "hangup_time", "lead_answer_time", "answered_time"),
    *("customer_wait_time_sla", "customer_wait_time_over_sla"),
)
LEAD_COLUMNS = (
    *("id", "campaign_id", "number", "status", "retries", "first_name", "last_name", "priority"),
    *("ticket_id", "type", "note", "cool_off"),
)
CALL_COLUMNS = tuple(name for name in (*CALL, *RICH) if name not in ("timestamp", "agent_history"))

CAMPAIGNS = (
    ("load_test_camp_1", "stopped"),
    ("Rückruf äöü ✓", "running"),
    ('Renewals "Q3"', "paused"),
    ("Survey, first wave", "stopped"),
)
FIRST_NAMES = ("Piper", "Yash", "Zoë", "Raven")
LAST_NAMES = ("Sample", "Example", "O'Muster", "Ellwood-Example")
LEAD_STATUSES = ("new", "new", "success", "success", "success", "failed", "voicemail")
AGENTS = (("Agent Adler", "1071"), ("Agent Birk", "0108"), ("Agent Çelik", "1009"))
EVENTS = (  # an open set, in which the case varies
    *(("agent_answer", "agent"), ("agent_hangup", "agent"), ("lead_hangup", "agent")),
    *(("transfer", "Transfer"), ("transfer_enter", "transfer"), ("hold_start", "attended")),
)
SUBDISPOSITIONS: tuple[Any, ...] = (
    "callback",
    {"name": "Interested", "subdisposition": {"name": "Later"}},
    {"name": "Interested", "subdisposition": {"key": "slot", "value": "morning"}},
    None,
)


class DialerFake(Fake):
    """Records as the vendor holds them; tests may edit these stores at will.

    `campaigns`: id to {name, status, total_leads, leads_by_status}, the last a list of (status, n).
    Both counts follow `leads` at every request, but for the ids in `fixed_counts`.
    `leads`: id to lead. Leads whose campaign is not in `campaigns` are not served.
    `history`: the calls, in any order. Names that begin with `_` are the fake's own.
    `queues`: as printed.
    `served_calls` and `served_campaigns` hold each as it was last sent, which is what a warehouse
    keeps of those that are gone; `observed` is the last status reply, None before the first.
    `writes` holds the writing requests, and must stay empty.

    Quirks, each with its friendliest value as default:
    `token_seconds`: how long a login lasts.  `opaque_token`: the access token is no JWT.
    `token_key` "access_token" | "accessToken": its name in the login's reply [T].
    `end_of_keys` "missing" | "null" | "empty": the next_start_key of a last page.
    `page_size_over_max` "clamp" | "error": a size above `max_page_size` becomes it, or is a 400.
    `unknown_params` "error" | "ignore": a parameter that is not documented (such as starDate).
    `history_shape` "envelope" | "array": a bare array has no next key, ignores startKey, and holds
    at most `history_cap` rows whatever pageSize says.
    `history_order` "newest" | "oldest": by timestamp; equal ones in the order they were made.
    `history_unit` "s" | "ms": what `timestamp` is printed in; windows are in seconds always.
    `rich`: history has the columns in RICH and UNSURE; without them no row has a call_id.
    `split_status`: printed twice for a campaign that has two leads or more in it; None for none.
    `shift_kind` "mixed" | "start_key": what `shift_once` does to leads.
    `late_days`: how old a call may be that `change` still touches; inside the lookback of 3.
    """

    vendor = "dialer"
    main_path = rf"^{HISTORY}$"
    data_key = "data"

    def __init__(self, *, certificate: Path | None = None) -> None:
        super().__init__(certificate=certificate)
        self.username, self.password = "reports", "fake-dialer-password"
        self.domain, self.account_id = "example-tenant", "0f3e5a1c9b7d42688c1d2e3f4a5b6c7d"
        self.ca_bundle: Path | None = None
        self.campaigns: dict[str, Row] = {}
        self.leads: dict[str, Row] = {}
        self.history: list[Row] = []
        self.queues: list[Row] = []
        self.fixed_counts: set[str] = set()
        self.served_calls: dict[str, Row] = {}
        self.served_campaigns: dict[str, Row] = {}
        self.observed: dict[str, Row] | None = None
        self.writes: list[Ask] = []
        self.token_seconds = 3600.0
        self.opaque_token = False
        self.token_key: Literal["access_token", "accessToken"] = "access_token"
        self.end_of_keys: Literal["missing", "null", "empty"] = "missing"
        self.default_page_size, self.max_page_size = 50, 2000
        self.page_size_over_max: Literal["clamp", "error"] = "clamp"
        self.unknown_params: Literal["error", "ignore"] = "error"
        self.history_shape: Literal["envelope", "array"] = "envelope"
        self.history_cap: int | None = None
        self.history_order: Literal["newest", "oldest"] = "newest"
        self.history_unit: Literal["s", "ms"] = "s"
        self.rich = True
        self.split_status: str | None = "success"
        self.shift_kind: Literal["mixed", "start_key"] = "mixed"
        self.late_days = 2.9
        self._random = random.Random(9443)
        self._last_id = 0x37E84A000000
        self._tokens: dict[str, float] = {}  # token -> when it ends
        self._removed: dict[str, Row] = {}
        self._shift = False
        self._days = 0

    def settings(self) -> Row:
        names = ("domain", "account_id", "username", "password")
        keys: Row = {"api_url": self.url} | {name: getattr(self, name) for name in names}
        return keys | ({"ca_bundle": str(self.ca_bundle)} if self.ca_bundle else {})

    # --- answering ---------------------------------------------------------------------------

    def answer(self, ask: Ask) -> Answer:
        if ask.path == LOGIN:
            return self._login(ask) if ask.method == "POST" else _error(405)
        writing = [(method, done) for method, path, done in WRITES if path.fullmatch(ask.path)]
        for method, done in writing:
            if ask.method == method:
                self.writes.append(ask)
                return Answer({"message": done})
        reading = self._reading(ask.path)
        if not reading:
            return _error(405 if writing else 404)
        names, read = reading
        return self._refusal(ask, names) or read(ask)

    def _reading(self, path: str) -> tuple[set[str], Callable[[Ask], Answer]] | None:
        """The parameters and the function of a documented read."""
        if path == STATUS:
            return set(), self._status
        if path == QUEUES:
            return set(), lambda _: Answer(_copy(self.queues))
        if path == HISTORY:
            return {"startDate", "endDate", "pageSize", "startKey"}, self._activity
        if LEADS.fullmatch(path):
            return {"page_size", "next_start_key"}, self._leads_page
        return None

    def _login(self, ask: Ask) -> Answer:
        right = {"username": self.username, "password": self.password, "domain": self.domain}
        try:
            given = ask.json()
        except ValueError:
            return _error(400)
        if given != right:
            return _error(400)
        token, ends = self._new_token()
        self._tokens[token] = ends
        user = {"username": self.username, "domain": self.domain}
        return Answer({"user": user, self.token_key: token, "refresh_token": secrets.token_hex()})

    def _new_token(self) -> tuple[str, float]:
        ends = self.now().timestamp() + self.token_seconds
        if self.opaque_token:
            return secrets.token_hex(), ends
        # jti tells apart two logins of one second
        identity = f"{self.account_id}:{self.username}"
        claims = {
            "identity": identity,
            "type": "access",
            "exp": int(ends),
            "jti": secrets.token_hex(8),
        }
        return jwt.encode(claims, "a key that only this fake knows of", algorithm="HS256"), ends

    def expire_logins(self) -> None:
        self._tokens.clear()

    def _refusal(self, ask: Ask, names: set[str]) -> Answer | None:
        if ask.method != "GET":
            return _error(405)
        scheme, _, token = ask.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or self._tokens.get(token, 0.0) <= self.now().timestamp():
            return _error(401)
        unknown = ask.query.keys() - names if self.unknown_params == "error" else set()
        if ask.headers.get("x-account-id") != self.account_id or unknown:
            return _error(400)
        size = ask.query.get("page_size" if "page_size" in names else "pageSize", "1")
        if not re.fullmatch(r"0*[1-9]\d*", size):
            return _error(400)
        too_many = int(size) > self.max_page_size and self.page_size_over_max == "error"
        return _error(400) if too_many else None

    def _status(self, _: Ask) -> Answer:
        """Written by hand, since no dict holds a status twice."""
        self.recount()
        self.observed = deepcopy(self.campaigns)  # which may hold what orjson refuses
        self.served_campaigns |= deepcopy(self.campaigns)
        parts = []
        for key, campaign in self.campaigns.items():
            rest = {k: v for k, v in campaign.items() if k != "leads_by_status"}
            pairs = campaign["leads_by_status"]
            counts = ", ".join(f"{json.dumps(status)}: {n}" for status, n in pairs)
            text = f'{json.dumps(rest)[:-1]}, "leads_by_status": {{{counts}}}}}'
            parts.append(f"{json.dumps(key)}: {text}")
        return Answer("{" + ", ".join(parts) + "}")

    def _leads_page(self, ask: Ask) -> Answer:
        match = LEADS.fullmatch(ask.path)
        assert match
        if (campaign := match["campaign"]) not in self.campaigns:
            return _error(400)
        first = ask.query.get("next_start_key", "")
        rows = self.leads_of(campaign)
        ahead = [row for row in rows if row["id"] >= first]
        size = self._size(ask.query.get("page_size"))
        page, after = _copy(ahead[:size]), [row["id"] for row in ahead[size : size + 1]]
        if self._shift and not first and after:
            self._shift_leads(page[0], rows[-1], after[0])
        return Answer({"data": page} | self._next_key(after))

    def _activity(self, ask: Ask) -> Answer:
        query = ask.query
        bounds = [query.get("startDate", "0"), query.get("endDate", "9" * 18)]
        if not all(re.fullmatch(r"-?\d+", bound) for bound in bounds):
            return _error(400)
        start, end = map(int, bounds)
        after = _order_of(query.get("startKey") or FIRST)
        if start > end or after is None:
            return _error(400)
        rows = [row for row in self._calls() if start <= row["timestamp"] <= end]
        rows.sort(key=self._order)
        size = self._size(query.get("pageSize"))
        if self.history_shape == "array":
            return Answer(self._served(rows[: min(size, self.history_cap or size)]))
        ahead = [row for row in rows if self._order(row) >= after]
        page, keys = self._served(ahead[:size]), map(self._key, ahead[size : size + 1])
        reply = {"data": page} | self._next_key(list(keys)) | {"page_size": size}
        if self._shift and not query.get("startKey") and len(ahead) > size:
            self._shift_calls(ahead[:size], ahead[-1])
        return Answer(reply)

    def _size(self, asked: str | None) -> int:
        return min(int(asked or self.default_page_size), self.max_page_size)

    def _next_key(self, keys: list[str]) -> Row:
        """The first of `keys`, or what stands for none on a last page."""
        ends: dict[str, Row] = {"missing": {}, "null": {"next_start_key": None}}
        last = ends.get(self.end_of_keys, {"next_start_key": ""})
        return {"next_start_key": keys[0]} if keys else last

    # --- history -----------------------------------------------------------------------------

    def _calls(self) -> list[Row]:
        for row in self.history:
            if "_id" not in row:  # added by a test's own hand
                row["_id"] = self._next_id()
        return self.history

    def _order(self, row: Row) -> tuple[int, str]:
        second: int = row["_sorts_as" if "_sorts_as" in row else "timestamp"]
        return -second if self.history_order == "newest" else second, row["_id"]

    def _key(self, row: Row) -> str:
        second, name = self._order(row)
        return f"{second}+{name}"

    def _served(self, rows: list[Row]) -> list[Row]:
        """Copies as printed, since a reply is sent after the lock is released."""
        copies = _copy(rows)
        self.served_calls |= {row["_id"]: row for row in copies}
        return [self._printed(row) for row in copies]

    def _printed(self, row: Row) -> Row:
        hidden = () if self.rich else (*RICH, *UNSURE)
        shown = {k: v for k, v in row.items() if k[0] != "_" and k not in hidden}
        scale = 1000 if self.history_unit == "ms" else 1
        return shown | {"timestamp": shown["timestamp"] * scale}

    # --- drift -------------------------------------------------------------------------------

    def shift_once(self) -> None:
        """Once, after the first page of a campaign's leads or of a window was sent, rows move.

        Leads, `shift_kind` "mixed": page 1's first lead is deleted and made anew under an id at the
        end (a naive reader has the deleted one too), and two leads are made whose ids lie on page 1
        (never seen). A naive reader ends with one lead more than the total said before, and one
        fewer than it says now. "start_key": the lead that next_start_key names is deleted.
        History: page 1's last call is sorted to the very end (seen twice), and a call that arrives
        late takes its place on page 1 (never seen). Later reads find the set so and standing.
        """
        self._shift = True

    def _shift_leads(self, first: Row, last: Row, start_key: str) -> None:
        self._shift = False
        if self.shift_kind == "start_key":
            del self.leads[start_key]
            return
        again = self.leads.pop(first["id"])
        for made, neighbour in ((again, last), (_copy(again), first), (_copy(again), first)):
            made["id"] = self._id_after(neighbour["id"])
            self.leads[made["id"]] = made

    def _id_after(self, neighbour: str) -> str:
        number = int(neighbour, 16) + 1
        while f"{number:032x}" in self.leads:
            number += 1
        return f"{number:032x}"

    def _shift_calls(self, first_page: list[Row], last: Row) -> None:
        self._shift = False
        first, moved = first_page[0], first_page[-1]
        place, _ = self._order(first)
        moved["_sorts_as"] = abs(self._order(last)[0] + 1)  # orders are negated seconds, or seconds
        self._make_call(timestamp=first["timestamp"], _sorts_as=abs(place))

    # --- records -----------------------------------------------------------------------------

    def add_campaign(self, name: str, status: str = "running", leads: int = 0) -> str:
        """A new campaign with so many new leads; gives its id."""
        key = self._next_id()
        self.campaigns[key] = {"name": name, "status": status}
        for _ in range(leads):
            self.add_lead(key, created=self._recent(1))
        self.recount()
        return key

    def add_lead(self, campaign_id: str, **fields: Any) -> Row:
        """A lead from the page's own, with `fields` as given; one in ten has an id out of line."""
        key = self._hex() if self._random.random() < 0.1 else self._next_id()
        row = LEAD | {"id": key, "campaign_id": campaign_id, "number": self._number()}
        row |= {"created": self._recent(90), "priority": self._random.randint(1, 5)}
        row |= {"first_name": self._random.choice(FIRST_NAMES)}
        row |= {"last_name": self._random.choice(LAST_NAMES)} | fields
        self.leads[row["id"]] = row
        return row

    def leads_of(self, campaign_id: str) -> list[Row]:
        """The leads of a campaign in the order they are served."""
        rows = [row for row in self.leads.values() if row["campaign_id"] == campaign_id]
        return sorted(rows, key=lambda row: str(row["id"]))

    def add_call(self, **fields: Any) -> Row:
        """A call from the page's own, ten minutes ago where not said; `datetime` follows it.

        The outcome is still to come. Some columns in RICH are there too; `rich` says what is shown.
        """
        at = fields.get("timestamp", int(self.now().timestamp()) - SETTLED_SECONDS)
        name, extension = AGENTS[0]
        row: Row = _copy(CALL) | {"_id": self._next_id(), "timestamp": at, "datetime": _go_time(at)}
        row |= {"agent_name": name, "agent_extension": extension, "lead_number": self._number()}
        row |= {"call_id": self._uuid(), "campaign_type": "progressive"}
        row |= {"lead_history": [self._leg(at, 0)]} | fields
        self.history.append(row)
        return row

    def empty_campaign(self, campaign_id: str) -> None:
        """Every lead of the campaign is deleted; the campaign stays."""
        for lead in self.leads_of(campaign_id):
            del self.leads[lead["id"]]

    def remove_campaign(self, campaign_id: str) -> None:
        """The campaign is deleted, and its leads are no longer to be had."""
        self._removed[campaign_id] = self.campaigns.pop(campaign_id)

    def restore_campaign(self, campaign_id: str) -> None:
        """A removed campaign is back with the leads it had."""
        self.campaigns[campaign_id] = self._removed.pop(campaign_id)

    def recount(self) -> None:
        """Let total_leads and leads_by_status of every campaign follow its leads."""
        tally = {key: Counter[str]() for key in self.campaigns}
        for lead in self.leads.values():
            if lead["campaign_id"] in tally:
                tally[lead["campaign_id"]][lead["status"]] += 1
        for key in self.campaigns.keys() - self.fixed_counts:
            pairs = _pairs(tally[key], self.split_status)
            counts = {"total_leads": tally[key].total(), "leads_by_status": pairs}
            self.campaigns[key] |= counts

    def seed(self, rows: int = 250) -> None:
        """Four campaigns with `rows` leads in all, two in five of them in the first; as many calls
        over 89 days, a third in the last three; two queues, one without agents.
        """
        keys = [self.add_campaign(name, status) for name, status in CAMPAIGNS]
        for n in range(rows):
            self._seed_lead(keys[(0, 1, 0, 2, 0, 1, 3, 0, 2, 1)[n % 10]])
        spans = (3, 89, 89)  # days
        for n, at in enumerate(
            sorted(self._recent(self._random.choice(spans)) for _ in range(rows))
        ):
            if n % 50 == 1:
                self._add_twin(self.history[-1])
            else:
                self._make_call(timestamp=at)
        self.queues += [self._queue("Service", AGENTS), self._queue("Overflow", ())]
        self.recount()

    def _seed_lead(self, campaign_id: str) -> None:
        fields: Row = {
            "status": self._random.choice(LEAD_STATUSES),
            "retries": self._random.randint(0, 11),
        }
        if self._random.random() < 0.3:
            ticket = f"{self._random.randint(0, 99_999):06}"
            fields |= {"ticket_id": ticket, "type": "crm", "note": "Ask for B.\n✓", "cool_off": 30}
        self.add_lead(campaign_id, **fields)

    def _make_call(self, **fields: Any) -> Row:
        """A call to one of the leads; of recent ones the outcome is still missing now and then."""
        at, rng = fields["timestamp"], self._random
        agent, extension = rng.choice(AGENTS)
        campaigns = [campaign["name"] for campaign in self.campaigns.values()]
        first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
        row = self.add_call(
            **{
                "campaign_name": rng.choice(campaigns or [CALL["campaign_name"]]),
                "lead_name": f"{first} {last}",
                "lead_first_name": first,
                "lead_last_name": last,
                "lead_ticket_id": f"{rng.randint(0, 99_999):06}",
                "agent_name": agent,
                "agent_extension": extension,
                "lead_history": [self._leg(at, n) for n in range(rng.choice((0, 1, 1, 1, 2, 3)))],
                "campaign_timestamps": {"start": at - 3, "dial": [at - 2, at]},
                "customer_wait_time_sla": 20,
                "customer_wait_time_over_sla": 0,
            }
            | fields
        )
        pending = at > self.now().timestamp() - self.late_days * DAY and rng.random() < 0.4
        if not pending:
            self._wrap_up(row)
        return row

    def _wrap_up(self, row: Row) -> None:
        """What the agent leaves after the call; agent_history is a JSON text in one row of four."""
        rng, at = self._random, row["timestamp"]
        answered = rng.random() < 0.6
        told: Any = [{"agent": row["agent_name"], "event": "agent_answer", "at": at + 0.25}]
        row |= {
            "status": "answered" if answered else "no_answer",
            "disposition": "success" if answered else "voicemail",
            "lead_disposition": "success" if answered else "failed",
            "lead_type": "crm",
            "agent_disposition": rng.choice(("Interested", "Not interested", "Call back")),
            "agent_subdisposition": rng.choice(SUBDISPOSITIONS),
            "follow_up_notes": rng.choice(("", f"Ring again, ref {rng.randint(100, 999)} 📞")),
            "hangup_cause": "NORMAL_CLEARING" if answered else "NO_ANSWER",
            "hangup_time": at + 65,
            "agent_talk_time": rng.randint(5, 600) if answered else 0,
            "agent_history": json.dumps(told) if rng.random() < 0.25 else told,
            "media_recording_id": self._hex(),
            "recording_filename": f"rec-{at}.wav",
        }
        if answered:
            row |= {"lead_answer_time": at + 4, "answered_time": at + 5}

    def _add_twin(self, row: Row) -> None:
        """Another call in the same second to the same number by the same agent, half a second on.

        Its content sorts behind the first's, so that both ways to number the two agree.
        """
        self._wrap_up(row)
        row["lead_history"] = [self._leg(row["timestamp"], 0)]
        twin = _copy(row) | {"_id": self._next_id(), "call_id": self._uuid()}
        twin["lead_history"][0] |= {"last_attempt": row["timestamp"] + 0.5263362}
        twin["lead_history"][0] |= {"uuid": f"{self._hex()}-clicktocall"}
        self.history.append(twin)

    def _leg(self, at: int, step: int) -> Row:
        name, extension = AGENTS[step % len(AGENTS)]
        event, kind = EVENTS[step % len(EVENTS)] if step else (LEG["event"], LEG["type"])
        person = {"first_name": "Agent", "last_name": name[6:], "ext": extension}
        times = {"last_answered": at - 446.0762463, "last_attempt": at - 446.083485}
        agent = _copy(LEG["agent"]) | person | times | {"email": f"agent{extension}@example.com"}
        legs = {"agent": agent, "event": event, "ext": extension, "type": kind}
        return LEG | legs | {"last_attempt": at + 0.0263362, "uuid": f"{self._hex()}-clicktocall"}

    def _queue(self, name: str, agents: Iterable[tuple[str, str]]) -> Row:
        staff = [
            _copy(QUEUE["agents"][0]) | {"id": self._hex(), "name": agent, "extension": extension}
            for agent, extension in agents
        ]
        extension = f"{self._random.randint(0, 999):04}"
        row = _copy(QUEUE) | {"id": self._uuid(), "name": name, "extension": extension}
        return _with_agent_counts(row | {"agents": staff})

    def _recent(self, days: float) -> int:
        """A second of the last so many days."""
        age = self._random.uniform(SETTLED_SECONDS, days * DAY)
        return int(self.now().timestamp() - age)

    def _next_id(self) -> str:
        """Ids grow and share their beginning, as Couch's do, with room between them."""
        self._last_id += self._random.randint(16, 4096)
        return f"{LEAD['id'][:20]}{self._last_id:012x}"

    def _hex(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def _uuid(self) -> str:
        text = self._hex()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def _number(self) -> str:
        return f"+1555010{self._random.randint(0, 9999):04}"

    # --- a day passes ------------------------------------------------------------------------

    def change(self) -> None:
        """Leads are dialled, deleted and added, outcomes of calls of the last `late_days` arrive,
        calls turn up late, new ones are made, an agent logs in or out, a campaign begins.

        The clock stays where it is.
        """
        self._days += 1
        self._change_leads()
        self._change_calls()
        for queue in self.queues:
            for agent in queue["agents"][self._days % 3 :][:1]:
                agent |= {"logged_in": not agent["logged_in"], "registered": True}
            _with_agent_counts(queue)
        self.add_campaign(f"Wave {self._days}", leads=5)

    def _change_leads(self) -> None:
        rng = self._random
        served = [lead for lead in self.leads.values() if lead["campaign_id"] in self.campaigns]
        for lead in rng.sample(served, len(served) // 10):
            others = [status for status in LEAD_STATUSES if status != lead["status"]]
            lead |= {"status": rng.choice(others), "retries": lead["retries"] + 1}
        for lead in served[:1]:
            del self.leads[lead["id"]]
        for campaign in list(self.campaigns)[:2]:
            self._seed_lead(campaign)

    def _change_calls(self) -> None:
        since = self.now().timestamp() - self.late_days * DAY
        recent = [row for row in self._calls() if row["timestamp"] > since]
        waiting = [row for row in recent if row.get("agent_disposition") is None]
        for row in waiting[::2]:
            self._wrap_up(row)
            row["lead_history"].append(self._leg(row["timestamp"], 2))
        for row in recent[:3]:
            row["follow_up_notes"] = f"Day {self._days}: called back"
        for _ in range(3):
            self._make_call(timestamp=self._recent(self.late_days))
        for _ in range(12):
            self._make_call(timestamp=self._recent(0.2))

    # --- what the warehouse must hold --------------------------------------------------------

    def expected(self) -> dict[str, list[Row]]:
        """What is served now, and of calls and campaigns also what was served once and is gone.

        Campaigns and their counts are those of the last status reply, where there was one: leads
        that move after it change its totals for the next. Of a campaign that is gone `deleted_at`
        is the word "set", as nobody knows the time. The columns in UNSURE are left out.
        `occurrence` and `position` count from 0.
        """
        self.recount()
        observed = self.campaigns if self.observed is None else self.observed
        gone = {k: v for k, v in self.served_campaigns.items() if k not in observed}
        campaigns = [_campaign(k, v, None) for k, v in observed.items()]
        leads = [lead for lead in self.leads.values() if lead["campaign_id"] in self.campaigns]
        return {
            "campaigns": campaigns + [_campaign(k, v, "set") for k, v in gone.items()],
            "campaign_lead_counts": [
                row for key, campaign in observed.items() for row in _counts(key, campaign)
            ],
            "leads": [_lead(lead) for lead in leads],
            "lead_history": self._expected_calls(),
            "queues": [{k: v for k, v in _copy(q).items() if k != "agents"} for q in self.queues],
            "queues__agents": [
                {"queue_id": queue["id"], "position": position} | agent
                for queue in _copy(self.queues)
                for position, agent in enumerate(queue["agents"])
            ],
        }

    def _expected_calls(self) -> list[Row]:
        rows = self.served_calls | {row["_id"]: row for row in self._calls()}
        hidden = () if self.rich else RICH
        calls: dict[str, Row] = {}
        for row in sorted(_copy(list(rows.values())), key=lambda row: str(row["_id"])):
            call = {name: row.get(name) for name in CALL_COLUMNS} | {
                "timestamp": _time(row["timestamp"]),
                "agent_history": _parsed(row.get("agent_history")),
            }
            call |= dict.fromkeys(hidden)
            key = call["call_id"] or _weak_key(row)
            call["call_key"] = key if call["call_id"] else _numbered(key, call, calls)
            calls[call["call_key"]] = call
        return list(calls.values())


def _error(status: int) -> Answer:
    messages = {400: INVALID, 401: "Unauthorized", 404: "Not found", 405: "Method not allowed"}
    return Answer({"message": messages[status]}, status)


def _copy(value: Any) -> Any:
    """A deep copy, many times as fast as copy.deepcopy."""
    return orjson.loads(orjson.dumps(value))


def _order_of(key: str) -> tuple[int, str] | None:
    """Where a startKey points to; None where it points nowhere."""
    match = re.fullmatch(r"(-?\d+)\+(.+)", key)
    return (int(match[1]), match[2]) if match else None


def _pairs(tally: Counter[str], split: str | None) -> list[tuple[str, int]]:
    """The statuses in the page's order; a part of one of them stands again at the end."""
    again = tally[split] * 2 // 3 if split and tally[split] > 1 else 0
    pairs = [(status, tally[status]) for status in sorted(tally, key=_print_order)]
    if not again:
        return pairs
    first = [(status, n - again if status == split else n) for status, n in pairs]
    return [*first, (str(split), again)]


def _print_order(status: str) -> tuple[int, str]:
    order = ("new", "success", "failed")
    return order.index(status) if status in order else len(order), status


def _with_agent_counts(queue: Row) -> Row:
    agents = queue["agents"]
    here = sum(agent["logged_in"] for agent in agents)
    queue |= {"total_agents": len(agents), "logged_in_agents": here}
    queue |= {"logged_out_agents": len(agents) - here, "idle_agents": here}
    queue["agents_registered"] = sum(agent["registered"] for agent in agents)
    return queue


def _go_time(seconds: int) -> str:
    """As Go prints a time when nobody says how."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} +0000 UTC"


def _campaign(key: str, campaign: Row, deleted_at: str | None) -> Row:
    known = {name: campaign[name] for name in ("name", "status", "total_leads")}
    return {"id": key} | known | {"deleted_at": deleted_at}


def _counts(key: str, campaign: Row) -> list[Row]:
    seen = Counter[str]()
    rows = []
    for status, leads in campaign["leads_by_status"]:
        row = {"campaign_id": key, "status": status, "occurrence": seen[status], "leads": leads}
        seen[status] += 1
        rows.append(row)
    return rows


def _lead(lead: Row) -> Row:
    return {name: lead.get(name) for name in LEAD_COLUMNS} | {"created": _time(lead["created"])}


def _weak_key(row: Row) -> str:
    names = ("timestamp", "campaign_name", "lead_number", "agent_extension")
    return hashlib.sha256(json.dumps([row[name] for name in names]).encode()).hexdigest()


def _numbered(key: str, call: Row, calls: dict[str, Row]) -> str:
    """`key`, `key#2`, `key#3`…: the first that no other row has; the one of an equal row."""
    number, name = 1, key
    while name in calls and calls[name] != call | {"call_key": name}:
        number += 1
        name = f"{key}#{number}"
    return name


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
