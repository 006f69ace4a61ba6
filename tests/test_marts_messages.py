"""Messages and e-mails in the marts: attempts of Avaamo and inwise, the funnel, unsubscriptions."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.mart_house import MartHouse

DAY = datetime(2026, 2, 24, tzinfo=UTC)
TODAY = date(2026, 3, 2)


def at(hour: int, minute: int = 0, day: int = 24) -> datetime:
    return DAY.replace(day=day, hour=hour, minute=minute)


def mail(transaction: str, contact: str, sent: datetime, campaign: str = "7") -> dict[str, Any]:
    return {
        "transaction_id": transaction,
        "contact_id": contact,
        "campaign_id": campaign,
        "date_sent": sent,
        "email": f" Person{contact}@Example.com",
    }


def act(
    key: str, what: str, contact: str, when: datetime | None, campaign: str = "7"
) -> dict[str, Any]:
    return {
        "id": key,
        "action_type": f"email{what}",
        "contact_id": contact,
        "campaign_id": campaign,
        "action_date": when,
    }


def held(key: str, contact: str, reason: str | None, campaign: str = "7") -> dict[str, Any]:
    return {
        "id": key,
        "contact_id": contact,
        "campaign_id": campaign,
        "create_date": at(9),
        "email": f"person{contact}@example.com",
        "reason": reason,
    }


def insight(key: str, status: str | None, channel: str | None, **more: Any) -> dict[str, Any]:
    return {
        "id": key,
        "created_at": at(8),
        "delivery_status": status,
        "delivery_channel": channel,
        "campaign__id": "5",
        "campaign__name": "Reminders",
        **more,
    }


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> MartHouse:
    house = MartHouse(tmp_path_factory.mktemp("messages"))
    house.add(
        "avaamo.campaign_insights",
        insight("1", "Delivered", "sms", to_phone="+1 202 555 0101"),
        insight("2", "failed", "voice", error_code="AVM1015", error="Call to +12025550102 failed"),
        insight("3", "sent", "MS_Teams", to_email="Jo@Example.com"),
        insight("4", "Installed", "ms_teams", to_email="jo@example.com"),
        insight("5", "delivered", "middleware", campaign__name=None, campaign__id=""),
        insight("6", "Rejected", "sms", error_code="99"),
        insight("7", None, None, error_code=""),
        insight("8", "skipped", "sms"),
        insight("9", "delivered", "email", to_email="jo@example.com"),
    )
    house.add(
        "inwise.sent_emails",
        mail("a", "1", at(9)),
        mail("b", "2", at(9)),
        mail("c", "3", at(9)),
        mail("d", "4", at(9)),
        mail("e", "5", at(9)),
        mail("f", "5", at(9, day=25)),  # the same campaign to the same contact again
        mail("g", "", at(9), campaign=""),
    )
    house.add(
        "inwise.undelivered",
        held("31", "6", "Unsubscribed"),
        held("32", "7", "frequency_limit"),
        held("33", "8", "bounced"),
        held("34", "9", "moon"),
        held("35", "10", None),
    )
    house.add(
        "inwise.activities",
        act("1", "Opened", "1", at(9, 1)),  # at once: a machine
        act("2", "Opened", "2", at(9, 30)),
        act("3", "Opened", "2", at(9, 30)),  # two in one minute
        act("4", "Clicked", "2", at(9, 31)),
        act("5", "Unsubscribed", "2", at(9, 32)),
        act("6", "Bounced", "3", at(10)),
        act("7", "Bounced", "3", at(11)),
        act("8", "Opened", "5", at(12)),  # the first of the two mails
        act("9", "WebVersion", "5", at(12)),
        act("10", "Opened", "", at(12), campaign=""),
        act("11", "Teleported", "4", at(12)),
    )
    house.add(
        "inwise.recent_activities",
        act("2", "Opened", "2", at(9, 30)),  # the same id: activity 2
        act("900", "Opened", "2", at(9, 30)),  # another sequence: activity 3
        act("901", "Opened", "2", at(9, 30)),  # a third one in that minute
        act("4", "Clicked", "99", at(14)),  # another's id by accident
        act("902", "Clicked", "5", None),  # no time: the first mail's
    )
    counters = {"sent": 6, "undelivered": 62, "opens": 5, "opens_unique": 3, "bounces": 2}
    house.add(
        "inwise.activities_summary",
        {"campaign_id": "7", "observed_on": date(2026, 3, 1), "sent": 1},
        {"campaign_id": "7", "observed_on": TODAY, **counters, "bounces_unique": 1},
    )
    house.build()
    return house


def test_each_insight_is_an_attempt(house: MartHouse) -> None:
    assert house.sql(
        """
        select attempt_id, channel, direction, campaign_id, campaign_name, contact_key,
            outcome, outcome_detail, reached, source_key
        from marts.contact_attempts where vendor = 'avaamo' order by attempt_id
        """
    ) == [
        ("avaamo:1", "sms", *camp(), "+12025550101", "delivered", "delivered", True, "1"),
        ("avaamo:2", "voice", *camp(), None, "failed", "AVM1015", False, "2"),
        ("avaamo:3", "teams", *camp(), "jo@example.com", "sent", "sent", True, "3"),
        ("avaamo:4", "teams", *camp(), "jo@example.com", "pending", "installed", False, "4"),
        ("avaamo:5", "other", "outbound", *3 * [None], "delivered", "delivered", True, "5"),
        ("avaamo:6", "sms", *camp(), None, "unknown", "rejected", False, "6"),
        ("avaamo:7", "other", *camp(), None, "unknown", None, False, "7"),
        ("avaamo:8", "sms", *camp(), None, "skipped", "skipped", False, "8"),
        ("avaamo:9", "email", *camp(), "jo@example.com", "delivered", "delivered", False, "9"),
    ]


def camp() -> tuple[str, str, str]:
    return "outbound", "5", "Reminders"


def test_each_mail_is_an_attempt_held_back_or_not(house: MartHouse) -> None:
    assert house.sql(
        """
        select attempt_id, campaign_id, contact_key, strftime(occurred_at, '%d %H:%M'),
            outcome, outcome_detail, reached
        from marts.contact_attempts where vendor = 'inwise' order by attempt_id
        """
    ) == [
        ("inwise:31", "7", "person6@example.com", "24 09:00", "skipped", "unsubscribed", False),
        ("inwise:32", "7", "person7@example.com", "24 09:00", "skipped", "frequency_limit", False),
        ("inwise:33", "7", "person8@example.com", "24 09:00", "skipped", "bounced", False),
        ("inwise:34", "7", "person9@example.com", "24 09:00", "undelivered", "moon", False),
        ("inwise:35", "7", "person10@example.com", "24 09:00", "undelivered", None, False),
        ("inwise:a|1|7", "7", "person1@example.com", "24 09:00", "delivered", "emailOpened", True),
        ("inwise:b|2|7", "7", "person2@example.com", "24 09:00", "delivered", "emailClicked", True),
        ("inwise:c|3|7", "7", "person3@example.com", "24 09:00", "bounced", "emailBounced", False),
        ("inwise:d|4|7", "7", "person4@example.com", "24 09:00", "delivered", None, False),
        ("inwise:e|5|7", "7", "person5@example.com", "24 09:00", "delivered", "emailClicked", True),
        ("inwise:f|5|7", "7", "person5@example.com", "25 09:00", "delivered", None, False),
        ("inwise:g||", None, "person@example.com", "24 09:00", "delivered", None, False),
    ]


def test_the_funnel_of_a_campaign(house: MartHouse) -> None:
    seven, none = house.rows("select * from marts.email_funnel order by campaign_id desc")
    assert seven == {
        "campaign_id": "7",
        "first_sent_at": at(9),
        "last_sent_at": at(9, day=25),
        "vendor_observed_on": TODAY,
        "sent": 6,
        "undelivered": 5,
        "undelivered_unsubscribed": 1,
        "undelivered_frequency_limit": 1,
        "undelivered_bounced": 1,
        "undelivered_other": 2,
        "bounced": 1,
        "bounced_mails": 1,
        "delivered": 5,
        "opens": 5,
        "unique_opens": 3,
        "adjusted_opens": 4,
        "adjusted_unique_opens": 2,
        "clicks": 3,
        "unique_clicks": 3,
        "unsubscribes": 1,
        "unique_unsubscribes": 1,
        "web_versions": 1,
        "delivered_rate_pct": 83.33,
        "bounce_rate_pct": 16.67,
        "open_rate_pct": 60.0,
        "adjusted_open_rate_pct": 40.0,
        "click_rate_pct": 40.0,  # a third click is of a contact without a mail
        "click_to_open_rate_pct": 100.0,
        "unsubscribe_rate_pct": 20.0,
        "vendor_sent": 6,
        "vendor_undelivered": 62,
        "vendor_opens": 5,
        "vendor_unique_opens": 3,
        "vendor_clicks": None,
        "vendor_unique_clicks": None,
        "vendor_bounces": 2,
        "vendor_unique_bounces": 1,
        "vendor_unsubscribes": None,
        "vendor_unique_unsubscribes": None,
        "sent_difference": 0,
        "undelivered_difference": -57,
        "opens_difference": 0,
        "clicks_difference": None,
        "bounces_difference": 0,
        "unsubscribes_difference": None,
        "raw_rows": 28,
    }
    assert (none["campaign_id"], none["sent"], none["opens"], none["raw_rows"]) == ("", 1, 1, 2)


def test_a_rate_is_of_the_mails_that_are_here(tmp_path: Path) -> None:
    house = MartHouse(tmp_path)
    house.add(
        "inwise.sent_emails",
        *(mail("a", "1", at(9)), mail("b", "1", at(9, day=25))),  # both came back
        *(mail("c", "2", at(9), campaign="8"), mail("d", "3", at(9), campaign="8")),
    )
    house.add(
        "inwise.activities",
        *(act("1", "Bounced", "1", at(10)), act("2", "Bounced", "1", at(10, day=25))),
        act("3", "Opened", "2", at(10), campaign="8"),
        # of mails from before the first day loaded
        *(act(f"b{n}", "Bounced", f"{n}", at(10), campaign="8") for n in range(10, 15)),
        *(act(f"o{n}", "Opened", f"{n}", at(10), campaign="8") for n in range(20, 25)),
    )
    errors = [str(verdict) for verdict in house.build() if verdict.severity == "error"]
    assert errors == []
    funnel = house.sql(
        "select campaign_id, sent, bounced, bounced_mails, delivered, unique_opens, "
        "delivered_rate_pct, bounce_rate_pct, open_rate_pct "
        "from marts.email_funnel order by campaign_id"
    )
    assert funnel == [
        ("7", 2, 1, 2, 0, 0, 0.0, 100.0, None),
        ("8", 2, 5, 0, 2, 6, 100.0, 0.0, 50.0),
    ]
    days = "select campaign_id, sum(delivered)::int, sum(bounced)::int from marts.campaign_daily"
    assert house.sql(f"{days} group by all order by all") == [("7", 0, 2), ("8", 2, 0)]


def test_who_unsubscribed_by_a_link_or_earlier(house: MartHouse) -> None:
    assert house.sql(
        """
        select contact_key, unsubscribed_at from marts.contacts
        where is_unsubscribed order by contact_key
        """
    ) == [("person2@example.com", at(9, 32)), ("person6@example.com", at(9))]


def test_the_audit_passes_and_names_new_words(house: MartHouse) -> None:
    found = {
        verdict.test: (verdict.severity, verdict.rows, dict(verdict.vendors))
        for verdict in house.verdicts
        if set(verdict.vendors) & {"avaamo", "inwise"}
    }
    assert found == {
        "avaamo_new_words": ("warn", 3, {"avaamo": 3}),
        "inwise_new_words": ("warn", 2, {"inwise": 2}),
    }


def test_what_comes_later_is_built_as_from_nothing(tmp_path: Path) -> None:
    house = MartHouse(tmp_path)
    house.add("avaamo.campaign_insights", insight("1", "pending", "voice"))
    house.add(
        "inwise.sent_emails",
        *(mail(f"a{n}", str(n), at(9)) for n in range(1, 30)),
        mail("x", "1", at(9), campaign="8"),
        mail("y", "1", at(9), campaign="9"),
    )
    house.add("inwise.undelivered", held("1", "50", "other"), held("2", "51", "other", "8"))
    house.add(
        "inwise.activities",
        act("1", "Opened", "1", at(10)),
        act("2", "Opened", "2", at(10)),
        act("3", "Opened", "3", at(10, day=26)),
        act("4", "Clicked", "1", at(10), campaign="9"),
    )
    assert house.build() == []

    house.sql("delete from avaamo.campaign_insights")
    house.add("avaamo.campaign_insights", insight("1", "delivered", "voice"))
    house.add("inwise.sent_emails", mail("again", "3", at(9, day=26)))  # takes the open over
    house.add(
        "inwise.recent_activities",
        act("2", "Opened", "2", at(10)),
        *(act(str(n), "Opened", str(n), at(11)) for n in range(5, 30)),
        act("77", "Bounced", "1", at(11)),
        act("78", "Unsubscribed", "2", at(11)),
    )
    house.sql("delete from inwise.undelivered where id = '2'")
    house.add("inwise.undelivered", held("2", "51", "unsubscribed", "9"))  # it has left campaign 8
    house.sql("delete from inwise.sent_emails where transaction_id = 'y'")
    house.add("inwise.sent_emails", mail("y", "1", at(9, 5), campaign="9"))
    house.add(
        "inwise.activities_summary",
        {"campaign_id": "8", "observed_on": TODAY, "sent": 400, "opens": 3},
        {"campaign_id": "10", "observed_on": TODAY, "sent": 4},
    )

    house.build()
    step_by_step = marts_of(house)
    assert [row[:4] for row in step_by_step["email_funnel"]] == [
        ("10", None, None, TODAY),
        ("7", at(9), at(9, day=26), None),
        ("8", at(9), at(9), TODAY),
        ("9", at(9, 5), at(9, 5), None),
    ]
    assert house.sql(
        """
        select attempt_id, outcome, reached from marts.contact_attempts
        where attempt_id in ('avaamo:1', 'inwise:a1|1|7', 'inwise:a3|3|7', 'inwise:again|3|7')
        order by attempt_id
        """
    ) == [
        ("avaamo:1", "delivered", True),
        ("inwise:a1|1|7", "bounced", True),
        ("inwise:a3|3|7", "delivered", False),
        ("inwise:again|3|7", "delivered", True),
    ]
    assert house.sql("select undelivered from marts.email_funnel order by campaign_id") == [
        (0,),
        (1,),
        (0,),
        (1,),
    ]
    house.rebuild()
    assert marts_of(house) == step_by_step
    assert {verdict.test: verdict.rows for verdict in house.verdicts} == {
        "inwise_feed_not_in_activities": 1,
    }


def marts_of(house: MartHouse) -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: house.sql(f"select * from marts.{name} order by all")
        for name in ("contact_attempts", "contacts", "campaigns", "email_funnel")
    }


def test_nothing_at_all_is_no_error(tmp_path: Path) -> None:
    house = MartHouse(tmp_path)
    assert house.build() == []
    assert house.sql("select count(*) from marts.email_funnel") == [(0,)]


def test_the_latest_unsubscription_of_an_address_counts(tmp_path: Path) -> None:
    house = MartHouse(tmp_path)
    house.add("inwise.sent_emails", mail("a", "1", at(9)), mail("b", "6", at(9)))
    first, last = act("1", "Unsubscribed", "1", at(10)), act("2", "Unsubscribed", "1", at(12))
    house.add("inwise.activities", first, last)
    house.add("inwise.undelivered", held("3", "1", "unsubscribed"), held("4", "6", "unsubscribed"))
    house.build()
    assert house.sql("select contact_key, unsubscribed_at from marts.contacts order by 1") == [
        ("person1@example.com", at(12)),
        ("person6@example.com", at(9)),
    ]
