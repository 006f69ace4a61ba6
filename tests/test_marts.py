"""The marts over all vendors: people, campaigns, days, hours, ceilings."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.mart_house import NOW, MartHouse

PHONE, OTHER, EMAIL = "+14155550101", "+14155550102", "kim@example.com"
TODAY = date(2026, 3, 2)  # of NOW, in the configured zone as in UTC
CROSS_VENDOR = ("contacts", "campaigns", "campaign_daily", "best_hours", "over_contacted")


def message(key: str, to: str, hours_ago: float, status: str = "delivered") -> dict[str, Any]:
    return {
        "id": key,
        "to_phone": to,
        "created_at": NOW - timedelta(hours=hours_ago),
        "delivery_status": status,
        "delivery_channel": "sms",
        "campaign__id": "7",
        "campaign__name": "Spring",
    }


def contact(counter: int, at: Any, **more: Any) -> dict[str, Any]:
    return {
        "campaign_id": "k1",
        "occurrence": 0,
        "phone_number": PHONE[1:],
        "unique_id": "",
        "number_of_attempts_so_far": counter,
        "dialer_outcome": "completed",
        "row_version": f"{counter}-{at}",
        "_dlt_valid_from": at,
        **more,
    }


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> MartHouse:
    """One person over four systems, one over one, one by e-mail alone, and a call within."""
    house = MartHouse(tmp_path_factory.mktemp("marts"), marts__touch_ceiling_per_week=3)
    house.add(
        "avaamo.campaign_insights",
        *[message(f"m{n}", PHONE, 1 + n) for n in range(4)],
        message("m8", OTHER, 24 * 8),
        message("m9", OTHER, 24 * 40, "failed"),
    )
    house.add(
        "inwise.sent_emails",
        {
            "transaction_id": "t1",
            "contact_id": "1",
            "campaign_id": "5",
            "date_sent": NOW - timedelta(days=2),
            "email": f" {EMAIL.title()} ",
        },
    )
    house.add(
        "inwise.activities",
        {
            "id": "a1",
            "action_type": "emailUnsubscribed",
            "contact_id": "1",
            "campaign_id": "5",
            "action_date": NOW - timedelta(days=1),
        },
    )
    house.add(
        "vonage.interactions",
        {"guid": "v1", "direction": "Inbound", "medium": "Phone", "connect_from": PHONE}
        | {"start": NOW - timedelta(days=20), "status": "Completed", "duration": 1000},
        {"guid": "v2", "direction": "Internal", "medium": "Phone", "connect_from": PHONE}
        | {"start": NOW, "status": "Completed", "duration": 1000},
    )
    night, next_night = NOW - timedelta(days=1, hours=10), NOW - timedelta(hours=10)
    house.add("koreai.campaigns", {"id": "k1", "name": "Bot", "status": "Active"})
    house.add(
        "koreai.campaign_contacts",
        contact(2, night, _dlt_valid_to=next_night),
        contact(3, next_night),
    )
    house.add("dialer.campaigns", {"id": "d1", "name": "Quiet", "status": "stopped"})
    house.add(
        "dialer.lead_history",
        {"call_key": "c1", "campaign_name": "Long gone", "lead_number": PHONE}
        | {"timestamp": NOW - timedelta(days=100)},
    )
    house.build()
    return house


def test_no_test_of_the_audit_fails(house: MartHouse) -> None:
    assert [str(v) for v in house.verdicts if v.severity == "error"] == []


def test_a_person_is_one_over_all_systems(house: MartHouse) -> None:
    people = {row["contact_key"]: row for row in house.rows("from marts.contacts")}
    assert set(people) == {PHONE, OTHER, EMAIL}
    kim = people[EMAIL]
    assert (kim["channels"], kim["is_unsubscribed"], kim["attempts"]) == ("email", True, 1)
    assert people[PHONE] == {
        "contact_key": PHONE,
        "phone": PHONE,
        "email": None,
        "channels": "sms, voice",
        "vendors": "avaamo, dialer, koreai, vonage",
        "first_contact_at": NOW - timedelta(days=100),
        "last_contact_at": NOW - timedelta(hours=1),
        "unsubscribed_at": None,
        "is_unsubscribed": False,
        "last_channel": "sms",
        "last_outcome": "delivered",
        "attempts": 4 + 1 + 3 + 1,  # without the call within the house
        "reached_attempts": people[PHONE]["reached_attempts"],
        # of Kore.ai's three calls only the last lies between two observations of these days
        "attempts_last_7_days": 4 + 1,
        "attempts_last_30_days": 4 + 1 + 1,
        "touches_last_7_days": 4 + 1,
        "touches_last_30_days": 4 + 1,
    }


def test_what_was_there_at_first_sight_makes_no_spike(house: MartHouse) -> None:
    attempts = house.rows(
        "select occurred_at, occurred_on, occurred_after, earliest_on, latest_on, is_observed "
        "from marts.contact_attempts where vendor = 'koreai' order by attempt_id"
    )
    seen_before = [row for row in attempts if row["occurred_at"] is None]
    [later] = [row for row in attempts if row["occurred_at"]]
    assert len(seen_before) == 2
    assert later["earliest_on"] == TODAY - timedelta(days=1)
    assert later["latest_on"] == TODAY
    assert later["occurred_on"] is None, "it may have been on either day"
    assert all(row["is_observed"] for row in attempts)
    assert house.sql(
        "select occurred_on, attempts from marts.campaign_daily where vendor = 'koreai'"
    ) == [(None, 3)]
    assert house.sql("select count(*) from marts.best_hours where channel = 'voice'") == [(1,)]


def test_campaigns_of_all_vendors_are_listed_with_what_is_known_of_them(house: MartHouse) -> None:
    assert house.sql(
        "select vendor, campaign_id, campaign_name, channel, status, attempts, is_deleted "
        "from marts.campaigns order by all"
    ) == [
        ("avaamo", "7", "Spring", "sms", None, 6, False),
        ("dialer", "Long gone", "Long gone", "voice", None, 1, False),
        ("dialer", "d1", "Quiet", "voice", "stopped", 0, False),
        ("inwise", "5", None, "email", None, 1, False),
        ("koreai", "k1", "Bot", "voice", "Active", 3, False),
    ]


def test_days_of_a_campaign_add_up(house: MartHouse) -> None:
    assert house.sql(
        "select occurred_on, attempts, delivered, failed, unique_contacts, delivered_rate_pct "
        "from marts.campaign_daily where vendor = 'avaamo' order by 1"
    ) == [
        (TODAY - timedelta(days=40), 1, 0, 1, 1, 0.0),
        (TODAY - timedelta(days=8), 1, 1, 0, 1, 100.0),
        (TODAY, 4, 4, 0, 1, 100.0),
    ]


def test_who_is_contacted_too_often_is_found_over_all_channels(house: MartHouse) -> None:
    assert house.sql(
        "select contact_key, week_starts_on, busiest_day_on, channels, touches, "
        "busiest_day_touches, touches_last_7_days, weeks_over_ceiling, ceiling, is_over_now "
        "from marts.over_contacted"
    ) == [(PHONE, TODAY, TODAY, "sms, voice", 4, 4, 5, 1, 3, True)]


def test_hours_carry_an_honest_bound(house: MartHouse) -> None:
    [row] = house.sql(
        "select attempts, reached, reached_rate_low_pct, reached_rate_high_pct, "
        "is_sample_large_enough from marts.best_hours where channel = 'email'"
    )
    attempts, reached, low, high, enough = row
    assert (attempts, reached, enough) == (1, 0, False)
    assert low == 0
    assert high == pytest.approx(79.35, abs=0.01)  # Wilson's interval for none of one


def test_a_day_is_a_day_of_the_configured_zone(tmp_path: Path) -> None:
    house = MartHouse(tmp_path, marts__timezone="Asia/Jerusalem")
    house.add("avaamo.campaign_insights", message("m1", PHONE, -10.5))  # 22:30 UTC
    house.build()
    assert house.sql("select occurred_on from marts.contact_attempts") == [(date(2026, 3, 3),)]
    assert house.sql("select weekday, hour from marts.best_hours") == [(2, 0)]


def test_a_night_of_changes_ends_as_a_build_from_nothing(tmp_path: Path) -> None:
    house = MartHouse(tmp_path)
    rows = [message(f"m{n}", PHONE if n % 2 else OTHER, n) for n in range(20)]
    house.add("avaamo.campaign_insights", *rows)
    house.build()
    house.sql("delete from avaamo.campaign_insights where id in ('m1', 'm2')")
    changed = [
        message("m1", OTHER, 1, "failed"),
        message("m2", OTHER, 50),
        message("m99", PHONE, 0),
    ]
    house.add("avaamo.campaign_insights", *changed)
    later = NOW + timedelta(days=1)
    house.build(later)
    by_night = {mart: house.rows(f"from marts.{mart} order by all") for mart in CROSS_VENDOR}
    house.rebuild(later)
    for mart, rows in by_night.items():
        assert house.rows(f"from marts.{mart} order by all") == rows, mart
