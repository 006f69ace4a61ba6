"""Marts that grew night by night equal those built from nothing, whatever moved or went."""

from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.mart_house import NOW, MartHouse
from tests.test_marts_dialing import call, lead, named, observe, ran, renamed, seen
from tests.test_marts_messages import act, at, held, insight, mail
from tests.test_marts_vonage import ONE, agent, person, put

PEOPLE = [f"+1202555{n:04}" for n in range(100, 112)]
DAY = timedelta(days=1)


def of_last_build(mart: str) -> bool:
    return mart.startswith("changed_")


def everything(house: MartHouse) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all marts that are not about the last build itself."""
    tables = house.sql("select table_name from duckdb_tables() where schema_name = 'marts'")
    names = sorted(name for (name,) in tables if not of_last_build(name))
    return {name: house.sql(f"from marts.{name} order by all") for name in names}


def assert_as_from_nothing(house: MartHouse, now: datetime) -> None:
    by_night = everything(house)
    verdicts = house.verdicts
    assert [str(verdict) for verdict in verdicts if verdict.severity == "error"] == []
    house.rebuild(now)
    from_nothing = everything(house)
    for mart, rows in by_night.items():
        assert rows == from_nothing[mart], mart


def replace(house: MartHouse, table: str, key: str, row: dict[str, Any]) -> None:
    """Newest wins: as a load does it."""
    house.sql(f"delete from {table} where {key} = '{row[key]}'")
    house.add(table, row)


def test_what_leaves_a_person_or_a_campaign_leaves_its_counts(tmp_path: Path) -> None:
    house = MartHouse(tmp_path, marts__touch_ceiling_per_week=2)
    house.add(
        "avaamo.campaign_insights",
        *(insight(f"1{n}", "delivered", "sms", to_phone=PEOPLE[0]) for n in range(3)),
        insight("2", "delivered", "sms", to_phone=PEOPLE[1]),
        insight("3", "delivered", "sms", to_phone=PEOPLE[2], campaign__id="6"),
    )
    house.add("inwise.sent_emails", mail("a", "1", at(9)), mail("b", "2", at(9), campaign="8"))
    house.add(
        "inwise.activities",
        act("1", "Opened", "1", at(10)),
        act("2", "Bounced", "2", at(10), campaign="8"),
        act("3", "Clicked", "3", at(10), campaign="9"),
    )
    house.build()
    counted = (
        "select contact_key, attempts, touches_last_7_days, is_unsubscribed from marts.contacts "
        "order by contact_key"
    )
    assert house.sql(counted) == [
        (PEOPLE[0], 3, 3, False),
        (PEOPLE[1], 1, 1, False),
        (PEOPLE[2], 1, 1, False),
        ("person1@example.com", 1, 1, False),
        ("person2@example.com", 1, 0, False),
    ]
    assert house.sql("select contact_key, is_over_now from marts.over_contacted") == [
        (PEOPLE[0], True)
    ]

    # the number of a message was put right; an open and a bounce were another's; 9 is campaign 8
    replace(house, "avaamo.campaign_insights", "id", insight("2", "sent", "sms", to_phone="?"))
    renamed = insight("4", "sent", "sms", campaign__id="6", campaign__name="New", created_at=at(9))
    house.add("avaamo.campaign_insights", renamed)
    for moved in (
        act("1", "Opened", "5", at(10)),
        act("2", "Bounced", "1", at(10)),
        act("3", "Clicked", "2", at(10), campaign="8"),
        act("4", "Unsubscribed", "2", at(11), campaign="7"),
    ):
        replace(house, "inwise.activities", "id", moved)
    house.build(NOW + DAY)
    assert house.sql(counted) == [
        (PEOPLE[0], 3, 0, False),
        (PEOPLE[2], 1, 0, False),
        ("person1@example.com", 1, 0, False),
        ("person2@example.com", 1, 0, True),
    ]
    assert house.sql("select contact_key, is_over_now from marts.over_contacted") == [
        (PEOPLE[0], False)
    ]
    assert house.sql(
        "select campaign_id, outcome, reached from marts.contact_attempts "
        "where vendor = 'inwise' order by all"
    ) == [("7", "bounced", False), ("8", "delivered", True)]
    assert house.sql(
        "select campaign_id, contact_id, opens, clicks, bounces, unsubscribes "
        "from marts.email_contacts order by all"
    ) == [
        ("7", "1", 0, 0, 1, 0),
        ("7", "2", 0, 0, 0, 1),
        ("7", "5", 1, 0, 0, 0),
        ("8", "2", 0, 1, 0, 0),
    ]
    assert house.sql("select campaign_id from marts.email_funnel order by all") == [("7",), ("8",)]
    assert house.sql(
        "select distinct campaign_name from marts.campaign_daily where campaign_id = '6'"
    ) == [("New",)]
    assert_as_from_nothing(house, NOW + DAY)


def test_days_go_by_for_those_of_whom_nothing_is_new(tmp_path: Path) -> None:
    """Also backwards, as where a clock was put right."""
    house = MartHouse(tmp_path)
    days = (0, 1, 6, 7, 8, 29, 30, 31, -2)
    house.add(
        "avaamo.campaign_insights",
        *(
            insight(f"{n}", "sent", "sms", to_phone=PEOPLE[n], created_at=NOW - days[n] * DAY)
            for n in range(len(days))
        ),
    )
    house.build()
    counted = (
        "select list(attempts_last_7_days order by contact_key), "
        "list(attempts_last_30_days order by contact_key) from marts.contacts"
    )
    assert house.sql(counted) == [([1, 1, 1, 0, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1, 0, 0, 1])]
    for later, last_7_days, last_30_days in (
        (1, [1, 1, 0, 0, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 0, 0, 0, 1]),
        (9, [0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0, 0, 1]),
        (0, [1, 1, 1, 0, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1, 0, 0, 1]),
    ):
        house.build(NOW + later * DAY)
        assert house.sql(counted) == [(last_7_days, last_30_days)]


def test_a_row_read_again_is_no_change(tmp_path: Path) -> None:
    house = MartHouse(tmp_path)
    house.add("avaamo.campaign_insights", insight("1", "sent", "sms", to_phone=PEOPLE[0]))
    put(house, "i", person(ONE), agent("27", ("Connected", 18, 9)), connect_from=PEOPLE[1])
    house.build()
    put(house, "i", person(ONE), agent("27", ("Connected", 18, 9)), connect_from=PEOPLE[1])
    replace(
        house, "avaamo.campaign_insights", "id", insight("1", "sent", "sms", to_phone=PEOPLE[2])
    )
    house.build()
    assert house.sql(
        "select attempt_id, contact_key, is_made from marts.changed_attempts order by all"
    ) == [("avaamo:1", PEOPLE[0], False), ("avaamo:1", PEOPLE[2], True)]
    assert house.sql("select contact_key from marts.contacts order by all") == [
        (PEOPLE[1],),
        (PEOPLE[2],),
    ]


class Nights:
    """What loads leave behind when anything may change: rows by their keys, some of them moved."""

    def __init__(self, house: MartHouse, seed: int) -> None:
        self.house, self.random = house, Random(seed)

    def some(self, most: int = 6) -> range:
        return range(self.random.randrange(most))

    def moment(self) -> datetime:
        ago = timedelta(days=self.random.choice((0, 0, 1, 5, 6, 7, 8, 28, 29, 30, 31)))
        return NOW - ago - timedelta(minutes=self.random.randrange(1500))

    def load(self, now: datetime) -> None:
        self.messages()
        self.mails()
        self.calls(now)
        self.house.record(ran(now, self.random.choice(("ok", "ok", "held"))))

    def messages(self) -> None:
        pick = self.random.choice
        for _ in self.some(12):
            row = insight(
                str(self.random.randrange(25)),
                pick(("sent", "delivered", "failed", "pending")),
                pick(("sms", "voice", "email")),
                to_phone=pick([*PEOPLE, None, "?"]),
                to_email=pick((None, "person1@example.com", "person4@example.com")),
                created_at=pick((self.moment(), None)),
                campaign__id=pick(("5", "6", "", None)),
                campaign__name=pick(("Reminders", "Bills", None)),
            )
            replace(self.house, "avaamo.campaign_insights", "id", row)
        for _ in self.some():
            parties = [person(ONE), agent("27", ("Connected", 18, 9))][: self.random.randrange(3)]
            fields = {"connect_from": pick(PEOPLE), "start": self.moment()}
            put(self.house, str(self.random.randrange(9)), *parties, **fields)

    def mails(self) -> None:
        pick, some = self.random.choice, self.random.randrange
        person_of, camps = [str(n) for n in range(6)] + [""], ("7", "8", "9", "")
        for _ in self.some():
            row = mail(f"t{some(12)}", pick(person_of), self.moment(), pick(camps))
            self.house.sql(
                f"delete from inwise.sent_emails where transaction_id = '{row['transaction_id']}' "
                f"and contact_id = '{row['contact_id']}' and campaign_id = '{row['campaign_id']}'"
            )
            self.house.add("inwise.sent_emails", row)
        words = ("Opened", "Opened", "Clicked", "Bounced", "Unsubscribed", "WebVersion")
        for table in ("activities", "recent_activities"):
            for _ in self.some(10):
                when = pick((self.moment(), None))
                row = act(str(some(25)), pick(words), pick(person_of), when, pick(camps))
                replace(self.house, f"inwise.{table}", "id", row)
        for _ in self.some():
            why = pick(("unsubscribed", "bounced", None))
            row = held(str(some(8)), pick(person_of), why, pick(camps))
            replace(self.house, "inwise.undelivered", "id", row)

    def calls(self, now: datetime) -> None:
        pick, some = self.random.choice, self.random.randrange
        for name in ("koreai.campaign_contacts", "koreai.campaigns", "dialer.leads"):
            if some(2):
                self.house.sql(
                    f"update {name} set _dlt_valid_to = '{now}' where _dlt_valid_to is null"
                )
        for n in range(3):
            self.version(
                "koreai.campaign_contacts",
                f"phone_number = '{PEOPLE[n]}'",
                seen(some(5), now, phone_number=PEOPLE[n], dialer_outcome=pick(("busy", ""))),
            )
            state = pick(("new", "success"))
            self.version("dialer.leads", f"id = '{n}'", lead(f"{n}", state, now, number=PEOPLE[n]))
        equal = [(some(5), pick(("busy", "", "no-answer"))) for _ in self.some(4)]
        observe(self.house, now, *equal)
        self.version("koreai.campaigns", "id = 'k1'", named(pick(("Bills", "Bills 2")), now))
        for _ in self.some():
            names = pick(("Renewals", "Survey"))
            row = call(str(some(9)), lead_number=pick(PEOPLE), campaign_name=names)
            replace(self.house, "dialer.lead_history", "call_key", row)
        for key in ("c1", "c2"):
            called = ("Renewals", "Survey", "Evidence")
            before = [(pick(called), NOW - n * DAY) for n in (28, 1, -1) if some(2)]
            row = renamed(key, *before, now=pick(called))
            replace(self.house, "dialer.campaigns", "id", row)

    def version(self, table: str, which: str, row: dict[str, Any]) -> None:
        """A new one where none is open, or, at times, in place of the open one."""
        opened = self.house.sql(f"from {table} where {which} and _dlt_valid_to is null")
        if opened and self.random.randrange(2):
            return
        self.house.sql(
            f"update {table} set _dlt_valid_to = '{row['_dlt_valid_from']}' "
            f"where {which} and _dlt_valid_to is null"
        )
        self.house.add(table, row)


@pytest.mark.parametrize("seed", [1, 2])
def test_any_nights_end_as_a_build_from_nothing(tmp_path: Path, seed: int) -> None:
    house = MartHouse(tmp_path, marts__touch_ceiling_per_week=2, marts__timezone="Asia/Kolkata")
    nights, now = Nights(house, seed), NOW
    for days in (0, 1, 1, 0.5, 3):
        now += days * DAY
        nights.load(now)
        house.build(now)
    assert_as_from_nothing(house, now)
