"""Avaamo's Outreach Insights API: GET /api/v2/campaigns/insights.

Documented ([DOC] in shared/reference/avaamo.md): header `access-token`, a user's static token;
`page` from 1, `per_page` 25 unless said and 100 at most; the envelope current_page, per_page,
total_entries, total_pages, time_token (seconds, a float) and entries; `end_time` in epoch
milliseconds, now unless said; `start_time` three days earlier unless said; a start older than six
months is moved to the limit without a word; times in replies are epoch seconds; to_phone only for
SMS and voice, to_email only for MS Teams, whose from_phone is null; error and error_code only when
failed or skipped, the code null at times; user attributes rewritten on old rows.

Assumed, since the page is silent: six months are 180 days; the window is on created_at, both ends
included; a bound in the other unit gives no rows, never an error; newest first; an empty page
beyond the last; a per_page above 100 is clamped; 401, 400, 404 and 405 and their bodies; the keys
inside `filters` (id, name, matched, as its text names them) and `agent`.
"""

import json
import random
import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from tests.fakes._server import Answer, Ask, Fake, Row

PATH = "/api/v2/campaigns/insights"
CALLBACKS = re.compile(r"^/custom(_channel)?/v1/")  # the status callback, printed both ways
DAY = 86_400
KEPT_SECONDS = 180 * DAY
#: new rows are older than this, so that a reader whose windows end five minutes ago gets them
SETTLED_SECONDS = 600

# The page's two replies. Mended in the first: between its two entries stands the tail of a third
# without a beginning (user, campaign, to_phone); it is kept apart in REMNANT.
SAMPLES: list[Row] = json.loads(r"""[
{"current_page": 1, "per_page": 25, "total_entries": 2, "total_pages": 1,
 "time_token": 1689593442.8405523, "entries": [
  {"id": 1382620, "recipient_uuid": "8eb0dxxx-xxxx-xxxx-xxxx-xxx0db5b6fb5",
   "delivery_status": "failed", "message_uuid": null, "created_at": 1751450792,
   "content": "If you are having any references, feel free to forward this message.",
   "conversation_uuid": null, "language": "en-US",
   "user": {"id": "1373", "last_name": "Smith", "first_name": "Jake", "phone": "72) 913-6939",
    "acct_bal": "$0.00", "age": "72", "job_id": "Z1479217", "dob": "03/16/1967"},
   "error": "Could not place call due to technical error.", "error_code": "AVM1015",
   "execution": {"id": 2980, "created_at": 1751450376}, "delivery_channel": "voice",
   "from_phone": "+18507905180", "filters": [], "response_set": {"id": 1384, "name": null},
   "campaign": {"id": 780, "name": "CIVR7"}, "to_phone": "729136939"},
  {"id": 8685, "recipient_uuid": "f8adcxxx-xxxx-xxxx-xxxx-xxx734ac348e",
   "delivery_status": "delivered", "message_uuid": null, "created_at": 1689592018,
   "content": "The Sparsh care center is organizing a free Flu vaccination drive on October 1st and October 2nd from 10 AM to 6 PM. Visit your nearest Sparsh Care Center to get vaccinated. \n",
   "conversation_uuid": null, "language": "en-US",
   "execution": {"id": 1708, "created_at": 1689592016}, "delivery_channel": "sms",
   "from_phone": "+18507905180", "filters": [], "response_set": {"id": 997, "name": null},
   "user": {"phone": "+918971115555", "email": "John@avaamo.com", "first_name": "John",
    "last_name": "Miller"},
   "campaign": {"id": 511, "name": "Sparsh Healthcare Multi Message Campaign"},
   "to_phone": "+918971115555"}]},
{"current_page": 1, "per_page": 25, "total_entries": 2, "total_pages": 1,
 "time_token": 1751971354.0004876, "entries": [
  {"id": 1382614, "recipient_uuid": "917c7xxx-xxxx-xxxx-xxxx-xxx21754d1b7",
   "delivery_status": "failed", "message_uuid": null, "created_at": 1750851657,
   "content": "Hi nobody here, I'm your point of contact.\n", "conversation_uuid": null,
   "language": "en-US", "user": {"phone": "1234567890", "email": "someone@somewhere.com",
    "first_name": "nobody", "last_name": "here"},
   "error": "'To' number +91123456XXXX cannot be a landline", "error_code": null,
   "execution": {"id": 2978, "created_at": 1750851339}, "delivery_channel": "sms",
   "from_phone": "+18507905180", "filters": [], "response_set": {"id": 1394, "name": null},
   "campaign": {"id": 832, "name": "multi message test 2"}, "to_phone": "+911234567890"},
  {"id": 1382615, "recipient_uuid": "917c79d0-5a0a-41fb-b1ad-1a021754d1b7",
   "delivery_status": "failed", "message_uuid": null, "created_at": 1750851657,
   "content": "\nReach out to me for any queries.", "conversation_uuid": null,
   "language": "en-US", "user": {"phone": "1234567890", "email": "someone@somewhere.com",
    "first_name": "nobody", "last_name": "here"},
   "error": "'To' number +91123456XXXX cannot be a landline", "error_code": null,
   "execution": {"id": 2978, "created_at": 1750851339}, "delivery_channel": "sms",
   "from_phone": "+18507905180", "filters": [], "response_set": {"id": 1394, "name": null},
   "campaign": {"id": 832, "name": "multi message test 2"}, "to_phone": "+911234567890"}]}]
""")  # noqa: E501  # a message text as long as the vendor prints it
REMNANT: Row = json.loads("""
{"user": {"phone": "+918971115555", "email": "john@avaamo.com", "first_name": "John",
  "last_name": "Miller"},
 "campaign": {"id": 511, "name": "Sparsh Healthcare Multi Message Campaign"},
 "to_phone": "+918971115555"}""")
