"""Vonage's marts: interactions, queues and agents from hand-made interactions."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.mart_house import MartHouse

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = date(2026, 3, 1)
TABLES = ("interactions", "interactions__channels", "interactions__channels__events")
MARTS = {
    "interactions": "interaction_id",
    "queue_visits": "interaction_id, visit",
    "queue_daily": "queue, occurred_on",
    "agent_legs": "interaction_id, channel_position",
    "agent_daily": "vendor, agent_id, occurred_on",
    "contact_attempts": "attempt_id",
}

Event = tuple[Any, ...]  # type, offset in s, duration in s, properties, name
Channel = tuple[str, str | None, str | None, list[Event]]  # role, agent, end reason, events


def person(*events: Event, end: str | None = "Released") -> Channel:
    return ("External", None, end, list(events))


def agent(name: str, *events: Event) -> Channel:
    return ("Agent", name, "Released", list(events))


def ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def put(house: MartHouse, guid: str, *channels: Channel, **fields: Any) -> None:
    """An interaction as the loading leaves it: replaced with its channels and events."""
    row = {
        "guid": guid,
        "start": START,
        "status": "Completed",
        "medium": "Phone",
        "direction": "Inbound",
        "connect_from": "+12025550101",
        "connect_to": "+12025550199",
        "duration": 60_000,
        **fields,
    }
    parties, events = [], []
    for place, (role, name, end, happened) in enumerate(channels):
        parties.append(
            {
                "interaction_guid": guid,
                "position": place,
                "guid": f"{guid}{place}",
                "party__id": name,
                "party__role": role,
                "end_reason": end,
                "offset": 1000 * place,
                "duration": 1000,
            }
        )
        for position, event in enumerate(happened):
            kind, offset, duration, properties, title = (*event, None, None)[:5]
            events.append(
                {
                    "interaction_guid": guid,
                    "channel_position": place,
                    "position": position,
                    "type": kind,
                    "name": title,
                    "offset": ms(offset),
                    "duration": ms(duration),
                    "properties": properties,
                }
            )
    for table, key, rows in zip(
        TABLES,
        ("guid", "interaction_guid", "interaction_guid"),
        ([row], parties, events),
        strict=True,
    ):
        house.sql(f"delete from vonage.{table} where {key} = '{guid}'")
        house.add(f"vonage.{table}", *rows)


def queue(
    offset: float, wait: float | None, result: str | None, *queues: str, **more: Any
) -> Event:
    said: dict[str, Any] = {"result": result, "presentedSkills": ["Billing", "Dutch"], **more}
    return ("Queue", offset, wait, {**said, "virtualQueues": list(queues)}, "ACD1")


TARGETS = [{"virtualQueue": "Billing", "targetTimeToAnswer": 30000}]
ONE = queue(8, 10, "Delivered", "Billing", targets=TARGETS)
TWO = queue(40, 30, "Delivered", "Tech", "Billing")
HOLD = ("Held", 30, 5, {"type": "Held", "initiatingAgentId": "01"})


def fill(house: MartHouse) -> None:
    put(
        house,
        "transferred",
        person(("Connected", 0, 100), ONE, HOLD, TWO),
        agent(
            "01",
            ("Ringing", 9, 9),
            ("Connected", 18, 20),
            HOLD,
            ("Held", 36, 1, {"type": "Parked"}),
            ("Wrap", 38, 3),
            ("Disposition", 39, 0, {"disposition": "Passed on"}),
        ),
        agent(
            "002",
            ("Connected", 70, 30),
            ("Wrap", 100, 4),
            ("Disposition", 101, 0, {"disposition": "Sold"}),
            ("CallRating", 102, 0, {"classification": "4"}),
            ("CallRating", 103, 0, {"classification": None}),
        ),
        ("Monitor", "99", None, [("Connected", 70, 30)]),
        outcome="Handled by agent",
        duration=104_000,
        conversation_guid="c1",
        service_name="Care",
        interaction_plan_mapping__interaction_plan_name="Plan",
        interaction_plan_mapping__reporting_group="Group",
    )
    put(
        house,
        "told by vendor",
        person(("Connected", 0, 60)),
        agent("01", ("Connected", 10, 20)),
        talk_time=15_000,
        handle_time=22_000,
    )
    put(
        house,
        "bot",
        person(
            ("Connected", 0, 41),
            ("VirtualAssistant", 2, 38, {"result": "Resolved", "messageCount": "10"}),
        ),
        medium="Webchat",
        status=None,
        connect_from="Ana@Example.com",
        outcome="Abandoned in bot",
    )
    put(house, "in bot", person(("Connected", 0, 9)), outcome="Abandoned in bot")
    put(house, "short", person(("Connected", 0, 12), queue(8, 4, "HangUp", "Billing")))
    put(house, "long", person(("Connected", 0, 90), queue(8, 82, "HangUp", "Billing")))
    put(
        house, "breakout", person(queue(8, 300, "QueueTimeBreakout", "Billing")), outcome="Breakout"
    )
    put(house, "rang only", person(("Connected", 0, 9)), agent("01", ("Ringing", 5, 4)))
    mail = ("VoicemailRecording", 60, 9, {"appletType": "VoiceMail"}, "vm-1")
    put(house, "voicemail", person(queue(8, 50, "VoluntaryBreakout", "Billing"), mail))
    put(
        house,
        "ongoing",
        person(("Connected", 0, None), queue(8, None, None, "Billing")),
        status="Ongoing",
        duration=None,
    )
    put(house, "talking", agent("01", ("Connected", 3, None)), status=None, duration=None)
    put(house, "broken", person(), status="InternalError", duration=None)
    put(house, "nothing told", connect_from="sip:01@example.com", outcome="Hung up in menu")

    caller = agent("002", ("Connected", 0, 30))
    out: dict[str, Any] = {"direction": "Outbound", "connect_to": "+12025550102"}
    put(house, "out answered", caller, person(("Connected", 9, 20)), **out)
    put(house, "out rang", caller, person(("Ringing", 3, 20)), **out)
    put(house, "out busy", caller, person(end="NumberBusy"), **out)
    failure = ("DeliveryFailed", 3, 0, {"type": "ConnectionUnavailable"})
    put(house, "out failed", caller, person(failure), **out)
    put(house, "out case", caller, person(), **{**out, "medium": "API Case PM"})
    mailed = {**out, "medium": "Email", "connect_to": "bob@example.com"}
    put(house, "out mail", caller, person(("Connected", 0, 30)), **mailed)
    put(house, "internal", caller, agent("01", ("Connected", 8, 20)), direction="Internal")
    put(house, "internal rang", caller, agent("01", ("Ringing", 8, 20)), direction="Internal")


def fill_odd(house: MartHouse) -> None:
    """What no document promises and no build may stumble over."""
    oddities: tuple[Any, ...] = ('"text"', ["x"], 5, {}, None, {"result": {"a": []}})
    for number, odd in enumerate(oddities):
        events = [
            (kind, 1, 2, odd)
            for kind in (
                "Queue",
                "AgentQueue",
                "Held",
                "Disposition",
                "CallRating",
                "VirtualAssistant",
            )
        ]
        put(house, f"odd {number}", person(*events), agent("01", *events), ("", None, None, []))
    odd_queues: dict[str, Any] = {"virtualQueues": "A", "targets": [1, None, {"virtualQueue": []}]}
    most = 2**62 / 1000
    put(
        house,
        "odd times",
        person(
            ("QUEUE", 1, -2, {**odd_queues, "result": "Whisked away"}),
            ("Queue", None, 3, {"virtualQueues": ["A", "A", None, 7], "targets": "none"}, "B"),
            ("AgentQueue", most, most, {"result": "Delivered", "virtualQueues": ["A"], "targets": [
                {"virtualQueue": "A", "targetTimeToAnswer": "soon"}]}),
        ),
        agent("01", ("Connected", -5, -5), ("Connected", 1, most), ("New thing", 1, 1)),
        ("Robot", "7", "Melted", [("Connected", 0, 9)]),
        direction="Sideways",
        medium=None,
        status="Paused",
        duration=2**63 - 1,
        talk_time=-1,
    )  # fmt: skip
    put(house, "odd start", person(queue(1, 2, "Delivered", "A")), agent("01"), start=None)


def everything(house: MartHouse) -> dict[str, list[tuple[Any, ...]]]:
    return {
        mart: house.sql(f"select * from marts.{mart} order by {key}") for mart, key in MARTS.items()
    }


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> MartHouse:
    built = MartHouse(tmp_path_factory.mktemp("vonage"))
    fill(built)
    built.build()
    return built


def test_the_audit_finds_nothing(house: MartHouse) -> None:
    found = {verdict.test for verdict in house.verdicts}
    assert found <= {"numbers_without_a_country"}


def test_an_interaction_is_summed_up(house: MartHouse) -> None:
    (row,) = house.rows("select * from marts.interactions where interaction_id = 'transferred'")
    assert row == {
        "interaction_id": "transferred",
        "conversation_id": "c1",
        "started_at": START,
        "ended_at": START.replace(minute=1, second=44),
        "started_on": DAY,
        "channel": "voice",
        "medium": "Phone",
        "direction": "inbound",
        "status": "Completed",
        "service_name": "Care",
        "interaction_plan": "Plan",
        "reporting_group": "Group",
        "contact_key": "+12025550101",
        "phone": "+12025550101",
        "email": None,
        "agent_id": "01",
        "agents": 2,
        "first_skill": "Billing",
        "first_queue": "Billing",
        "queue_result": "Delivered",
        "is_answered": True,
        "is_abandoned": False,
        "is_short_abandon": False,
        "outcome": "answered",
        "outcome_detail": "Handled by agent",
        "reached": True,
        "disposition": "Sold",
        "rating": 4,
        "queue_wait_seconds": 40.0,
        "duration_seconds": 104.0,
        "talk_seconds": 44.0,
        "hold_seconds": 5.0,
        "wrap_seconds": 7.0,
        "handle_seconds": 56.0,
        "bot_seconds": None,
        "transfers": 1,
    }


def test_the_vendors_own_times_come_first(house: MartHouse) -> None:
    query = "select talk_seconds, handle_seconds, hold_seconds from marts.interactions"
    assert house.sql(f"{query} where interaction_id = 'told by vendor'") == [(15.0, 22.0, 0.0)]


def test_outcomes(house: MartHouse) -> None:
    rows = house.sql(
        "select interaction_id, outcome, outcome_detail, is_answered, reached, agents "
        "from marts.interactions order by all"
    )
    assert rows == [
        ("bot", "answered", "Abandoned in bot, resolved by bot", False, True, 0),
        ("breakout", "no_answer", "Breakout, QueueTimeBreakout", False, False, 0),
        ("broken", "failed", "InternalError", False, False, 0),
        ("in bot", "abandoned", "Abandoned in bot", False, False, 0),
        ("internal", "answered", None, True, True, 2),
        ("internal rang", "no_answer", None, False, False, 1),
        ("long", "abandoned", "HangUp", False, False, 0),
        ("nothing told", "unknown", "Hung up in menu", False, False, 0),
        ("ongoing", "pending", None, False, False, 0),
        ("out answered", "answered", None, True, True, 1),
        ("out busy", "busy", "NumberBusy", False, False, 1),
        ("out case", "unknown", "Released", False, False, 1),
        ("out failed", "failed", "ConnectionUnavailable, Released", False, False, 1),
        ("out mail", "sent", None, False, False, 1),
        ("out rang", "no_answer", "Released", False, False, 1),
        ("rang only", "no_answer", None, False, False, 0),
        ("short", "abandoned", "HangUp", False, False, 0),
        ("talking", "pending", None, True, True, 1),
        ("told by vendor", "answered", None, True, True, 1),
        ("transferred", "answered", "Handled by agent", True, True, 2),
        ("voicemail", "voicemail", "VoluntaryBreakout", False, False, 0),
    ]
    short = "select interaction_id from marts.interactions where is_short_abandon"
    assert house.sql(short) == [("short",)]


def test_attempts(house: MartHouse) -> None:
    rows = house.sql(
        "select source_key, channel, direction, contact_key, occurred_on, agent_id, "
        "duration_seconds from marts.contact_attempts where source_key in "
        "('transferred', 'bot', 'out answered', 'out mail', 'internal', 'nothing told') order by 1"
    )
    assert rows == [
        ("bot", "chat", "inbound", "ana@example.com", DAY, None, 38.0),
        ("internal", "voice", "internal", None, DAY, "002", 50.0),
        ("nothing told", "voice", "inbound", None, DAY, None, None),
        ("out answered", "voice", "outbound", "+12025550102", DAY, "002", 30.0),
        ("out mail", "email", "outbound", "bob@example.com", DAY, "002", None),
        ("transferred", "voice", "inbound", "+12025550101", DAY, "01", 44.0),
    ]


def test_visits_of_one_wait_in_two_queues(house: MartHouse) -> None:
    rows = house.sql(
        "select visit, entered_at, entered_on, queue, queued_party, result, wait_seconds, "
        "target_seconds, is_answered, is_within_target, is_other_exit from marts.queue_visits "
        "where interaction_id = 'transferred' order by visit"
    )
    first, second = START.replace(second=8), START.replace(second=40)
    shared: tuple[Any, ...] = ("Delivered", 30.0, 20.0, True, False, False)
    assert rows == [
        (1, first, DAY, "Billing", "person", "Delivered", 10.0, 30.0, True, True, False),
        (2, second, DAY, "Billing", "person", *shared),
        (3, second, DAY, "Tech", "person", *shared),
    ]


def test_a_day_of_a_queue(house: MartHouse) -> None:
    (row,) = house.rows("select * from marts.queue_daily where queue = 'Billing'")
    assert row == {
        "queue": "Billing",
        "occurred_on": DAY,
        "offered": 7,
        "answered": 2,
        "abandoned": 2,
        "short_abandons": 1,
        "other_exits": 2,
        "still_waiting": 1,
        "answered_within_target": 1,
        "service_level_pct": 16.67,
        "abandon_rate_pct": 20.0,
        "abandon_rate_offered_pct": 20.0,
        "abandon_rate_ftc_pct": 33.33,
        "abandon_rate_ofcom_pct": 50.0,
        "average_speed_of_answer_seconds": 20.0,
        "longest_wait_seconds": 300.0,
        "target_seconds": 30.0,
    }


def test_agents(house: MartHouse) -> None:
    legs = house.sql(
        "select * from marts.agent_legs where interaction_id = 'transferred' order by 2"
    )
    at = START.replace
    turned = (True, "Passed on", None, 18.0, 14.0, 5.0, 3.0, 22.0)
    closed = (True, "Sold", 4, 70.0, 30.0, 0.0, 4.0, 34.0)
    assert legs == [
        ("transferred", 1, at(second=1), DAY, "01", *turned),
        ("transferred", 2, at(second=2), DAY, "002", *closed),
    ]
    days = house.sql(
        "select agent_id, interactions, talk_seconds, hold_seconds, wrap_seconds, handle_seconds, "
        "average_handle_seconds, dispositions, top_disposition, ratings, average_rating "
        "from marts.agent_daily where vendor = 'vonage' order by 1"
    )
    assert days == [
        ("002", 9, 270.0, 0.0, 4.0, 274.0, 30.444, 1, "Sold", 1, 4.0),
        ("01", 4, 54.0, 5.0, 3.0, 62.0, 15.5, 1, "Passed on", 0, None),
    ]


def test_times_of_agents_that_go_on_or_come_back(tmp_path: Path) -> None:
    house = MartHouse(tmp_path)
    paused = ("Held", 20, 10, {"type": "Interrupted"})
    put(
        house,
        "goes on",
        person(("Connected", 0, None)),
        agent("01", ("Connected", 5, None), paused),
    )
    first, later = (
        ("Held", at, long, {"initiatingAgentId": "01"}) for at, long in ((1.5, 1), (9, 4))
    )
    twice = [agent("01", ("Connected", 1, 5)), agent("01", ("Connected", 7, 20))]
    put(house, "comes back", person(("Connected", 0, 30), first, later), *twice)
    put(house, "nobody came", person(("Connected", 0, 30), first))
    house.build()
    assert [str(verdict) for verdict in house.verdicts if verdict.severity == "error"] == []
    legs = "select interaction_id, talk_seconds, hold_seconds, handle_seconds from marts.agent_legs"
    assert house.sql(f"{legs} order by interaction_id, channel_position") == [
        ("comes back", 4.0, 1.0, 5.0),
        ("comes back", 16.0, 4.0, 20.0),
        ("goes on", 0.0, 0.0, 0.0),
    ]
    told = "select interaction_id, talk_seconds, handle_seconds from marts.interactions"
    assert house.sql(f"{told} order by interaction_id") == [
        ("comes back", 20.0, 25.0),
        ("goes on", 0.0, 0.0),
        ("nobody came", None, None),
    ]


def test_odd_values_and_incremental_builds(tmp_path: Path) -> None:
    """Rows replaced, also by fewer and by none; then the same from nothing."""
    house = MartHouse(tmp_path, marts__timezone="Asia/Jerusalem")
    fill(house)
    fill_odd(house)
    house.build()
    errors = [str(verdict) for verdict in house.verdicts if verdict.severity == "error"]
    assert not errors
    warned = {verdict.test for verdict in house.verdicts}
    assert {"vonage_new_words", "vonage_odd_times"} <= warned
    assert house.sql(
        "select queue, result, wait_seconds, target_seconds, is_other_exit "
        "from marts.queue_visits where interaction_id = 'odd times' order by visit"
    ) == [
        ("7", None, 3.0, 20.0, True),
        ("A", None, 3.0, 20.0, True),
        (None, "Whisked away", -2.0, 20.0, True),
        ("A", "Delivered", 2**62 / 1000, 20.0, False),
    ]

    put(house, "transferred", person(("Connected", 0, 9)), outcome="Hung up in menu")
    put(house, "short", connect_from="+12025550103")
    put(house, "ongoing", person(ONE), agent("27", ("Connected", 18, 9)))
    put(house, "new", person(TWO), agent("27", ("Connected", 70, 9)))
    house.build()
    incremental = everything(house)
    left = {row[0] for row in incremental["queue_visits"]}
    assert not left & {"transferred", "short"}
    house.rebuild()
    assert everything(house) == incremental
    assert not [str(verdict) for verdict in house.verdicts if verdict.severity == "error"]
