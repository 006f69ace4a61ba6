"""Vonage Contact Center's Insights Stats API: GET /stats/interactions.

Documented ([DOC] in shared/reference/vonage.md): OAuth2 client credentials, form-encoded, all four
fields needed, scope `stats`, a token lives 7,200 s; a versioned Accept header, with two texts when
it is wrong, in the gateway's shape of error; `start` needed, `end` now unless said, 31 days between
them at most; `include`, Started unless said; page and limit, numbers outside what is allowed are a
400; ascending start; `upTo` is the time of the request; a pageCount of 0 for an empty window (seen
in clients); times in ms, UTC; null durations and outcome while ongoing; a Processed window also
gives interactions that were finished long before it; keys such as status may be absent.

Assumed, since the documents are silent: page is 1 and limit 25 unless said, limit 5,000 at most
(inferred from a sibling API); both bounds included, exactly 31 days allowed, an end before the
start a 400, a time without a zone UTC; v2 replies as v3; a page beyond the last is empty; the
bodies of 401, 404, 405 and 503, and of 400 but for the window's and the versions'; an unknown
parameter is a 400; a new processing moves the one time of processing; the outcomes "Abandoned in
queue" and "Not answered", for the list of outcomes is lost from the page.

The clock is `now`: of `upTo`, the default end, the life of tokens, and what has not happened yet.
"""

import json
import random
import re
import uuid
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode

from tests.fakes._server import Answer, Ask, Fake, Row

PATH = "/stats/interactions"
TOKEN_PATH = "/Auth/connect/token"  # a path
WIDEST = timedelta(days=31)
ISO = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
INCLUDES = ("Started", "StartedOrEnded", "Processed")

