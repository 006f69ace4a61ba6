"""inwise's e-mail campaign analytics: five GETs under /rest/v1/campaigns/email.

Documented ([D] in shared/reference/inwise.md): bare JSON arrays, and one object of counters from
`activitiesSummary?campaign_id=`; 401 with the text below; date_from as YYYY-MM-DD, contact_id,
campaign_id and page_index; 100 rows a page, 1,000 at most; only the last week without a date range,
and no error; sent mails include those that bounced later and leave out the undelivered;
`recentActivities` gives each change once and takes no filter; two addresses in one ip; remarks,
additional_data and external_id on some rows only; times as "YYYY-MM-DD HH:MM:SS" without a zone, in
all samples at full minutes. The header X-API-Key is known from third parties.

Assumed, since the page is silent: date_to, page_size and action_type as names; that all three lists
page and filter alike, on local days of the account's zone; either date missing counts as none given
(the page's own example has date_from alone); "the last 7 days" are today and six before; newest id
first, so that late rows stand at the front; a campaign without rows has counters of 0; the feed
begins with all that is held, oldest first as in its sample; the bodies of 400, 404 and 405; a
reversed range is a 400; that a sent mail may share its transaction_id with other contacts; an
activity type outside the page's list ("onSite", a name of the webhook's) for the counter onsite.
"""

import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from tests.fakes._server import Answer, Ask, Fake, Row

BASE = "/rest/v1"
READS = f"{BASE}/campaigns/email/"
WRITES = re.compile(rf"{BASE}/(contacts|transactional)(/.*)?")
UNAUTHORIZED = "you are not authorized to use rest API"
DEFAULT_SIZE, LARGEST_SIZE = 100, 1000
DAY = timedelta(days=1)

# The replies on the vendor's page. Mended in all: curly quotes. In the activities: the second row's
# additional_data was not closed, and a comma stood behind the last row.
SAMPLES: dict[str, Any] = json.loads("""{
"sentEmails": [
 {"row_index": 6111111, "transaction_id": "28111435326624654d550", "contact_id": 1111111,
  "campaign_id": 222222, "date_sent": "2019-03-18 11:26:00", "email": "XXX@inwise.com",
  "message_size": 56, "sending_source": "Campaign"}],
"undelivered": [
 {"id": 2400463850, "campaign_id": 1958368, "email": "john@gmail.com", "contact_id": 1111,
  "reason": "unsubscribed", "create_date": "2024-09-02 13:55:00"}],
"activities": [
 {"id": 87111986, "action_date": "2024-09-02 13:59:00", "contact_id": 1111111,
  "campaign_id": 222222, "ip": "80.179.11.11", "action_type": "emailOpened", "remarks": "12345"},
 {"id": 87111985, "action_date": "2024-09-02 13:59:00", "contact_id": 1111111,
  "campaign_id": 222222, "ip": "80.179.11.11", "action_type": "emailClicked",
  "additional_data": "https://app.inwise.com/"}],
"activitiesSummary":
 {"opens": 5, "opens_unique": 2, "clicks": 3, "clicks_unique": 2, "sent": 100, "undelivered": 62,
  "bounces": 0, "bounces_unique": 0, "webversions_unique": 1, "unsubscribes": 0,
  "unsubscribes_unique": 0, "report_spam": 0, "report_spam_unique": 0, "onsite": 0,
  "onsite_unique": 0},
"recentActivities": [
 {"id": 690504188, "action_date": "2024-09-17 12:31:00", "contact_id": 2, "campaign_id": 1963715,
  "ip": "212.199.46.197", "action_type": "emailOpened"},
 {"id": 690776464, "action_date": "2024-09-18 12:05:00", "contact_id": 426097851,
  "campaign_id": 1962286, "ip": "45.112.30.172,136.226.243.10", "action_type": "emailOpened"}]
}""")
OPENED, CLICKED = SAMPLES["activities"]
PLAIN = SAMPLES["recentActivities"][0]

