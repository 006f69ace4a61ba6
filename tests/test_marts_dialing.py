"""Calls by Kore.ai and the dialer in the marts: attempts, leads and what became of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.audit import Verdict
from sources.koreai import FINISHED
from tests.mart_house import NOW, MartHouse

RUN_1 = datetime(2026, 2, 26, 2, 0, tzinfo=UTC)
RUN_2, RUN_3, RUN_4 = (RUN_1 + timedelta(days=n) for n in (1, 2, 3))
CALLED = datetime(2026, 2, 25, 9, 0, tzinfo=UTC)
MARTS = {
    "contact_attempts": "attempt_id",
    "leads": "lead_id",
    "lead_status_history": "lead_id, observed_from",
}


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def seen(
    attempts: int | None, since: datetime, until: datetime | None = None, **more: Any
) -> dict[str, Any]:
    """A version of a Kore.ai contact."""
    return {
        "campaign_id": "k1",
        "phone_number": "12025550101",
        "unique_id": "",
        "occurrence": 0,
        "number_of_attempts_so_far": attempts,
        "dialer_outcome": "completed",
        "bot_outbound_status": "userHangUp",
        "agent_disposition_codes": [],
        "_dlt_valid_from": since,
        "_dlt_valid_to": until,
        **more,
    }


def observe(
    house: MartHouse, at: datetime, *said: tuple[int, str], phone: str = "15550102"
) -> None:
    """What a run leaves of contacts with equal keys: counter and outcome, numbered by what they say
    as `sources.koreai` does; what is as it was keeps its version."""
    table, key = "koreai.campaign_contacts", f"phone_number = '{phone}' and _dlt_valid_to is null"
    now = dict(enumerate(sorted(said, key=lambda each: each[1])))
    before = {
        occurrence: (counter, outcome)
        for occurrence, counter, outcome in house.sql(
            f"select occurrence, number_of_attempts_so_far, dialer_outcome from {table} where {key}"
        )
    }
    for occurrence in before.keys() | now.keys():
        if before.get(occurrence) == now.get(occurrence):
            continue
        house.sql(
            f"update {table} set _dlt_valid_to = '{at}' where {key} and occurrence = {occurrence}"
        )
        if occurrence in now:
            counter, outcome = now[occurrence]
            more: dict[str, Any] = {"bot_outbound_status": "", "phone_number": phone}
            more |= {"occurrence": occurrence, "dialer_outcome": outcome}
            house.add(table, seen(counter, at, **more))


def named(name: str | None, since: datetime, until: datetime | None = None) -> dict[str, Any]:
    """A version of a Kore.ai campaign."""
    return {"id": "k1", "name": name, "_dlt_valid_from": since, "_dlt_valid_to": until}


def campaign(key: str, name: str, **more: Any) -> dict[str, Any]:
    return {"id": key, "name": name, "status": "running", **more}


def call(key: str, **more: Any) -> dict[str, Any]:
    return {
        "call_key": key,
        "timestamp": CALLED,
        "campaign_name": "Renewals",
        "lead_number": "+12025550111",
        "agent_name": "Agent Adler",
        "agent_extension": "0107",
        **more,
    }


def lead(
    key: str, status: str | None, since: datetime, until: datetime | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "id": key,
        "campaign_id": "c1",
        "created": CALLED - timedelta(hours=1),
        "number": "+1 (202) 555-0111",
        "status": status,
        "_dlt_valid_from": since,
        "_dlt_valid_to": until,
        **more,
    }


def errors(verdicts: list[Verdict]) -> list[str]:
    return [str(verdict) for verdict in verdicts if verdict.severity == "error"]


def warned(verdicts: list[Verdict]) -> dict[str, int]:
    return {verdict.test: verdict.rows for verdict in verdicts if verdict.severity == "warn"}


def snapshot(house: MartHouse) -> dict[str, list[tuple[Any, ...]]]:
    return {mart: house.sql(f"from marts.{mart} order by {key}") for mart, key in MARTS.items()}


@pytest.fixture
def house(tmp_path: Path) -> MartHouse:
    return MartHouse(tmp_path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> MartHouse:
    """All the cases below that need no second night, built once."""
    filled = MartHouse(tmp_path_factory.mktemp("dialing"))
    filled.add("koreai.campaigns", named("Bills", RUN_1, RUN_3), named("Bills 2", RUN_3))
    filled.add("koreai.campaign_contacts", *STEPS, *FALLS, *SAID)
    filled.add(
        "dialer.campaigns",
        campaign("c1", "Renewals", total_leads=5),
        campaign("c2", "Survey", total_leads=1),
        campaign("c9", "Evidence"),
    )
    filled.add("dialer.leads", *LEADS)
    filled.add("dialer.lead_history", *CALLS, *CALLS_OF_LEADS)
    filled.add("dialer.campaign_lead_counts", *COUNTS)
    filled.build()
    return filled


def test_the_audit_has_no_quarrel_with_them(filled: MartHouse) -> None:
    assert errors(filled.verdicts) == []
    warnings = warned(filled.verdicts)
    assert warnings["koreai_and_dialer_words"] == 2  # moonlight and Rückruf
    assert warnings["dialer_leads_counted"] == 2  # c1 as a whole, and its new ones
    assert warnings["dialer_calls_without_campaign"] == 1


# --- Kore.ai -------------------------------------------------------------------------------------

WAITS: dict[str, Any] = {"dialer_outcome": "", "bot_outbound_status": ""}
STEPS = [
    seen(2, RUN_1, RUN_2, **WAITS),
    seen(2, RUN_2, RUN_3, dialer_outcome="no-answer", bot_outbound_status=""),
    # gone for a night, and called twice more
    seen(4, RUN_4, dialer_outcome="", bot_outbound_status="agentHangUp"),
    seen(0, RUN_1, unique_id="never called"),
]


def steps(house: MartHouse, campaign_id: str, unique_id: str) -> list[tuple[Any, ...]]:
    return house.sql(
        "select occurred_at, occurred_after, outcome, outcome_detail, campaign_name "
        f"from marts.contact_attempts where source_key like '{campaign_id}|%|{unique_id}|0|%' "
        "order by occurred_at nulls first, string_split(attempt_id, '|')[-1]::int"
    )


def test_each_step_of_a_counter_is_an_attempt(filled: MartHouse) -> None:
    contact = f"k1|12025550101||0|{micros(RUN_4)}"
    assert filled.rows("from marts.contact_attempts where campaign_id = 'k1' and reached") == [
        {
            "attempt_id": f"koreai:{contact}|2",
            "occurred_at": RUN_4,
            "occurred_on": None,
            "occurred_after": RUN_2,
            "earliest_on": RUN_2.date(),
            "latest_on": RUN_4.date(),
            "is_observed": True,
            "vendor": "koreai",
            "channel": "voice",
            "direction": "outbound",
            "campaign_id": "k1",
            "campaign_name": "Bills 2",
            "contact_key": "+12025550101",
            "phone": "+12025550101",
            "email": None,
            "agent_id": None,
            "outcome": "answered",
            "outcome_detail": "agentHangUp",
            "is_delivered": True,
            "reached": True,
            "is_touch": True,
            "duration_seconds": None,
            "source_table": "koreai.campaign_contacts",
            "source_key": contact,
        }
    ]
    assert steps(filled, "k1", "") == [
        (None, None, "unknown", None, "Bills"),
        (None, None, "no_answer", "no-answer", "Bills"),
        (RUN_4, RUN_2, "unknown", None, "Bills 2"),
        (RUN_4, RUN_2, "answered", "agentHangUp", "Bills 2"),
    ]


FALLS = [
    version | {"campaign_id": "k2"}
    for version in (
        seen(1, RUN_1, RUN_2, **WAITS),
        seen(0, RUN_2, RUN_3, **WAITS),
        seen(1, RUN_3, RUN_4, dialer_outcome="busy"),
        seen(1, RUN_4, **WAITS),
        seen(3, RUN_1, RUN_2, unique_id="x"),
        seen(None, RUN_2, RUN_3, unique_id="x"),
        seen(1, RUN_3, unique_id="x", dialer_outcome="moonlight", bot_outbound_status=""),
        seen(10**12, RUN_1, unique_id="absurd"),
    )
]


def test_a_counter_that_falls_began_anew(filled: MartHouse) -> None:
    assert steps(filled, "k2", "") == [
        (None, None, "unknown", None, None),  # overtaken by the next run of the campaign
        (RUN_3, RUN_2, "pending", None, None),  # the last that is told of it
    ]
    assert steps(filled, "k2", "x") == [
        (None, None, "unknown", None, None),
        (None, None, "unknown", None, None),
        (None, None, "answered", "completed / userHangUp", None),
        (RUN_3, RUN_1, "unknown", "moonlight", None),
    ]


# Nights of contacts with equal keys, and what the attempts after the first night came to.
EQUAL: dict[str, tuple[list[list[tuple[int, str]]], list[tuple[datetime, str]]]] = {
    "as they were": ([[(5, "busy"), (1, "no-answer")]] * 3, []),
    "one moves, and both change their numbers": (
        [[(5, "busy"), (1, "no-answer")], [(6, "voicemail"), (1, "no-answer")]],
        [(RUN_2, "voicemail")],
    ),
    "one goes, and the other changes its number": (
        [[(1, "busy"), (6, "no-answer")], [(6, "no-answer")]],
        [],
    ),
    "one goes, the other moves, a third comes": (
        [[(1, "busy"), (6, "no-answer")], [(7, "busy")], [(7, "busy"), (0, "")]],
        [(RUN_2, "busy")],
    ),
    "both move": (
        [[(2, "busy"), (1, "no-answer")], [(3, "no-answer"), (2, "busy")]],
        [(RUN_2, "no_answer"), (RUN_2, "unknown")],  # 2 is taken for the one that stood at 2
    ),
    "one is gone for a night, and the other moves after it": (
        [[(6, "busy"), (9, "no-answer")], [(6, "busy")], [(7, "voicemail")]],
        [(RUN_3, "voicemail")],
    ),
    "one comes back, called": (
        [[(6, "busy"), (2, "no-answer")], [(6, "busy")], [(6, "busy"), (3, "failed")]],
        [(RUN_3, "failed")],
    ),
    "all were gone for a night": (
        [[(2, "busy"), (1, "no-answer")], [], [(3, "failed"), (1, "no-answer")]],
        [(RUN_3, "failed")],
    ),
    "run again": (
        [[(2, "busy"), (1, "busy")], [(0, ""), (0, "")], [(1, "failed"), (0, "")]],
        [(RUN_3, "failed")],
    ),
    "what became of a call is told later, under another number": (
        [[(0, "a"), (0, "b")], [(1, ""), (0, "b")], [(1, "voicemail"), (0, "b")]],
        [(RUN_2, "voicemail")],
    ),
}


def test_equal_keys_in_great_number_are_each_a_contact(house: MartHouse) -> None:
    """DuckDB joins as of a time in another way from 65 rows on; that one matches nulls."""
    pairs = [
        seen(attempts, RUN_1, phone_number=f"1202555{n:04}", occurrence=occurrence)
        for n in range(70)
        for occurrence, attempts in enumerate((1, 2))
    ]
    house.add("koreai.campaign_contacts", *pairs)
    assert errors(house.build()) == []
    made = "select phone, count(*), count(distinct source_key) from marts.contact_attempts group by"
    assert house.sql(f"{made} all order by all") == [(f"+1202555{n:04}", 3, 2) for n in range(70)]


@pytest.mark.parametrize("case", EQUAL)
def test_contacts_with_equal_keys_are_told_apart_by_their_counters(
    house: MartHouse, case: str
) -> None:
    nights, later = EQUAL[case]
    for at, said in zip((RUN_1, RUN_2, RUN_3), nights, strict=False):
        observe(house, at, *said)
        assert errors(house.build(at)) == []
    assert (
        house.sql(
            "select occurred_at, outcome from marts.contact_attempts "
            "where occurred_at is not null order by all"
        )
        == later
    )
    step_by_step = snapshot(house)
    house.rebuild()
    assert snapshot(house) == step_by_step


def test_of_attempts_at_one_time_the_last_outcome_is_one_that_is_known(house: MartHouse) -> None:
    house.add("koreai.campaign_contacts", seen(0, RUN_1, RUN_2, **WAITS), seen(2, RUN_2))
    assert errors(house.build()) == []
    assert house.sql("select attempts, last_outcome from marts.contacts") == [(2, "answered")]


def ran(at: datetime, status: str = "ok", vendor: str = "koreai", told: str = "") -> dict[str, Any]:
    """A run of five minutes that loaded its rows at `at`."""
    return {
        "run_id": f"{vendor} {at}",
        "vendor": vendor,
        "started_at": at - timedelta(minutes=3),
        "ended_at": at + timedelta(minutes=2),
        "status": status,
        "warnings": f'["{told}"]',
    }


REFUSED = "contacts of campaign k1: the vendor answers 'error'; they stay as they were"


@pytest.mark.parametrize(
    ("status", "runs", "after"),
    [
        ("Active", [ran(RUN_1), ran(RUN_2), ran(RUN_3), ran(RUN_4)], RUN_3 - timedelta(minutes=3)),
        (None, [ran(RUN_1), ran(RUN_2)], RUN_2 - timedelta(minutes=3)),
        ("Active", [ran(RUN_1), ran(RUN_2, "held"), ran(RUN_3, "failed")], RUN_1),
        ("Active", [ran(RUN_1), ran(RUN_2, told=REFUSED), ran(RUN_3, vendor="dialer")], RUN_1),
        *((finished, [ran(RUN_1), ran(RUN_2), ran(RUN_3)], RUN_1) for finished in FINISHED),
    ],
)
def test_an_attempt_lies_behind_the_last_run_that_read_its_contact(
    house: MartHouse, status: str | None, runs: list[dict[str, Any]], after: datetime
) -> None:
    """Which left no version where it found the contact as it was."""
    house.record(*runs)
    house.add("koreai.campaigns", named("Bills", RUN_1) | {"status": status})
    house.add("koreai.campaign_contacts", seen(1, RUN_1, RUN_4), seen(2, RUN_4))
    house.build()
    assert errors(house.verdicts) == []
    assert house.sql(
        "select occurred_at, occurred_after, occurred_on from marts.contact_attempts "
        "where occurred_at is not null"
    ) == [(RUN_4, after, None)]


def test_an_attempt_of_a_contact_that_was_gone_lies_behind_its_last_version(
    house: MartHouse,
) -> None:
    house.record(ran(RUN_1), ran(RUN_2), ran(RUN_3))
    house.add("koreai.campaigns", named("Bills", RUN_1))
    house.add("koreai.campaign_contacts", seen(1, RUN_1, RUN_2), seen(2, RUN_4))
    house.build()
    assert house.sql(
        "select occurred_after from marts.contact_attempts where occurred_at is not null"
    ) == [(RUN_1,)]


def test_a_run_while_the_campaign_was_not_finished_counts_when_it_is(house: MartHouse) -> None:
    house.record(ran(RUN_1), ran(RUN_2), ran(RUN_3), ran(RUN_4))
    first, last = named("Bills", RUN_1, RUN_3), named("Bills", RUN_3)
    house.add("koreai.campaigns", first | {"status": "Active"}, last | {"status": "Completed"})
    house.add("koreai.campaign_contacts", seen(1, RUN_1, RUN_4), seen(2, RUN_4))
    house.build()
    assert house.sql(
        "select occurred_after from marts.contact_attempts where occurred_at is not null"
    ) == [(RUN_2 - timedelta(minutes=3),)]


WORDS = [
    ("completed", "userHangUp", "user_hangup", [], "answered"),
    ("", "userHangUp", "Client side", [], "answered"),
    ("completed", "", None, [], "answered"),
    ("Completed", "No-Answer", "", [], "no_answer"),
    ("BUSY", "userHangUp", "", [], "busy"),
    ("completed", "agentHangUp", "", ["Follow up", "Voicemail"], "voicemail"),
    ("machine_detected", "", "", [], "voicemail"),
    ("DROP-OFF", "", "", [], "abandoned"),
    ("", "", "", [], "pending"),
    (None, None, None, None, "pending"),
    ("", "", "", ["System Generated"], "unknown"),
    ("", "Rückruf ✓", "", [], "unknown"),
]


SAID = [
    seen(
        1,
        RUN_1,
        campaign_id="k3",
        unique_id=f"{n:02}",
        dialer_outcome=dialer,
        bot_outbound_status=bot,
        bot_outbound_status_detail=detail,
        agent_disposition_codes=codes,
    )
    for n, (dialer, bot, detail, codes, _) in enumerate(WORDS)
]


def test_the_words_of_koreai(filled: MartHouse) -> None:
    assert filled.sql(
        "select outcome, reached from marts.contact_attempts where campaign_id = 'k3' "
        "order by source_key"
    ) == [(outcome, outcome == "answered") for *_, outcome in WORDS]


# --- the dialer ----------------------------------------------------------------------------------

EVIDENCE: list[tuple[dict[str, Any], str, str | None]] = [
    ({}, "unknown", None),
    ({"agent_talk_time": 12.5}, "answered", None),
    ({"agent_talk_time": -1, "hangup_cause": "NORMAL_CLEARING"}, "unknown", "NORMAL_CLEARING"),
    ({"agent_talk_time": 0, "hangup_cause": "USER_BUSY"}, "busy", "USER_BUSY"),
    ({"hangup_cause": "18"}, "no_answer", "18"),
    ({"hangup_cause": "unallocated_number"}, "failed", "unallocated_number"),
    ({"disposition": "Voicemail", "agent_talk_time": 3}, "voicemail", "Voicemail"),
    ({"disposition": "NO ANSWER"}, "no_answer", "NO ANSWER"),
    ({"agent_disposition": "Call back", "agent_talk_time": 40}, "answered", "Call back"),
    ({"status": "success"}, "answered", "success"),
    ({"status": "new", "lead_history": [{"event": "Lead_Hangup"}]}, "answered", "new"),
    ({"lead_history": [{"event": "agent_answer"}, {"event": None}, 7]}, "unknown", None),
    ({"lead_history": {"event": "transfer"}}, "unknown", None),
]


CALLS = [
    call(f"{n:02}", campaign_name="Evidence", lead_number="+12025550199", **said)
    for n, (said, *_) in enumerate(EVIDENCE)
]


def test_what_became_of_a_call(filled: MartHouse) -> None:
    assert filled.sql(
        "select outcome, outcome_detail from marts.contact_attempts where campaign_id = 'c9' "
        "order by source_key"
    ) == [(outcome, detail) for _, outcome, detail in EVIDENCE]
    assert filled.rows("from marts.contact_attempts where source_key = '01'") == [
        {
            "attempt_id": "dialer:01",
            "occurred_at": CALLED,
            "occurred_on": CALLED.date(),
            "occurred_after": None,
            "earliest_on": CALLED.date(),
            "latest_on": CALLED.date(),
            "is_observed": False,
            "vendor": "dialer",
            "channel": "voice",
            "direction": "outbound",
            "campaign_id": "c9",
            "campaign_name": "Evidence",
            "contact_key": "+12025550199",
            "phone": "+12025550199",
            "email": None,
            "agent_id": "0107",
            "outcome": "answered",
            "outcome_detail": None,
            "is_delivered": True,
            "reached": True,
            "is_touch": True,
            "duration_seconds": 12.5,
            "source_table": "dialer.lead_history",
            "source_key": "01",
        }
    ]


CAMPAIGN_OF = (
    "select source_key, campaign_id from marts.contact_attempts where vendor = 'dialer' order by 1"
)


def test_a_call_belongs_to_the_campaign_that_bears_its_name_now(house: MartHouse) -> None:
    house.add(
        "dialer.campaigns",
        campaign("c1", "Renewals"),
        campaign("c2", "Survey", deleted_at=RUN_1),
        campaign("c3", "Survey"),
        campaign("c4", "Twins"),
        campaign("c5", "Twins"),
    )
    names = ("Renewals", "Survey", "Twins", "Gone", None, "")
    calls = [call(str(n), campaign_name=name) for n, name in enumerate(names)]
    house.add("dialer.lead_history", *calls)
    assert errors(house.build()) == []
    before = [("0", "c1"), ("1", "c3"), *((str(n), None) for n in range(2, 6))]
    assert house.sql(CAMPAIGN_OF) == before
    assert warned(house.verdicts)["dialer_calls_without_campaign"] == 3

    house.sql("delete from dialer.campaigns where id in ('c1', 'c4')")
    house.add("dialer.campaigns", campaign("c1", "Renewals 2"), campaign("c6", "Gone"))
    house.add("dialer.campaigns", campaign("c4", "Twins", deleted_at=RUN_2))
    assert errors(house.build()) == []
    after = [("0", None), ("1", "c3"), ("2", "c5"), ("3", "c6"), ("4", None), ("5", None)]
    assert house.sql(CAMPAIGN_OF) == after
    step_by_step = snapshot(house)
    house.rebuild()
    assert snapshot(house) == step_by_step


def renamed(key: str, *names: tuple[str, datetime], now: str, **more: Any) -> dict[str, Any]:
    earlier = [{"name": name, "until": until.isoformat()} for name, until in names]
    return campaign(key, now, earlier_names=earlier, **more)


def count(key: str, at: datetime) -> dict[str, Any]:
    return {"campaign_id": key, "status": "new", "occurrence": 0, "observed_at": at, "leads": 1}


def test_calls_of_a_name_belong_to_the_campaign_that_bore_it_then(house: MartHouse) -> None:
    hour = timedelta(hours=1)
    calls = [
        call(f"{name}{n}", campaign_name=name, timestamp=at)
        for name in ("Autumn", "Winter", "Twins")
        for n, at in enumerate((RUN_1 - hour, RUN_2 - hour, RUN_3 - hour, RUN_4 - hour))
    ]
    house.add("dialer.lead_history", *calls)
    house.add("dialer.leads", lead("a", "new", RUN_1, campaign_id="c1", created=None))
    twins = [campaign("c4", "Twins"), campaign("c5", "Twins")]
    house.add("dialer.campaigns", campaign("c1", "Autumn"), *twins)
    house.add("dialer.campaign_lead_counts", count("c4", RUN_1), count("c5", RUN_1))
    house.build()
    of_names = (
        "select campaign_name, list(campaign_id order by occurred_at) from marts.contact_attempts "
        "group by all order by all"
    )
    assert house.sql(of_names) == [
        ("Autumn", ["c1"] * 4),
        ("Twins", [None] * 4),
        ("Winter", [None] * 4),
    ]

    # c1 was Winter for a day; a new campaign took its first name; of the twins one has another name
    house.sql("delete from dialer.campaigns where id in ('c1', 'c4')")
    house.add(
        "dialer.campaigns",
        renamed("c1", ("Autumn", RUN_2), ("Winter", RUN_3), now="Spring"),
        renamed("c4", ("Twins", RUN_3), now="Single"),
        campaign("c2", "Autumn"),
    )
    house.add("dialer.campaign_lead_counts", count("c2", RUN_3), count("c5", RUN_3))
    assert errors(house.build()) == []
    assert house.sql(of_names) == [
        ("Autumn", ["c1", "c1", "c2", "c2"]),
        ("Twins", [None, None, None, "c5"]),
        ("Winter", ["c1", "c1", "c1", None]),
    ]
    assert house.sql("select campaign_name, attempts from marts.leads") == [("Spring", 5)]
    assert house.sql(
        "select campaign_id, campaign_name, attempts from marts.campaigns order by all"
    ) == [
        ("Twins", "Twins", 3),
        ("Winter", "Winter", 1),
        ("c1", "Spring", 5),
        ("c2", "Autumn", 2),
        ("c4", "Single", 0),
        ("c5", "Twins", 1),
    ]
    step_by_step = snapshot(house)
    house.rebuild()
    assert snapshot(house) == step_by_step


def test_a_new_campaign_with_the_name_of_one_that_is_gone_inherits_none_of_its_calls(
    house: MartHouse,
) -> None:
    house.add("dialer.campaigns", campaign("c1", "Renewals", deleted_at=RUN_2))
    house.add("dialer.campaign_lead_counts", count("c1", RUN_1))
    house.add("dialer.lead_history", call("before", timestamp=RUN_2 - timedelta(hours=1)))
    assert errors(house.build()) == []
    assert house.sql(CAMPAIGN_OF) == [("before", "c1")]
    house.add("dialer.campaigns", campaign("c2", "Renewals"))
    house.add("dialer.campaign_lead_counts", count("c2", RUN_3))
    house.add("dialer.lead_history", call("since", timestamp=RUN_3 + timedelta(hours=1)))
    assert errors(house.build()) == []
    assert house.sql(CAMPAIGN_OF) == [("before", "c1"), ("since", "c2")]
    step_by_step = snapshot(house)
    house.rebuild()
    assert snapshot(house) == step_by_step


def test_a_second_campaign_of_a_name_takes_none_of_the_calls_from_before_it(
    house: MartHouse,
) -> None:
    house.add("dialer.campaigns", campaign("c1", "Renewals"))
    house.add("dialer.campaign_lead_counts", count("c1", RUN_1))
    house.add("dialer.leads", lead("a", "new", RUN_1))
    times = {"before c1 was seen": CALLED, "before": RUN_2}
    house.add("dialer.lead_history", *(call(key, timestamp=at) for key, at in times.items()))
    assert errors(house.build()) == []
    house.add("dialer.campaigns", campaign("c2", "Renewals"), campaign("no leads", "Renewals"))
    house.add("dialer.campaign_lead_counts", count("c2", RUN_3))
    house.add("dialer.lead_history", call("of either", timestamp=RUN_3 + timedelta(hours=1)))
    assert errors(house.build()) == []
    assert house.sql(CAMPAIGN_OF) == [
        ("before", "c1"),
        ("before c1 was seen", "c1"),
        ("of either", None),
    ]
    assert house.sql("select attempts from marts.leads") == [(2,)]
    step_by_step = snapshot(house)
    house.rebuild()
    assert snapshot(house) == step_by_step


def test_a_name_that_two_bore_until_one_went_is_nobodys_until_then(house: MartHouse) -> None:
    went, stays = campaign("c1", "N", deleted_at=RUN_3), campaign("c2", "N")
    house.add("dialer.campaigns", went, stays)
    house.add("dialer.campaign_lead_counts", count("c1", RUN_1), count("c2", RUN_2))
    times = {"both": RUN_3 - timedelta(hours=1), "one": RUN_4}
    calls = [call(key, campaign_name="N", timestamp=at) for key, at in times.items()]
    house.add("dialer.lead_history", *calls)
    assert errors(house.build()) == []
    assert house.sql(CAMPAIGN_OF) == [("both", None), ("one", "c2")]


def test_of_two_campaigns_of_one_name_that_are_gone_each_has_its_own_calls(
    house: MartHouse,
) -> None:
    first, second = (campaign(f"c{n}", "N", deleted_at=at) for n, at in ((1, RUN_2), (2, RUN_4)))
    house.add("dialer.campaigns", first, second)
    house.add("dialer.campaign_lead_counts", count("c1", RUN_1), count("c2", RUN_3))
    times = {"first": RUN_1, "second": RUN_3 + timedelta(hours=1)}
    calls = [call(key, campaign_name="N", timestamp=at) for key, at in times.items()]
    house.add("dialer.lead_history", *calls)
    assert errors(house.build()) == []
    assert house.sql(CAMPAIGN_OF) == [("first", "c1"), ("second", "c2")]


LEADS = [
    lead("a", "New", RUN_1, RUN_2, retries=1),
    lead("a", "new", RUN_2, RUN_3, retries=2),  # another field changed
    lead("a", "success", RUN_3, retries=2, priority=4, type="warm"),
    lead("b", "failed", RUN_1, RUN_2, number="0111"),
    lead("b", "failed", RUN_3, RUN_4, number="0111"),  # gone for a night, then for good
    lead("c", None, RUN_1, created=None, number=None),
    lead("d", "new", RUN_1, RUN_3),  # moved: for a moment in both campaigns
    lead("d", "new", RUN_2, campaign_id="c2"),
]
CALLS_OF_LEADS = [
    call("early", timestamp=CALLED - timedelta(hours=2)),
    call("first"),
    call("second", timestamp=CALLED + timedelta(minutes=1), lead_number="12025550111"),
    call("elsewhere", campaign_name="Survey", timestamp=RUN_4),
    call("unknown", campaign_name="What"),
    call("other", lead_number="+12025550112"),
    call("short", lead_number=" 0111 "),
]
COUNTS = [
    {"campaign_id": key, "status": status, "occurrence": n, "observed_at": at, "leads": leads}
    for key, status, n, at, leads in (
        ("c1", "success", 0, RUN_1, 9),
        ("c1", "success", 0, RUN_4, 1),
        ("c1", "new", 0, RUN_4, 2),
        ("c2", "new", 0, RUN_4, 3),
        ("c2", "new", 1, RUN_4, 4),
    )
]


def test_leads_and_their_states(filled: MartHouse) -> None:
    [a] = filled.rows("from marts.leads where lead_id = 'a'")
    assert a == {
        "lead_id": "a",
        "created_at": CALLED - timedelta(hours=1),
        "status_since": RUN_3,
        "first_observed_at": RUN_1,
        "last_observed_at": RUN_3,
        "gone_at": None,
        "first_attempt_at": CALLED,
        "last_attempt_at": CALLED + timedelta(minutes=1),
        "first_success_at": RUN_3,
        "campaign_id": "c1",
        "campaign_name": "Renewals",
        "contact_key": "+12025550111",
        "status": "success",
        "priority": 4,
        "type": "warm",
        "retries": 2,
        "is_current": True,
        "attempts": 2,
        "seconds_to_first_attempt": 3600.0,
        "seconds_to_success": (RUN_3 - CALLED).total_seconds() + 3600,
    }
    assert filled.sql(
        "select lead_id, status, status_since, gone_at, is_current, campaign_name, attempts "
        "from marts.leads where lead_id <> 'a' order by 1"
    ) == [
        ("b", "failed", RUN_3, RUN_4, False, "Renewals", 1),
        ("c", None, RUN_1, None, True, "Renewals", 0),
        ("d", "new", RUN_1, None, True, "Survey", 1),
    ]
    assert filled.sql(
        "select lead_id, observed_from, observed_to, campaign_id, status, observed_seconds "
        "from marts.lead_status_history order by 1, 2"
    ) == [
        ("a", RUN_1, RUN_3, "c1", "new", 2 * 86_400.0),
        ("a", RUN_3, None, "c1", "success", None),
        ("b", RUN_1, RUN_2, "c1", "failed", 86_400.0),
        ("b", RUN_3, RUN_4, "c1", "failed", 86_400.0),
        ("c", RUN_1, None, "c1", None, None),
        ("d", RUN_1, None, "c2", "new", None),
    ]


AGENT_DAYS = (
    "select agent_id, agent_name, occurred_on, interactions, talk_seconds, dispositions, "
    "top_disposition "
    "from marts.agent_daily where vendor = 'dialer' order by 3, 1 nulls last, 2"
)


def test_an_agent_has_one_row_a_day_whatever_name_the_calls_tell(house: MartHouse) -> None:
    def later(minutes: int, name: str | None, extension: str | None = "0107") -> dict[str, Any]:
        return call(
            f"c{minutes:04}",
            timestamp=CALLED + timedelta(minutes=minutes),
            agent_name=name,
            agent_extension=extension,
            agent_talk_time=10,
            agent_disposition="Sold" if extension else None,
            disposition="success",
        )

    house.add(
        "dialer.lead_history",
        later(0, "Agent Adler"),
        later(1, "Agent Adler-Berg"),
        later(2, None),
        later(3, "Agent Cohen", extension=""),
        later(4, "Agent Doron", extension=None),
        later(5, None, extension=None),  # of nobody
        later(1440, None),
    )
    house.build()
    assert errors(house.verdicts) == []
    day, next_day = CALLED.date(), CALLED.date() + timedelta(days=1)
    assert house.sql(AGENT_DAYS) == [
        ("0107", "Agent Adler-Berg", day, 3, 30.0, 3, "Sold"),
        (None, "Agent Cohen", day, 1, 10.0, 1, "success"),
        (None, "Agent Doron", day, 1, 10.0, 1, "success"),
        ("0107", None, next_day, 1, 10.0, 1, "Sold"),
    ]


# --- both ----------------------------------------------------------------------------------------


def test_night_by_night_comes_to_the_same_as_all_at_once(house: MartHouse) -> None:
    waits: dict[str, Any] = {"dialer_outcome": "", "bot_outbound_status": ""}
    house.add("koreai.campaign_contacts", seen(1, RUN_1, **waits), seen(2, RUN_1, unique_id="x"))
    house.add("dialer.lead_history", call("1"), call("2"))
    house.add("dialer.leads", lead("a", "new", RUN_1), lead("b", "new", RUN_1))
    assert errors(house.build(RUN_1)) == []

    # the campaigns come late; a contact is called, another goes; a disposition arrives
    house.add("koreai.campaigns", named(None, RUN_2, RUN_3), named("Bills", RUN_3))
    house.sql("update koreai.campaign_contacts set _dlt_valid_to = '2026-02-27 02:00:00Z'")
    house.add("koreai.campaign_contacts", seen(3, RUN_2))
    house.add("dialer.campaigns", campaign("c1", "Renewals"))
    house.sql("delete from dialer.lead_history where call_key = '2'")
    house.add("dialer.lead_history", call("2", agent_disposition="Busy"), call("3"))
    house.sql("update dialer.leads set _dlt_valid_to = '2026-02-27 02:00:00Z'")
    house.add("dialer.leads", lead("a", "success", RUN_2))
    assert errors(house.build(NOW)) == []

    step_by_step = snapshot(house)
    assert house.sql(
        "select attempt_id, campaign_id, campaign_name, outcome from marts.contact_attempts "
        "order by attempt_id"
    ) == [
        ("dialer:1", "c1", "Renewals", "unknown"),
        ("dialer:2", "c1", "Renewals", "busy"),
        ("dialer:3", "c1", "Renewals", "unknown"),
        (f"koreai:k1|12025550101|x|0|{micros(RUN_1)}|1", "k1", "Bills", "unknown"),
        (f"koreai:k1|12025550101|x|0|{micros(RUN_1)}|2", "k1", "Bills", "answered"),
        (f"koreai:k1|12025550101||0|{micros(RUN_1)}|1", "k1", "Bills", "unknown"),
        (f"koreai:k1|12025550101||0|{micros(RUN_2)}|1", "k1", "Bills", "unknown"),
        (f"koreai:k1|12025550101||0|{micros(RUN_2)}|2", "k1", "Bills", "answered"),
    ]
    assert errors(house.rebuild(NOW)) == []
    assert snapshot(house) == step_by_step


def test_the_audit_sees_what_was_lost(house: MartHouse) -> None:
    """Rows that no build would make, and the tests that find them."""
    house.add("koreai.campaigns", named("Bills", RUN_1, NOW - timedelta(days=3)))
    house.add("koreai.campaign_contacts", seen(2, RUN_1))
    house.add("dialer.leads", lead("a", "new", RUN_1))
    assert errors(house.build()) == []
    assert warned(house.verdicts)["koreai_campaigns_gone"] == 1
    # as if loaded before: a change of raw rows that no load tells of
    house.add("koreai.campaign_contacts", seen(5, RUN_2))
    house.sql("update koreai.campaign_contacts set _dlt_load_id = '1'")
    found = {verdict.test: verdict.vendors for verdict in house.build()}
    assert found["koreai_attempts_complete"] == {"koreai": 1}