# The page's reply. Mended: one key, printed as `"talkTime!: 15174`. Its totalCount of 2 for three
# items, and a categorizedAt later than upTo, stand as they are printed.
SAMPLES: list[Row] = json.loads("""[
{"meta": {"page": 1, "count": 3, "pageCount": 1, "totalCount": 2},
 "items": [
  {"status": "Completed", "medium": "Phone", "mediumManager": "VCC",
   "guid": "016f7e44-7525-4e37-b0db-5dd09afe592e",
   "conversationGuid": "0c7df94e-a2f9-44e6-80bf-73ffe08f7c34",
   "start": "2020-01-07T12:48:48.023Z", "duration": 64547, "handleTime": 47511, "talkTime": 44005,
   "direction": "Inbound", "serviceName": "Report Gp 2", "connectTo": "0123456789",
   "connectFrom": "0987654321", "categorizedAt": null, "outcome": "Handled by agent",
   "interactionPlanMapping": {"addressName": "Main Support Number", "mappingName": "Mapping1",
    "interactionPlanName": "Customer Support Plan", "reportingGroup": "Report Gp 2"},
   "channels": [
    {"guid": "016f7e44-7525-4e37-b0db-5dd09afe592e", "offset": 0, "duration": 62903,
     "handleTime": null, "endReason": "Released", "integrationType": null,
     "party": {"id": null, "role": "External", "touchpoint": "0987654321"},
     "events": [
      {"type": "Ringing", "offset": 0, "name": null, "duration": 0, "properties": null},
      {"type": "Connected", "offset": 0, "name": null, "duration": 62903, "properties": null},
      {"type": "InteractionPlan", "offset": 620, "name": "Customer Support Plan",
       "duration": 62283, "properties": {"reportingGroup": "Report Gp 2"}},
      {"type": "Applet", "offset": 718, "name": "Welcome", "duration": 0,
       "properties": {"appletType": "Announcement"}},
      {"type": "Applet", "offset": 812, "name": "Call Record", "duration": 0,
       "properties": {"appletType": "CallRecording"}},
      {"type": "Applet", "offset": 3538, "name": "MainMenu1", "duration": 0,
       "properties": {"appletType": "Menu"}},
      {"type": "Applet", "offset": 8078, "name": "SkillTag1", "duration": 0,
       "properties": {"appletType": "SkillTagger"}},
      {"type": "Applet", "offset": 8550, "name": "ACD1", "duration": 0,
       "properties": {"appletType": "ACD"}},
      {"type": "Queue", "offset": 8654, "name": "ACD1", "duration": 8382,
       "properties": {"interactionPlan": "0123456789",
        "interactionPlanName": "Customer Support Plan", "presentedSkills": ["Billing"],
        "virtualQueues": ["Billing Queue"],
        "targets": [{"virtualQueue": "Billing Queue", "targetTimeToAnswer": 30000}],
        "result": "Delivered"}},
      {"type": "CallRecording", "offset": 17055, "name": null, "duration": 45848,
       "properties": null}]},
    {"guid": "41720567-7acd-40a4-94ac-e5a2b60c484c", "offset": 9682, "duration": 54865,
     "handleTime": 47511, "endReason": "Released", "integrationType": null,
     "party": {"id": "01", "role": "Agent", "touchpoint": "01122334455"},
     "events": [
      {"type": "Ringing", "offset": 9682, "name": null, "duration": 7354, "properties": null},
      {"type": "Connected", "offset": 17036, "name": null, "duration": 44005, "properties": null},
      {"type": "CallRecording", "offset": 17055, "name": null, "duration": 43986,
       "properties": null},
      {"type": "Wrap", "offset": 61041, "name": null, "duration": 3506, "properties": null},
      {"type": "Disposition", "offset": 61042, "name": null, "duration": 0,
       "properties": {"disposition": "CallBack"}},
      {"type": "CallRating", "offset": 61043, "name": null, "duration": 0,
       "properties": {"classification": "3"}}]}]},
  {"status": "Completed", "medium": "API Case PM", "mediumManager": "VCC",
   "guid": "49e5af96-0cd0-45df-b916-8b2b2c4d0070",
   "conversationGuid": "d9480a6b-7795-4427-8ea5-44f0826743bf",
   "start": "2020-01-07T12:49:37.855Z", "duration": 24872, "direction": "Inbound",
   "handleTime": 21690, "talkTime": 15174, "serviceName": "Case Report Group",
   "connectTo": "APIRouting", "connectFrom": "", "categorizedAt": "2020-01-07T12:53:37.855Z",
   "outcome": "Handled by agent",
   "interactionPlanMapping": {"addressName": "API Cases", "mappingName": "API Mapping",
    "interactionPlanName": "Case Plan", "reportingGroup": "Case Report Group"},
   "channels": [
    {"guid": "49e5af96-0cd0-45df-b916-8b2b2c4d0070", "offset": 0, "duration": 17740,
     "handleTime": null, "endReason": "Released", "integrationType": null,
     "party": {"id": null, "role": "External", "touchpoint": ""},
     "events": [
      {"type": "Ringing", "offset": 0, "name": null, "duration": 0, "properties": null},
      {"type": "Connected", "offset": 0, "name": null, "duration": 17740, "properties": null},
      {"type": "InteractionPlan", "offset": 96, "name": "Case Plan", "duration": 17644,
       "properties": {"reportingGroup": "Case Report Group"}},
      {"type": "Applet", "offset": 623, "name": "Cases", "duration": 0,
       "properties": {"appletType": "ACD"}},
      {"type": "Queue", "offset": 774, "name": "Cases", "duration": 2408,
       "properties": {"interactionPlan": "DanAccount-1", "interactionPlanName": "Case Plan",
        "result": "Delivered"}}]},
    {"guid": "8ed8ee4a-f564-45c7-b0fc-2ee3c094bb2b", "offset": 3107, "duration": 21765,
     "handleTime": 21690, "endReason": "Released", "integrationType": null,
     "party": {"id": "002", "role": "Agent", "touchpoint": "01122334455"},
     "events": [
      {"type": "Ringing", "offset": 3107, "name": null, "duration": 75, "properties": null},
      {"type": "Connected", "offset": 3182, "name": null, "duration": 15174, "properties": null},
      {"type": "Wrap", "offset": 18356, "name": null, "duration": 6516, "properties": null},
      {"type": "Disposition", "offset": 18357, "name": null, "duration": 0,
       "properties": {"disposition": "CallBack"}},
      {"type": "CallRating", "offset": 18358, "name": null, "duration": 0,
       "properties": {"classification": "3"}}]}]},
  {"guid": "03d154eb-f3fa-4151-bf61-eff2e8197343",
   "conversationGuid": "5c778f8f-bf19-467c-b22e-255fee5b06e1", "medium": "Webchat",
   "mediumManager": "VCC", "start": "2020-01-07T12:49:37.955Z", "duration": 41005,
   "handleTime": null, "talkTime": null, "direction": "Inbound", "serviceName": null,
   "connectTo": "c038a638-f9fb-4cb6-948d-7a4ce6667798", "connectToKey": null, "connectFrom": null,
   "connectFromKey": "6257c572-a081-4788-a5b3-6c6abdbb25cd", "categorizedAt": null,
   "outcome": "Abandoned in bot",
   "interactionPlanMapping": {"addressName": "Main route", "mappingName": "Digital",
    "interactionPlanName": "Digital Plan", "reportingGroup": null},
   "channels": [
    {"guid": "03d154eb-f3fa-4151-bf61-eff2e8197343", "offset": 0, "duration": 41005,
     "endReason": "Released", "integrationType": null,
     "party": {"id": null, "role": "External", "touchpoint": null,
      "touchpointKey": "6257c572-a081-4788-a5b3-6c6abdbb25cd"},
     "events": [
      {"type": "Ringing", "offset": 0, "name": null, "duration": 0, "properties": null},
      {"type": "Connected", "offset": 0, "name": null, "duration": 41005, "properties": null},
      {"type": "InteractionPlan", "offset": 142, "name": "Digital Plan", "duration": 40863,
       "properties": {"reportingGroup": null}},
      {"type": "Applet", "offset": 1310, "name": "virtual assistant", "duration": 0,
       "properties": {"appletType": "VirtualAssistant"}},
      {"type": "VirtualAssistant", "offset": 2249, "name": "Simple Agent", "duration": 38217,
       "properties": {"result": "Resolved", "messageCount": "10"}},
      {"type": "Applet", "offset": 40687, "name": "DR route to queue", "duration": 0,
       "properties": {"appletType": "DataRouter"}},
      {"type": "Applet", "offset": 40919, "name": "Resolved announcement", "duration": 0,
       "properties": {"appletType": "Announcement"}}]}]}],
 "upTo": "2020-01-07T12:51:27.982Z", "latestUpdate": "2020-01-07T12:51:24.919Z"}]
""")
TEMPLATES = {item["medium"]: json.dumps(item) for item in SAMPLES[0]["items"]}
PHONE, CALLBACK = "Phone", "Phone Callback"