ACTION_TYPES = (
    *("emailOpened", "emailClicked", "emailBounced", "emailUnsubscribed"),
    *("emailWebVersion", "emailPublicWebVersion", "emailPrinted"),
)
#: counter in the summary: the types it counts. "reportSpam" is made up, and no seeded row has it.
COUNTED = {
    "opens": ("emailOpened",),
    "clicks": ("emailClicked",),
    "bounces": ("emailBounced",),
    "webversions": ("emailWebVersion", "emailPublicWebVersion"),
    "unsubscribes": ("emailUnsubscribed",),
    "report_spam": ("reportSpam",),
    "onsite": ("onSite",),
}
#: how often a mail that arrived is followed by each; an open may come twice in one minute
RESPONSES = (
    *(("emailOpened", 0.5), ("emailOpened", 0.2), ("emailClicked", 0.2)),
    *(("emailUnsubscribed", 0.03), ("emailWebVersion", 0.03), ("emailPublicWebVersion", 0.02)),
    *(("emailPrinted", 0.02), ("onSite", 0.02)),
)
REASONS = ("unsubscribed", "unsubscribed", "frequency_limit", "bounced", "other")
IPS = ("192.0.2.17", "198.51.100.4", "192.0.2.30,198.51.100.10", "2001:db8::17")
CURRENT = (1958368, 1962286, 1963715, 1964001, 1964002)
ENDED = (222222, 1701002, 1701003)
ONLY_UNDELIVERED = 1970001