FAILED, SENT = SAMPLES[0]["entries"]

#: per channel: the states a message comes to rest in, then those that the vendor changes later
FINAL = {
    "sms": ("delivered", "delivered", "delivered", "undelivered", "failed", "skipped"),
    "voice": ("delivered", "delivered", "undelivered", "failed", "skipped"),
    "ms_teams": ("sent", "sent", "failed", "skipped"),  # Delivered is not listed for MS Teams
}
INTERIM = {"sms": ("sent",), "voice": ("pending", "sent"), "ms_teams": ("queued", "installed")}
NEXT = {
    "pending": ("delivered", "undelivered", "failed"),
    "sent": ("delivered", "delivered", "undelivered"),
    "queued": ("installed",),
    "installed": ("sent", "failed"),
}
ERRORS = (
    ("Could not place call due to technical error.", "AVM1015"),
    ("'To' number +1555010XXXX cannot be a landline", None),
    ("Unknown error", "AVM1010"),
    ("Message filtered", "AVM1001"),
)
#: headers that customers write into their files, among them two that differ only by case
HEADERS = ("acct_bal", "Acct Bal ($)", "D.O.B.", "select", "user__id", "ID", "", "último pago ✓")
CAMPAIGNS = (
    (780, "CIVR7", "voice"),
    (511, "Flu vaccination, multi message", "sms"),
    (832, "multi message test 2", "sms"),
    (840, "Zahlungserinnerung äöü", "voice"),
    (851, 'Open enrolment "2nd wave"', "ms_teams"),
    (866, "Two-way survey 📊", "sms"),
)