#: events of the page's table that its sample does not show: type, name, properties
OTHER_EVENTS: tuple[tuple[str, str | None, Row | None], ...] = (
    ("Held", None, {"type": "Held", "initiatingAgentId": "002"}),
    ("Held", None, {"type": "Interrupted"}),
    ("AgentQueue", "Billing Queue", {"interactionPlan": "0123456789", "result": "AgentRecall"}),
    ("CallRating", None, {"classification": None}),
    ("Monitoring", None, {"type": "ListenIn"}),
    ("DataSourceValueAcquired", "Fälle ✓", {"value": "CASE-123456789"}),
    ("AudioProblemReported", None, {"classification": "echo"}),
    ("DeliveryFailed", None, {"type": "ConnectionUnavailable"}),
    ("VoicemailRecording", "vm-0017", {"appletType": "VoiceMail", "targetAgentId": "0113"}),
)
AGENTS = ("01", "002", "0113", "27")  # texts: the zeros in front belong to them

#: the documented scalars of an interaction and of a channel, in the vendor's words
SCALARS = (
    *("guid", "conversationGuid", "status", "medium", "mediumManager", "duration", "handleTime"),
    *("talkTime", "direction", "serviceName", "connectTo", "connectToKey", "connectFrom"),
    *("connectFromKey", "outcome"),
)
PLAN = ("addressName", "mappingName", "interactionPlanName", "reportingGroup")
CHANNEL = ("guid", "offset", "duration", "handleTime", "endReason", "integrationType")
PARTY = ("id", "role", "touchpoint", "touchpointKey")


@dataclass
class Interaction:
    """`body` is what the vendor prints; the two times beside it are never shown to anybody."""

    body: Row
    ended_at: datetime | None
    processed_at: datetime | None

    @property
    def started_at(self) -> datetime:
        return datetime.fromisoformat(self.body["start"])

    def times(self, include: str) -> tuple[datetime | None, ...]:
        """When what `include` asks for has happened."""
        return (self.started_at, self.ended_at, self.processed_at)[: INCLUDES.index(include) + 1]


@dataclass(frozen=True)
class Search:
    start: datetime
    end: datetime
    include: str
    page: int
    limit: int


class _Refused(Exception):
    """A request that the vendor answers with 400 and this text."""