#: endpoint: its store, the field it is ordered by, the field its dates filter on
LISTS = {
    "sentEmails": ("sent_emails", "row_index", "date_sent"),
    "undelivered": ("undelivered", "id", "create_date"),
    "activities": ("activities", "id", "action_date"),
}
NO_PAGE = {
    "empty": Answer([]),
    "repeat": Answer([]),  # of a list without rows
    "404": Answer({"message": "no such page"}, 404),
    "204": Answer("", 204),
    "null": Answer(None),
}
COMMON = {"date_from", "date_to", "page_index", "page_size", "campaign_id", "contact_id"}
PARAMETERS = {
    "sentEmails": COMMON,
    "undelivered": COMMON,
    "activities": COMMON | {"action_type"},
    "activitiesSummary": {"campaign_id"},
    "recentActivities": set[str](),
}
FORMS = {
    **dict.fromkeys(("date_from", "date_to"), r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    **dict.fromkeys(("campaign_id", "contact_id", "page_index"), r"[0-9]+"),
    "page_size": r"0*[1-9][0-9]*",
    "action_type": "|".join(ACTION_TYPES),
}

CODES = {"id", "contact_id", "campaign_id", "transaction_id", "external_id"}
SENT_COLUMNS = (
    *("row_index", "transaction_id", "contact_id", "campaign_id", "email", "message_size"),
    *("sending_source", "external_id"),
)
UNDELIVERED_COLUMNS = ("id", "campaign_id", "email", "contact_id", "reason", "external_id")
ACTIVITY_COLUMNS = (
    *("id", "contact_id", "campaign_id", "ip", "action_type", "remarks", "additional_data"),
    "external_id",
)


class InwiseFake(Fake):
    """Records are in `sent_emails`, `undelivered` and `activities`, as the vendor prints them;
    tests may edit those lists at will. `handed_out` holds a copy of each row that the read-once
    feed gave away, whether or not the reply arrived. `timezone` is the account's; set it before
    records are made. `recent_cap` is how many rows the feed gives per call.

    Quirks, for all three lists alike, each with its friendliest value as default:
    `page_base` 1 | 0: the number of the first page.
    `page_zero` "empty" | "error400" | "first": page 0, where pages count from 1.
    `page_size_obeyed`: False: 100 rows a page whatever was asked.
    `paging`: False: page_index and page_size mean nothing; all rows come, or the first `cap`.
    `beyond_last` "empty" | "repeat" | "404" | "204" | "null": what a page after the last is.
    `date_to_inclusive`: False: the rows of date_to itself are left out.
    `undelivered_dates_ignored`: that list comes whole, whatever dates were given or not.
    `recent_details`: False: the feed leaves out remarks and additional_data, as its sample does.
    """

    vendor: ClassVar[str] = "inwise"
    main_path: ClassVar[str] = r"/campaigns/email/sentEmails$"
    data_key: ClassVar[str | None] = None

    def __init__(self, *, certificate: Path | None = None) -> None:
        super().__init__(certificate=certificate)
        self.api_key = "fake-inwise-key"
        self.timezone = "Asia/Jerusalem"
        self.sent_emails: list[Row] = []
        self.undelivered: list[Row] = []
        self.activities: list[Row] = []
        self.handed_out: list[Row] = []
        self.writes: list[Ask] = []
        self.page_base: Literal[0, 1] = 1
        self.page_zero: Literal["empty", "error400", "first"] = "empty"
        self.page_size_obeyed = True
        self.paging = True
        self.cap: int | None = None
        self.beyond_last: Literal["empty", "repeat", "404", "204", "null"] = "empty"
        self.date_to_inclusive = True
        self.undelivered_dates_ignored = False
        self.recent_cap = 1000
        self.recent_details = True
        self._random = random.Random(13)
        self._last_id = 2_400_500_000
        self._shift = False

    def settings(self) -> Row:
        return {"api_url": self.url + BASE, "api_key": self.api_key, "timezone": self.timezone}

    # --- answering ---------------------------------------------------------------------------

    def answer(self, ask: Ask) -> Answer:
        if ask.method != "GET" and WRITES.fullmatch(ask.path):
            self.writes.append(ask)
            return Answer({})
        endpoint = ask.path.removeprefix(READS)
        if not ask.path.startswith(READS) or endpoint not in PARAMETERS:
            return Answer({"message": "Not Found"}, 404)
        if ask.method != "GET":
            return Answer({"message": "Method Not Allowed"}, 405, {"Allow": "GET"})
        if ask.headers.get("x-api-key") != self.api_key:
            return Answer(UNAUTHORIZED, 401, {"Content-Type": "text/plain"})
        if why := self._refusal(endpoint, ask.query):
            return Answer({"message": why}, 400)
        if endpoint == "activitiesSummary":
            return Answer(self._summary(int(ask.query["campaign_id"])))
        if endpoint == "recentActivities":
            return Answer(self._hand_out())
        page = self._page(endpoint, ask.query)
        behind = int(ask.query.get("page_index", self.page_base)) > self.page_base
        nothing = behind or self.beyond_last in ("204", "null")
        return Answer(page) if page or not nothing else NO_PAGE[self.beyond_last]

    def _refusal(self, endpoint: str, query: dict[str, str]) -> str | None:
        if unknown := query.keys() - PARAMETERS[endpoint]:
            return f"unknown parameters: {', '.join(sorted(unknown))}"
        for name, value in query.items():
            if not re.fullmatch(FORMS[name], value) or not _is_real(name, value):
                return f"{name} is not valid"
        if query.get("date_from", "") > query.get("date_to", "9"):
            return "date_from is after date_to"
        if endpoint == "activitiesSummary" and "campaign_id" not in query:
            return "campaign_id is required"
        zero = self.paging and self.page_base == 1 and self.page_zero == "error400"
        if zero and int(query.get("page_index", 1)) == 0:
            return "page_index starts at 1"
        return None

    def _page(self, endpoint: str, query: dict[str, str]) -> list[Row]:
        rows = self._selected(endpoint, query)
        if not self.paging:
            return [dict(row) for row in rows[: self.cap]]
        size = min(int(query.get("page_size", DEFAULT_SIZE)), LARGEST_SIZE)
        size = size if self.page_size_obeyed else DEFAULT_SIZE
        at = int(query.get("page_index", self.page_base)) - self.page_base
        if at < 0:
            if self.page_zero == "empty":
                return []
            at = 0
        if self.beyond_last == "repeat":
            at = min(at, max(len(rows) - 1, 0) // size)
        # Copies, since the reply is sent after the lock is released and `rewrites` may alter it.
        page = [dict(row) for row in rows[at * size :][:size]]
        if self._shift and at == 0 and len(rows) > size:
            self._arrive(endpoint, page[0])
        return page

    def _selected(self, endpoint: str, query: dict[str, str]) -> list[Row]:
        """The rows that the filters leave, newest id first."""
        store, order, when = LISTS[endpoint]
        first, last = self._days(query)
        rows: list[Row] = getattr(self, store)
        if endpoint != "undelivered" or not self.undelivered_dates_ignored:
            rows = [row for row in rows if first <= row[when][:10] <= last]
        for name in query.keys() & {"campaign_id", "contact_id"}:
            rows = [row for row in rows if row[name] == int(query[name])]
        if "action_type" in query:
            rows = [row for row in rows if row["action_type"] == query["action_type"]]
        return sorted(rows, key=itemgetter(order), reverse=True)

    def _days(self, query: dict[str, str]) -> tuple[str, str]:
        """The first and the last local day asked for; without both dates the last seven."""
        if "date_from" in query and "date_to" in query:
            last = date.fromisoformat(query["date_to"])
            return query["date_from"], str(last if self.date_to_inclusive else last - DAY)
        today = self.now().astimezone(ZoneInfo(self.timezone)).date()
        return str(today - 6 * DAY), str(today)

    def _hand_out(self) -> list[Row]:
        """The feed: what was not given out yet, which from now on counts as given out."""
        gone = {(row["id"], row["action_type"]) for row in self.handed_out}
        rows = [row for row in self.activities if (row["id"], row["action_type"]) not in gone]
        rows.sort(key=itemgetter("id"))
        hidden = set() if self.recent_details else {"remarks", "additional_data"}
        page = [{k: v for k, v in r.items() if k not in hidden} for r in rows[: self.recent_cap]]
        self.handed_out += [dict(row) for row in page]
        return page

    def _summary(self, campaign: int) -> Row:
        counters: Row = dict.fromkeys(SAMPLES["activitiesSummary"], 0)
        rows = [row for row in self.activities if row["campaign_id"] == campaign]
        counters["sent"] = sum(row["campaign_id"] == campaign for row in self.sent_emails)
        counters["undelivered"] = sum(row["campaign_id"] == campaign for row in self.undelivered)
        for name, types in COUNTED.items():
            contacts = [row["contact_id"] for row in rows if row["action_type"] in types]
            counters |= {name: len(contacts), f"{name}_unique": len(set(contacts))}
        del counters["webversions"]  # the vendor counts only the unique ones
        return counters

    # --- drift -------------------------------------------------------------------------------

    def shift_once(self) -> None:
        """Once, after the first page of a list of several pages was sent, a row arrives at the
        list's front, dated like the one that stood there. Page 1's last row is seen again on
        page 2, the new one not at all. Later reads find the list so and standing.
        """
        self._shift = True

    def _arrive(self, endpoint: str, front: Row) -> None:
        self._shift = False
        store, order, _ = LISTS[endpoint]
        new = front | {order: self._next_id()}
        if "transaction_id" in front:
            new["transaction_id"] = self._transaction()
        getattr(self, store).append(new)

    # --- records -----------------------------------------------------------------------------

    def local(self, moment: datetime) -> str:
        """An aware time as the vendor writes it."""
        return f"{moment.astimezone(ZoneInfo(self.timezone)):%Y-%m-%d %H:%M:00}"

    def add_sent(self, **fields: Any) -> Row:
        """A mail sent now from the page's own, with `fields` as given."""
        row: Row = SAMPLES["sentEmails"][0] | {"row_index": self._next_id()}
        row |= _contact(fields.get("contact_id", _contact_id(self._last_id % 500 + 1)))
        row |= {"transaction_id": self._transaction(), "campaign_id": CURRENT[0]}
        row |= {"date_sent": self.local(self.now()), "message_size": 40 + self._last_id % 60}
        self.sent_emails.append(row | fields)
        return self.sent_emails[-1]

    def add_undelivered(self, **fields: Any) -> Row:
        """A mail not sent now from the page's own, with `fields` as given."""
        row: Row = SAMPLES["undelivered"][0] | {"id": self._next_id()}
        row |= _contact(fields.get("contact_id", _contact_id(self._last_id % 500 + 1)))
        row |= {"campaign_id": CURRENT[0], "create_date": self.local(self.now())}
        self.undelivered.append(row | fields)
        return self.undelivered[-1]

    def add_activity(self, **fields: Any) -> Row:
        """An activity of now (an open where not said) from the page's own, `fields` as given."""
        action = fields.get("action_type", "emailOpened")
        opened = self._random.choice((OPENED, PLAIN))
        row: Row = dict({"emailOpened": opened, "emailClicked": CLICKED}.get(action, PLAIN))
        row |= {"id": self._next_id(), "action_type": action, "campaign_id": CURRENT[0]}
        row |= _contact(fields.get("contact_id", _contact_id(self._last_id % 500 + 1)))
        del row["email"]
        row |= {"action_date": self.local(self.now()), "ip": self._random.choice(IPS)}
        self.activities.append(row | fields)
        return self.activities[-1]

    def respond(self, sent: Row, action_type: str, at: datetime) -> Row:
        """What the recipient of a sent mail did with it."""
        shared = {k: sent[k] for k in ("contact_id", "campaign_id")}
        return self.add_activity(action_type=action_type, action_date=self.local(at), **shared)

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _transaction(self) -> str:
        return f"{self._next_id()}{self._random.getrandbits(40):010x}"

    def seed(self, rows: int = 250) -> None:
        """Mailings back to 89 days, half of them in the last six days.

        Campaigns that ended have no row younger than 33 days, the others have one within 27, so
        that nobody need agree on the minute at which "the last 30 days" begin. One campaign has an
        undelivered mail only, and one id stands for two activities.
        """
        goal, sizes = rows, list[int]()
        while goal > 0:
            sizes.append(min(goal, self._random.randint(1, max(12, rows // 6))))
            goal -= sizes[-1]
        spans = ((0.02, 6), (0.02, 6), (6, 27), (36, 89))  # days
        chosen = [spans[n % 4] for n in range(len(sizes))]
        ages = sorted((self._random.uniform(*span) for span in chosen), reverse=True)
        for age, size in zip(ages, sizes, strict=True):
            campaign = self._random.choice(ENDED if age > 30 else CURRENT)
            self._send_campaign(campaign, self.now() - age * DAY, size)
        if rows:
            at = self.local(self.now() - 2 * DAY)
            self.add_undelivered(campaign_id=ONLY_UNDELIVERED, create_date=at)
            self._repeat_an_id()

    def _repeat_an_id(self) -> None:
        mail = self.sent_emails[-1]
        opened = self.respond(mail, "emailOpened", self.now())
        self.respond(mail, "emailClicked", self.now())["id"] = opened["id"]

    def _send_campaign(self, campaign: int, started: datetime, size: int) -> None:
        """One mailing within a few minutes; at times all its mails carry one transaction_id."""
        rng, left_out = self._random, size // 8
        people = [_contact_id(n) for n in rng.sample(range(1, 200 + 3 * size), size + left_out)]
        one = self._transaction() if rng.random() < 0.2 else None
        for contact in people[:size]:
            at = min(started + timedelta(minutes=rng.randint(0, 5)), self.now())
            mail = {"campaign_id": campaign, "transaction_id": one or self._transaction()}
            sent = self.add_sent(contact_id=contact, date_sent=self.local(at), **mail)
            self._respond_at_random(sent, at)
        begun = self.local(started)
        for contact in people[size:]:
            dropped = {"campaign_id": campaign, "reason": rng.choice(REASONS)}
            self.add_undelivered(contact_id=contact, create_date=begun, **dropped)

    def _respond_at_random(self, sent: Row, at: datetime) -> None:
        """Most within the hour, none after three days."""
        rng = self._random
        if rng.random() < 0.05:
            self.respond(sent, "emailBounced", at)
            return
        for action, chance in RESPONSES:
            if rng.random() < chance:
                later = at + 3 * DAY * rng.random() ** 4
                self.respond(sent, action, min(later, self.now()))

    # --- a day passes ------------------------------------------------------------------------

    def change(self) -> None:
        """A mailing goes out, a mail of one to six days ago turns up, activities turn up that are
        as old, a mail bounces, one is not sent, somebody opens a mail of a campaign that had
        ended, and remarks are rewritten. The clock stays where it is.
        """
        rng, now = self._random, self.now()
        self._send_campaign(CURRENT[0], now - rng.uniform(0.02, 0.8) * DAY, 12)
        self._send_campaign(CURRENT[1], now - rng.uniform(1, 6) * DAY, 1)
        since = self.local(now - 6 * DAY)
        mails = [row for row in self.sent_emails if row["date_sent"] > since]
        for _ in range(3):
            mail = rng.choice(mails)
            self.respond(mail, rng.choice(ACTION_TYPES), self._after(mail))
        self.respond(rng.choice(mails), "emailBounced", now)
        self.add_undelivered(reason=rng.choice(REASONS))
        if ended := [row for row in self.sent_emails if row["campaign_id"] in ENDED]:
            self.respond(rng.choice(ended), "emailOpened", now)
        recent = [row for row in self.activities if row["action_date"] > since]
        for row in rng.sample(recent, min(2, len(recent))):
            row["remarks"] = str(self._next_id())

    def _after(self, mail: Row) -> datetime:
        sent = _utc(mail["date_sent"], self.timezone)
        return sent + self._random.random() * max(self.now() - sent, timedelta())

    # --- what the warehouse must hold --------------------------------------------------------

    def expected(self) -> dict[str, list[Row]]:
        """All records, of the feed what it gave out so far, and the counters of the campaigns with
        a row in the last 30 days.
        """
        given = {(row["id"], row["action_type"]): row for row in self.handed_out}
        return {
            "sent_emails": [self._row(r, SENT_COLUMNS, "date_sent") for r in self.sent_emails],
            "undelivered": [
                self._row(r, UNDELIVERED_COLUMNS, "create_date") for r in self.undelivered
            ],
            "activities": [self._row(r, ACTIVITY_COLUMNS, "action_date") for r in self.activities],
            "recent_activities": [
                self._row(r, ACTIVITY_COLUMNS, "action_date") for r in given.values()
            ],
            "activities_summary": [
                {"campaign_id": str(c)} | self._summary(c) for c in sorted(set(self._active()))
            ],
        }

    def _active(self) -> Iterator[int]:
        since = self.now() - 30 * DAY
        for store, _, when in LISTS.values():
            for row in getattr(self, store):
                if _utc(row[when], self.timezone) >= since:
                    yield row["campaign_id"]

    def _row(self, row: Row, columns: tuple[str, ...], when: str) -> Row:
        found = {name: row.get(name) for name in columns}
        texts = {k: str(v) for k, v in found.items() if k in CODES and v is not None}
        return found | texts | {when: _utc(row[when], self.timezone), f"{when}_text": row[when]}


def _utc(text: str, timezone: str) -> datetime:
    """A local time that occurs twice is taken as the first (fold 0)."""
    local = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZoneInfo(timezone), fold=0)
    return local.astimezone(UTC)


def _is_real(name: str, value: str) -> bool:
    if not name.startswith("date_"):
        return True
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _contact_id(number: int) -> int:
    return number if number < 10 else 426_000_000 + number


def _contact(contact: int) -> Row:
    """An invented contact: small ids are real ones, and one in three has the sender's own id."""
    name = f"contact{contact}@example.com"
    person = {"contact_id": contact, "email": name if contact % 5 else name.title()}
    return person | ({"external_id": f"{contact:010}"} if contact % 3 == 0 else {})