#: columns that hold what the vendor sent, as it sent it
SCALARS = (
    *("recipient_uuid", "delivery_status", "delivery_channel", "language", "content", "error"),
    *("from_phone", "to_phone", "to_email", "conversation_uuid", "message_uuid"),
)
COMMON = {"start_time", "end_time", "page", "per_page"}
INTEGERS = {"campaign_id", "execution_id", "filter_id", "agent_id", "response_set_id", "channel_id"}
TEXTS = {
    *("conversation_uuid", "message_uuid", "recipient_uuid", "to_phone", "from_phone", "to_email"),
    *("language", "delivery_channel", "delivery_status", "error_code"),
}
ARRAYS = {"language[]", "delivery_status[]", "delivery_channel[]"}


class AvaamoFake(Fake):
    """Records are in `records`, as the vendor prints them; tests may edit that list at will.

    Records older than 180 days stay in the list and are not served any more. `served` holds each
    record as it was last sent, which is what a warehouse keeps once the vendor has forgotten it.

    Quirks, each with its friendliest value as default:
    `time_unit` "ms" | "s": what start_time and end_time are read as.
    `sort` "newest" | "oldest": by created_at, then id.
    `per_page_over_max` "clamp" | "error": a per_page above 100 becomes 100, or a 400.
    `beyond_last` "empty" | "repeat": a page after the last has no entries, or the last page's.
    `total_entries_lies`: total_entries is per_page * total_pages, as the page says.
    `total_pages_when_empty` 0 | 1: what a set without rows is said to have.
    `integer_error_codes`: rows that fail from now on have numbers among their codes.
    `shift_kind` "insert" | "move": what `shift_once` does.
    `late_days`: how old a row may be that `change` still touches. Avaamo states no limit; 13 stays
    inside the contract's lookback of 14.
    """

    vendor = "avaamo"
    main_path = r"^/api/v2/campaigns/insights$"
    data_key = "entries"

    def __init__(self, *, certificate: Path | None = None) -> None:
        super().__init__(certificate=certificate)
        self.access_token = "fake-avaamo-token"  # opens nothing but this fake
        self.records: list[Row] = []
        self.served: dict[int, Row] = {}
        self.writes: list[Ask] = []
        self.time_unit: Literal["ms", "s"] = "ms"
        self.sort: Literal["newest", "oldest"] = "newest"
        self.per_page_over_max: Literal["clamp", "error"] = "clamp"
        self.beyond_last: Literal["empty", "repeat"] = "empty"
        self.total_entries_lies = False
        self.total_pages_when_empty: Literal[0, 1] = 0
        self.integer_error_codes = False
        self.shift_kind: Literal["insert", "move"] = "insert"
        self.late_days = 13.0
        self._random = random.Random(11)  # repeatable, not secret
        self._last_id = 1_400_000
        self._shift = False
        self._sorts_as: dict[int, int] = {}  # id -> the second it is sorted under, once moved

    def settings(self) -> Row:
        return {"api_url": self.url, "access_token": self.access_token}

    # --- answering ---------------------------------------------------------------------------

    def answer(self, ask: Ask) -> Answer:
        if CALLBACKS.match(ask.path) and ask.method in ("POST", "PUT"):
            self.writes.append(ask)
            return Answer({"status": "ok"})
        if ask.path != PATH:
            return Answer({"error": "Not Found"}, 404)
        if ask.method != "GET":
            return Answer({"error": "Method Not Allowed"}, 405, {"Allow": "GET"})
        if ask.headers.get("access-token") != self.access_token:
            return Answer({"error": "Unauthorized"}, 401)
        if why := self._refusal(ask.query):
            return Answer({"error": why}, 400)
        return Answer(self._reply(ask.query))

    def _refusal(self, query: dict[str, str]) -> str | None:
        named = COMMON | INTEGERS | TEXTS | ARRAYS
        if unknown := [k for k in query if k not in named and not re.fullmatch(r"user\[.+\]", k)]:
            return f"unknown parameters: {', '.join(unknown)}"
        for name in ("start_time", "end_time"):
            if not re.fullmatch(r"-?\d+(\.\d+)?", query.get(name, "0")):
                return f"{name} is not a number"
        for name in ("page", "per_page"):
            if not re.fullmatch(r"0*[1-9]\d*", query.get(name, "1")):
                return f"{name} is not a positive integer"
        if int(query.get("per_page", 25)) > 100 and self.per_page_over_max == "error":
            return "per_page is above 100"
        for name in INTEGERS & query.keys():
            if not re.fullmatch(r"\d+(, ?\d+)*", query[name]):
                return f"{name} is not an integer"
        if "channel_id" in query and not {"delivery_channel", "delivery_channel[]"} & query.keys():
            return "channel_id needs delivery_channel"
        return None

    def _reply(self, query: dict[str, str]) -> Row:
        rows = self._selected(query)
        size, page = min(int(query.get("per_page", 25)), 100), int(query.get("page", 1))
        pages = -(-len(rows) // size)
        at = min(page, pages) if self.beyond_last == "repeat" else page
        # Copies, since the reply is sent after the lock is released and `rewrites` may alter it.
        entries = json.dumps(rows[max(at - 1, 0) * size :][:size])
        self.served.update((row["id"], row) for row in json.loads(entries))
        if self._shift and page == 1 and pages > 1:
            self._shift_rows(rows[:size], rows[-1])
        return {
            "current_page": page,
            "per_page": size,
            "total_entries": size * pages if self.total_entries_lies else len(rows),
            "total_pages": pages or self.total_pages_when_empty,
            "time_token": self.now().timestamp(),
            "entries": json.loads(entries),
        }

    def _selected(self, query: dict[str, str]) -> list[Row]:
        now, scale = self.now().timestamp(), 1000 if self.time_unit == "ms" else 1
        end = float(query["end_time"]) / scale if "end_time" in query else now
        start = float(query["start_time"]) / scale if "start_time" in query else end - 3 * DAY
        start = max(start, now - KEPT_SECONDS)
        tests = [_filter(k, v) for k, v in query.items() if k not in COMMON]
        rows = [r for r in self.records if start <= r["created_at"] <= end]
        for test in tests:
            rows = [r for r in rows if test(r)]
        return sorted(rows, key=self._order, reverse=self.sort == "newest")

    def _order(self, row: Row) -> tuple[int, int]:
        second: int = row["created_at"]
        return self._sorts_as.get(row["id"], second), row["id"]

    # --- drift -------------------------------------------------------------------------------

    def shift_once(self) -> None:
        """Once, after page 1 of a set of several pages was sent, rows move between its pages.

        `shift_kind` "insert": a message that arrives late, created in the same second as one on
        page 1, takes its place there. Page 1's last row is seen again on page 2, the new one not at
        all, and total_entries grows by one. "move": page 1's first row goes to the end of the set,
        as it would where rows are sorted by something that changes. It is seen twice, page 2's
        first row not at all, and total_entries stays. Later reads find the set so and standing.
        """
        self._shift = True

    def _shift_rows(self, first_page: list[Row], last: Row) -> None:
        self._shift = False
        row = first_page[0]
        if self.shift_kind == "insert":
            self._last_id += 1
            self.records.append(deepcopy(row) | {"id": self._last_id})
            self._sorts_as[self._last_id] = self._order(row)[0]
        else:
            step = -1 if self.sort == "newest" else 1
            self._sorts_as[row["id"]] = self._order(last)[0] + step

    # --- records -----------------------------------------------------------------------------

    def add_insight(self, **fields: Any) -> Row:
        """A record from the page's own, with `fields` as given; keys follow channel and status.

        `execution`, `campaign` and `response_set` are given as objects. created_at is ten minutes
        ago where not said.
        """
        self._last_id += 1
        channel = fields.get("delivery_channel", "sms")
        row: Row = deepcopy(FAILED if channel == "voice" else SENT)
        at = int(self.now().timestamp()) - SETTLED_SECONDS
        person = _person(self._last_id, self._random)
        row |= {"id": self._last_id, "created_at": at, "delivery_status": "delivered"}
        row |= {"recipient_uuid": _uuid(self._random), "user": person, "from_phone": "+15550109000"}
        row |= {"execution": {"id": self._last_id, "created_at": at - 16}}
        number = person["phone"][2:] if channel == "voice" else person["phone"]
        row |= {"delivery_channel": channel, "to_phone": number}
        if channel == "ms_teams":
            del row["to_phone"]
            row |= {"from_phone": None, "to_email": person["email"]}
        self._set_status(row, fields.get("delivery_status", "delivered"))
        row |= fields
        self.records.append(row)
        return row

    def current(self) -> list[Row]:
        """The records that the vendor still serves."""
        horizon = self.now().timestamp() - KEPT_SECONDS
        return [row for row in self.records if row["created_at"] >= horizon]

    def rewrite_user(self, phone: str, user: dict[str, str], days: float = 180.0) -> None:
        """A newer file names this person: the attributes change on the rows of so many days."""
        since = self.now().timestamp() - days * DAY
        for row in self.records:
            if (row["user"] or {}).get("phone") == phone and row["created_at"] >= since:
                row["user"] = row["user"] | user

    def _set_status(self, row: Row, status: str) -> None:
        row.pop("error", None)
        row.pop("error_code", None)
        row["delivery_status"] = status
        if status in ("failed", "skipped"):
            row["error"], code = self._random.choice(ERRORS)
            number = self.integer_error_codes and code and self._random.random() < 0.5
            row["error_code"] = int(code[3:]) if number and code else code

    def seed(self, rows: int = 250) -> None:
        """Campaign runs back to 179 days, two in five in the last six days, one in the week before
        them, so that unfinished messages of nearly `late_days` are there to change.
        """
        goal, sizes = rows, list[int]()
        while goal > 0:
            sizes.append(min(goal, self._random.randint(1, 12)))
            goal -= sizes[-1]
        spans = ((0.02, 6), (0.02, 6), (6, 13), (13, 179), (13, 179))  # days
        ages = [self._random.uniform(*self._random.choice(spans)) for _ in sizes]
        now = self.now().timestamp()
        for age, size in zip(sorted(ages, reverse=True), sizes, strict=True):
            self._run_campaign(int(now - age * DAY), size)

    def _run_campaign(self, started: int, size: int) -> None:
        """One execution: `size` messages, now and then two to the same recipient at once."""
        number, name, channel = self._random.choice(CAMPAIGNS)
        shared = {
            "delivery_channel": channel,
            "campaign": {"id": number, "name": name},
            "execution": {"id": 3000 + self._last_id, "created_at": started},
            "response_set": {"id": number + 500, "name": self._random.choice((None, "Default"))},
            "language": self._random.choice(("en-US", "en-US", "hi-IN")),
        }
        last: Row | None = None
        for _ in range(size):
            fields = shared | self._message_fields(started, channel)
            if last and self._random.random() < 0.2:
                same = ("recipient_uuid", "created_at", "user", "to_phone", "to_email")
                fields |= {k: deepcopy(last[k]) for k in same if k in last}
            last = self.add_insight(**deepcopy(fields))

    def _message_fields(self, started: int, channel: str) -> Row:
        at = started + self._random.randint(16, 420)
        recent = at > self.now().timestamp() - 30 * DAY
        states = INTERIM if recent and self._random.random() < 0.1 else FINAL
        fields: Row = {
            "created_at": at,
            "delivery_status": self._random.choice(states[channel]),
            "content": f"Hi, it's your care team, ref {self._random.randint(100, 999)}. ✓\n",
        }
        if self._random.random() < 0.2:
            fields["filters"] = [{"id": 51, "name": "Opted in", "matched": True}]
        if self._random.random() < 0.2:
            channel_of_agent = {"id": 512, "name": "SMS"}
            fields["agent"] = {"id": 171, "name": "Care agent", "channel": channel_of_agent}
            fields["conversation_uuid"] = _uuid(self._random)
            fields["message_uuid"] = _uuid(self._random)
        return fields

    # --- a day passes ------------------------------------------------------------------------

    def change(self) -> None:
        """Half of the unfinished messages of the last `late_days` move on, a person's attributes
        are rewritten, rows turn up that are one to six days old, and a campaign runs.

        Avaamo rewrites attributes on rows of any age; here only on those that the contract's
        lookback reaches, so that `expected` stays what a right warehouse can know. Use
        `rewrite_user` for the rest. The clock stays where it is.
        """
        now = self.now().timestamp()
        recent = [r for r in self.records if r["created_at"] > now - self.late_days * DAY]
        unfinished = [
            r for r in recent if r["delivery_status"] in INTERIM.get(r["delivery_channel"], ())
        ]
        for row in unfinished[::2]:
            self._set_status(row, self._random.choice(NEXT[row["delivery_status"]]))
        if phones := [r["user"]["phone"] for r in recent if "phone" in (r["user"] or {})]:
            note = {"acct_bal": f"${self._random.randint(1, 9999)}.00", "Rückruf?": "ja"}
            self.rewrite_user(self._random.choice(phones), note, self.late_days)
        for _ in range(3):
            self._run_campaign(int(now - self._random.uniform(1, 6) * DAY), 1)
        self._run_campaign(int(now - SETTLED_SECONDS - self._random.uniform(420, 70_000)), 12)

    # --- what the warehouse must hold --------------------------------------------------------

    def expected(self) -> dict[str, list[Row]]:
        """What is served now in its newest version, and what was served once and is gone."""
        rows = self.served | {row["id"]: row for row in self.current()}
        return {"campaign_insights": [_columns(rows[key]) for key in sorted(rows)]}


def _columns(row: Row) -> Row:
    execution, answers, campaign = (
        row.get(name) or {} for name in ("execution", "response_set", "campaign")
    )
    return {name: row.get(name) for name in SCALARS} | {
        "id": _text(row["id"]),
        "created_at": _time(row["created_at"]),
        "execution__id": _text(execution.get("id")),
        "execution__created_at": _time(execution.get("created_at")),
        "campaign__id": _text(campaign.get("id")),
        "campaign__name": campaign.get("name"),
        "response_set__id": _text(answers.get("id")),
        "response_set__name": answers.get("name"),
        "error_code": _text(row.get("error_code")),
        **{name: deepcopy(row.get(name)) for name in ("filters", "user", "agent")},
    }


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _filter(name: str, value: str) -> Callable[[Row], bool]:
    """Comma lists match any of their members; the base keeps only the last of a repeated name."""
    name = name.removesuffix("[]")
    if name.startswith("user["):
        return lambda row: bool(row["user"].get(name[5:-1]) == value)
    wanted = {part.strip() for part in value.split(",")}
    return lambda row: any(str(found) in wanted for found in _values(row, name))


def _values(row: Row, name: str) -> Iterable[Any]:
    if name == "filter_id":
        return [each["id"] for each in row["filters"]]
    if name == "channel_id":
        return [row["agent"]["channel"]["id"]] if "agent" in row else []
    if name in INTEGERS:
        part = row.get(name.removesuffix("_id"))
        return [part["id"]] if part else []
    return [row[name]] if row.get(name) is not None else []


def _person(number: int, rng: random.Random) -> dict[str, str]:
    """Invented attributes as a customer's file has them: all text, headers of any kind."""
    person = {
        "phone": f"+1555010{number % 10_000:04}",
        "email": f"person{number}@example.com",
        "first_name": rng.choice(("Ada", "Noor", "Zoë", "O'Neil")),
        "last_name": rng.choice(("Example", "Sample", "Muster")),
    }
    if rng.random() < 0.3:
        person |= {header: str(rng.randint(0, 99)) for header in rng.sample(HEADERS, 4)}
    return person


def _uuid(rng: random.Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