class VonageFake(Fake):
    """Records are in `interactions`, by guid; tests may edit, add and delete them at will.

    `tokens` holds the tokens given out and when each ends; `writes` any request that would write.

    Quirks, each with its friendliest value as default:
    `max_limit` 5000: a larger limit is a 400. `default_limit` 25.
    `slow_limit` None | int: a larger limit is a 503, as clients have seen with 5,000 and a day.
    `send_latest_update` True: False leaves the optional latestUpdate out.
    `lag`: what happened in the last so many seconds is not to be found yet; latestUpdate tells.
    `total_error` 0: added to totalCount; the page's own sample is off by -1.
    `shuffle_ties` False: True gives equal starts in another order at each request.
    `silent_categorizing` False: True lets `change` set categorizedAt without a new processing, so
    that only a reader who goes 30 days back finds it.
    `redirect_to` None | url: reading is redirected there (the vendor has two API domains).
    `login_refusal` 401 | 400: the status for a wrong client, both of which OAuth2 allows.
    `shift_kind` "enter" | "leave" | "swap": see `shift_once`.
    """

    vendor = "vonage"
    main_path = rf"^{PATH}$"
    data_key = "items"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.client_id = "fake-vonage-client"
        self.client_secret = "fake-vonage-secret"  # opens nothing but this fake
        self.interactions: dict[str, Interaction] = {}
        self.tokens: dict[str, datetime] = {}
        self.writes: list[Ask] = []
        self.token_seconds = 7200
        self.default_limit, self.max_limit = 25, 5000
        self.slow_limit: int | None = None
        self.send_latest_update = True
        self.lag = 0.0
        self.total_error = 0
        self.shuffle_ties = False
        self.silent_categorizing = False
        self.redirect_to: str | None = None
        self.login_refusal = 401
        self.shift_kind: Literal["enter", "leave", "swap"] = "enter"
        self._shift = False
        self._random = random.Random(31)  # repeatable, not secret
        self._ties = random.Random(37)  # apart, so that reading changes no record

    def settings(self) -> Row:
        return {
            "api_url": self.url,
            "token_url": self.url + TOKEN_PATH,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }

    # --- login -------------------------------------------------------------------------------

    def expire_logins(self) -> None:
        self.tokens.clear()

    def _login(self, ask: Ask) -> Answer:
        form = parse_qs(ask.body.decode(errors="replace"), keep_blank_values=True)
        said = {name: values[0] for name, values in form.items() if len(values) == 1}
        media = ask.headers.get("content-type", "").partition(";")[0]
        fields = {"grant_type", "client_id", "client_secret", "scope"}
        client = (said.get("client_id"), said.get("client_secret"))
        if media != "application/x-www-form-urlencoded" or form.keys() != fields or ask.query:
            return Answer({"error": "invalid_request"}, 400)
        if said.get("grant_type") != "client_credentials":
            return Answer({"error": "unsupported_grant_type"}, 400)
        if client != (self.client_id, self.client_secret):
            return Answer({"error": "invalid_client"}, self.login_refusal)
        if said.get("scope") != "stats":
            return Answer({"error": "invalid_scope"}, 400)
        token, life = uuid.uuid4().hex, self.token_seconds
        self.tokens[token] = self.now() + timedelta(seconds=life)
        return Answer({"access_token": token, "token_type": "Bearer", "expires_in": life})

    def _logged_in(self, ask: Ask) -> bool:
        scheme, _, token = ask.headers.get("authorization", "").partition(" ")
        ends = self.tokens.get(token)
        return scheme.lower() == "bearer" and ends is not None and self.now() < ends

    # --- answering ---------------------------------------------------------------------------

    def answer(self, ask: Ask) -> Answer:
        if ask.path != TOKEN_PATH and ask.method not in ("GET", "HEAD"):
            self.writes.append(ask)
        method = {PATH: "GET", TOKEN_PATH: "POST"}.get(ask.path)
        if method is None:
            return Answer({"message": "Not Found"}, 404)
        if ask.method != method:
            return Answer({"message": "Method Not Allowed"}, 405, {"Allow": method})
        return self._login(ask) if ask.path == TOKEN_PATH else self._read(ask)

    def _read(self, ask: Ask) -> Answer:
        if self.redirect_to:
            target = f"{self.redirect_to}{PATH}?{urlencode(ask.query)}"
            return Answer("", 302, {"Location": target})
        if not self._logged_in(ask):
            return Answer({"message": "Unauthorized"}, 401, {"WWW-Authenticate": "Bearer"})
        if why := _wrong_version(ask.headers.get("accept", "")):
            return Answer({"statusCode": 400, "error": "Bad Request", "message": why}, 400)
        try:
            search = self._search(ask.query)
        except _Refused as why:
            return Answer({"message": str(why)}, 400)
        if self.slow_limit is not None and search.limit > self.slow_limit:
            return Answer({"message": "Service Unavailable"}, 503)
        caching = {"Cache-Control": "max-age=5, must-revalidate, private"}
        return Answer(self._page(search), 200, caching)

    def _search(self, query: dict[str, str]) -> Search:
        if unknown := query.keys() - {"start", "end", "include", "page", "limit"}:
            raise _Refused(f"Unknown parameters: {', '.join(sorted(unknown))}")
        if "start" not in query:
            raise _Refused("start is required")
        start = _moment(query, "start")
        end = _moment(query, "end") if "end" in query else self.now()
        if end < start:
            raise _Refused("end is before start")
        if end - start > WIDEST:
            raise _Refused("Request window size limit exceeded 31 days")
        include = query.get("include", "Started")
        if include not in INCLUDES:
            raise _Refused(f"include is not one of {', '.join(INCLUDES)}")
        page = _number(query, "page", 1, 999_999_999)
        limit = _number(query, "limit", self.default_limit, self.max_limit)
        return Search(start, end, include, page, limit)

    def _page(self, search: Search) -> Row:
        found = self._found(search)
        rows = found[(search.page - 1) * search.limit :][: search.limit]
        pages = -(-len(found) // search.limit)
        items = [row.body for row in rows]
        body: Row = {
            "meta": {
                "page": search.page,
                "count": len(items),
                "pageCount": pages,
                "totalCount": len(found) + self.total_error,
            },
            # `rewrites` may alter the reply in place, the records are not theirs
            "items": deepcopy(items) if self.rewrites else items,
            "upTo": _text(self.now()),
        }
        if self.send_latest_update:
            body["latestUpdate"] = _text(self._available())
        if self._shift and search.page == 1 and pages > 1:
            self._drift(search, rows)
        return body

    def _available(self) -> datetime:
        return self.now() - timedelta(seconds=self.lag)

    def _found(self, search: Search) -> list[Interaction]:
        start, end = search.start, min(search.end, self._available())
        rows = [
            row
            for row in self.interactions.values()
            if any(at and start <= at <= end for at in row.times(search.include))
        ]
        tie = (lambda _: self._ties.random()) if self.shuffle_ties else _guid_of
        return sorted(rows, key=lambda row: (row.started_at, tie(row)))

    # --- rows that move while they are read --------------------------------------------------

    def shift_once(self) -> None:
        """The next time that page 1 of several is served, the set changes right behind it.

        `shift_kind` "enter": an interaction older than all of them, only now processed, comes to
        the front: who reads on does not see it, and sees the last row of page 1 twice.
        "leave": a row of page 1, there only for its processing, is processed again, later than
        `end`: who reads on misses the first row of page 2. Waits for a page 1 that has such a row.
        "swap": "leave", and an interaction at the end of the window comes in at the back, so that
        the total and the number of distinct rows stay as they were. A reader who trusts the total
        misses a row.
        Nothing is deleted; all that is read later is stable and what `expected` says.
        """
        self._shift = True

    def _drift(self, search: Search, first_page: list[Interaction]) -> None:
        end = min(search.end, self._available())
        if self.shift_kind == "enter":
            begun = min(search.start, first_page[0].started_at) - timedelta(hours=1)
            middle = search.start + (end - search.start) / 2
            if search.include != "Processed":  # a late arrival: only its start brings it in
                begun = search.start + timedelta(milliseconds=1)
            self.add_interaction(start=begun, processed_at=middle)
            self._shift = False
            return
        for row in first_page:
            if not any(at and search.start <= at <= end for at in (row.started_at, row.ended_at)):
                row.processed_at = max(search.end, self.now()) + timedelta(milliseconds=1)
                self._shift = False
                break
        if self.shift_kind == "swap" and not self._shift:
            self.add_interaction(start=end, processed_at=end)

    # --- records -----------------------------------------------------------------------------

    def add_interaction(
        self,
        medium: str = PHONE,
        *,
        start: datetime | None = None,
        processed_at: datetime | None = None,
        **fields: Any,
    ) -> Interaction:
        """An interaction like the page's one of this medium, with `fields` in the vendor's words.

        It started ten minutes ago and is processed now where not said. With status="Ongoing" it
        has no end yet, and null where only the end gives a value.
        """
        begun = _whole_ms(start or self.now() - timedelta(minutes=10))
        body = self._body(medium) | {"start": _text(begun)}
        if fields.get("status") == "Ongoing":
            body = _ongoing(body)
        body |= fields
        ended_at = _end(body)
        processed_at = processed_at or max(self.now(), ended_at or begun)
        added = Interaction(body, ended_at, _whole_ms(processed_at))
        self.interactions[body["guid"]] = added
        return added

    def process(self, row: Interaction, **fields: Any) -> None:
        """The vendor processes an interaction again, now, which gives it these fields."""
        row.body = row.body | fields  # a new object: the old one may be on its way to a client
        if "duration" in fields:
            row.ended_at = _end(row.body)
        row.processed_at = _whole_ms(self.now())

    def complete(self, row: Interaction) -> None:
        """An ongoing interaction ends, now. A chat then has no status, as on the page."""
        fresh = self._body(row.body["medium"])
        fresh["channels"][0]["guid"] = row.body["guid"]
        row.body = {name: value for name, value in row.body.items() if name != "status"}
        given = ("status", "handleTime", "talkTime", "outcome", "channels")
        ended = {name: fresh[name] for name in given if name in fresh}
        length = (self.now() - row.started_at) // timedelta(milliseconds=1)
        self.process(row, duration=max(length, 0), **ended)

    def _guid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _body(self, medium: str) -> Row:
        body: Row = json.loads(TEMPLATES.get(medium, TEMPLATES[PHONE]))
        body |= {"guid": self._guid(), "conversationGuid": self._guid(), "medium": medium}
        for position, channel in enumerate(body["channels"]):
            channel["guid"] = self._guid() if position else body["guid"]
        return body

    # --- a history ---------------------------------------------------------------------------

    def seed(self, rows: int = 250) -> None:
        """Office hours of the last 80 days, half of them in the last six, some ongoing now; one in
        five processed days after its end. The first three are the page's own, but for their guids
        and times.
        """
        with self.lock:
            begun = self._office_hour(6)
            for number in range(rows):
                if self._random.random() > 0.03:  # else it starts in the same ms as the last one
                    begun = self._office_hour(self._random.choice((6, 6, 14, 80)))
                if number < 3:
                    self._seed_sample(SAMPLES[0]["items"][number]["medium"], begun)
                elif number % 50 == 3:
                    self._seed_ongoing()
                else:
                    self._seed_ended(begun)

    def _office_hour(self, days: int) -> datetime:
        now = self.now()
        day = now - timedelta(days=self._random.uniform(0, days))
        midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
        begun = midnight + timedelta(hours=self._random.triangular(8, 19, 11))
        return begun if begun < now - timedelta(minutes=40) else begun - timedelta(days=1)

    def _seed_sample(self, medium: str, begun: datetime) -> None:
        row = self.add_interaction(medium, start=begun)
        if row.body["categorizedAt"]:
            row.body["categorizedAt"] = _text(begun + timedelta(minutes=4))
        self._set_processed(row)

    def _seed_ongoing(self) -> None:
        begun = self.now() - timedelta(minutes=self._random.uniform(1, 120))
        row = self.add_interaction(start=begun, processed_at=begun, status="Ongoing")
        if self._random.random() < 0.5:
            row.body["channels"] = None

    def _seed_ended(self, begun: datetime) -> None:
        media = (PHONE, PHONE, PHONE, "Webchat", "API Case PM", CALLBACK)
        medium, last = self._random.choice(media), next(reversed(self.interactions.values()))
        row = self.add_interaction(medium, start=begun)
        if medium == CALLBACK:  # an interaction of its own, in the conversation that asked for it
            row.body["conversationGuid"] = last.body["conversationGuid"]
        self._vary(row.body)
        row.ended_at = _end(row.body)
        self._set_processed(row)

    def _set_processed(self, row: Interaction) -> None:
        late = self._random.random() < 0.2
        delay = timedelta(days=self._random.uniform(1, 9)) if late else timedelta(seconds=3)
        row.processed_at = _whole_ms(min((row.ended_at or row.started_at) + delay, self.now()))

    def _vary(self, body: Row) -> None:
        """Longer, from somebody, by some agent, at times outbound, given up or with more events."""
        customer = f"+1555010{self._random.randint(1000, 1399)}"
        agent = self._random.choice(AGENTS)
        longer = int(self._random.expovariate(1 / 120_000))
        body["duration"] += longer
        if body["connectFrom"]:
            body["connectFrom"] = customer
        for name in ("talkTime", "handleTime"):
            body[name] = body[name] + longer if body[name] else None
        if body["categorizedAt"]:
            body["categorizedAt"] = _text(_end(body) or self.now())
        for channel in body["channels"]:
            self._vary_channel(channel, longer, customer, agent)
        change = self._random.choice((None, None, _outbound, _given_up, _failed, _monitored))
        if change and body["medium"] == PHONE:
            change(body)

    def _vary_channel(self, channel: Row, longer: int, customer: str, agent: str) -> None:
        party, events = channel["party"], channel["events"]
        channel["duration"] += longer
        if party["role"] == "Agent":
            party |= {"id": agent, "touchpoint": f"+1555010{agent:0>4}"}
            channel["handleTime"] += longer
        elif party["touchpoint"]:
            party["touchpoint"] = customer
        for event in events:
            if event["type"] == "Connected":
                event["duration"] += longer
            elif event["type"] == "Queue":
                event["duration"] = int(self._random.expovariate(1 / 15_000))
        while self._random.random() < 0.2:  # without an id, at times equal in type and offset
            kind, name, properties = self._random.choice(OTHER_EVENTS)
            event = {"type": kind, "offset": 9000, "name": name, "duration": 0}
            events.append(event | {"properties": deepcopy(properties)})

    # --- a day passes ------------------------------------------------------------------------

    def change(self) -> None:
        """The ongoing ones end, one loses a channel, one all of them, one is categorized, some days
        old turn up that were processed only now, and there are new ones, two of them ongoing.

        All of it is processed now, by the clock, which stays where it is.
        """
        with self.lock:
            now = self.now()
            for row in [r for r in self.interactions.values() if r.body.get("status") == "Ongoing"]:
                self.complete(row)
            self._lose_channels()
            self._categorize()
            for days in (3, 20):
                late = timedelta(days=self._random.uniform(1, days))
                self.add_interaction("Webchat", start=now - late)
            for _ in range(10):
                row = self.add_interaction(start=self._office_hour(1))
                self._vary(row.body)
                row.ended_at = _end(row.body)
            self.add_interaction(start=now, status="Ongoing")
            self.add_interaction("Webchat", start=now, status="Ongoing", channels=None)

    def _lose_channels(self) -> None:
        rows = list(self.interactions.values())
        if several := [row for row in rows if len(row.body.get("channels") or ()) > 1]:
            row = self._random.choice(several)
            self.process(row, channels=row.body["channels"][1:])  # the others move up
        if some := [row for row in rows if row.body.get("channels")]:
            nothing: list[Row] | None = self._random.choice(([], None))
            self.process(self._random.choice(some), channels=nothing)

    def _categorize(self) -> None:
        since = self.now() - timedelta(days=28)
        rows = [
            row
            for row in self.interactions.values()
            if not row.body.get("categorizedAt") and row.ended_at and row.started_at > since
        ]
        if not rows:
            return
        row = self._random.choice(rows)
        processed_at = row.processed_at
        self.process(row, categorizedAt=_text(self.now()))
        if self.silent_categorizing:
            row.processed_at = processed_at

    # --- what the warehouse must hold --------------------------------------------------------

    def expected(self) -> dict[str, list[Row]]:
        """All that has happened by now. After a change under a `lag`: once it is over."""
        available = self._available()
        bodies = [
            row.body
            for row in self.interactions.values()
            if any(at and at <= available for at in row.times("Processed"))
        ]
        channels = [
            (body["guid"], position, channel)
            for body in bodies
            for position, channel in enumerate(body.get("channels") or ())
        ]
        events = [row for channel in channels for row in _event_columns(*channel)]
        return {
            "interactions": [_columns(body) for body in bodies],
            "interactions__channels": [_channel_columns(*channel) for channel in channels],
            "interactions__channels__events": events,
        }


def _columns(body: Row) -> Row:
    times = {"start": _time(body["start"]), "categorized_at": _time(body.get("categorizedAt"))}
    plan = _snake(body.get("interactionPlanMapping"), PLAN, "interaction_plan_mapping__")
    return _snake(body, SCALARS) | times | plan


def _channel_columns(guid: str, position: int, channel: Row) -> Row:
    columns = {"interaction_guid": guid, "position": position} | _snake(channel, CHANNEL)
    return columns | _snake(channel.get("party"), PARTY, "party__")


def _snake(record: Row | None, names: tuple[str, ...], prefix: str = "") -> Row:
    """These fields under the names of their columns, None where absent."""
    record = record or {}
    return {prefix + _snake_case(name): record.get(name) for name in names}


@cache
def _snake_case(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def _event_columns(guid: str, channel_position: int, channel: Row) -> Iterator[Row]:
    for position, event in enumerate(channel.get("events") or ()):
        yield {
            "interaction_guid": guid,
            "channel_position": channel_position,
            "position": position,
            **{name: event.get(name) for name in ("type", "offset", "name", "duration")},
            "properties": event.get("properties"),
        }


# --- kinds of interactions ---------------------------------------------------------------------


def _ongoing(body: Row) -> Row:
    body |= dict.fromkeys(("duration", "handleTime", "talkTime", "outcome"))
    for channel in body["channels"]:
        channel |= dict.fromkeys(("duration", "handleTime", "endReason"))
        channel["events"] = channel["events"][:2]
        channel["events"][-1]["duration"] = None
    return body


def _outbound(body: Row) -> None:
    """An agent calls; the agent's channel comes first, without a plan."""
    customer, agent = body["channels"]
    customer["party"], agent["party"] = agent["party"], customer["party"]
    customer["handleTime"], agent["handleTime"] = agent["handleTime"], None
    body |= {"direction": "Outbound", "interactionPlanMapping": None, "serviceName": None}
    body |= {"connectTo": body["connectFrom"], "connectFrom": body["connectTo"]}
    if body["duration"] % 3 == 0:
        body |= {"outcome": "Not answered", "talkTime": None}


def _given_up(body: Row) -> None:
    """The caller hangs up in the queue: there is no agent."""
    del body["channels"][1:]
    body |= {"outcome": "Abandoned in queue", "handleTime": None, "talkTime": None}
    for event in body["channels"][0]["events"]:
        if event["type"] == "Queue":
            event["properties"]["result"] = "HangUp"


def _failed(body: Row) -> None:
    body |= {"status": "InternalError", "mediumManager": "VBC", "connectFrom": "", "outcome": None}
    body["channels"][0] |= {"endReason": "ConnectionUnavailable", "events": []}


def _monitored(body: Row) -> None:
    """A third party listens, and older pages' name for the origin."""
    events = [
        {"type": "Monitoring", "offset": 18000, "name": None, "duration": 900, "properties": p}
        for p in ({"type": "ListenIn"}, {"type": "Coach"})
    ]
    monitor = {"id": "007", "role": "Monitor", "touchpoint": None}
    channel = {"guid": str(uuid.UUID(int=int(body["guid"][:8], 16))), "offset": 18000}
    channel |= {"duration": 1800, "handleTime": None, "endReason": "Released"}
    channel |= {"integrationType": None, "party": monitor, "events": events}
    body["channels"].append(channel)
    body["mediumManager"] = "CC"


# --- texts and times ---------------------------------------------------------------------------


def _wrong_version(accept: str) -> str | None:
    version = re.fullmatch(r"application/vnd\.newvoicemedia\.v([^+]*)\+json", accept.strip())
    if version is None:
        return "Invalid Accept header!"
    return None if version[1] in ("2", "3") else "Invalid api-version! Valid values: 2,3"


def _moment(query: dict[str, str], name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(query[name]) if ISO.fullmatch(query[name]) else None
    except ValueError:
        moment = None
    if moment is None:
        raise _Refused(f"{name} is not a date and time in ISO 8601")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _number(query: dict[str, str], name: str, usual: int, most: int) -> int:
    text = query.get(name, str(usual))
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        raise _Refused(f"{name} is not a number from 1 to {most}")
    return int(text)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _whole_ms(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _end(body: Row) -> datetime | None:
    if body.get("duration") is None:
        return None
    return datetime.fromisoformat(body["start"]) + timedelta(milliseconds=body["duration"])


def _guid_of(row: Interaction) -> str:
    return str(row.body["guid"])
