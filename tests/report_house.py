"""A published file whose marts a test fills by hand: the page needs no dbt to be tested."""

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow

from pipelines import catalog, config, warehouse
from pipelines.report import queries

AS_OF = datetime(2026, 3, 2, 2, 10, tzinfo=UTC)  # a Monday, so yesterday is Sunday 1 March
TODAY = AS_OF.date()
YESTERDAY = TODAY - timedelta(days=1)

TYPES = {
    "varchar": "vendor channel direction campaign_id campaign_name outcome status queue agent_id "
    "channels",
    "timestamptz": "last_sent_at",
    "date": "occurred_on earliest_on",
    "boolean": "reached is_deleted is_sample_large_enough is_over_now",
    "double": "talk_seconds handle_seconds average_rating reached_rate_pct reached_rate_low_pct "
    "average_speed_of_answer_seconds longest_wait_seconds",
}
TYPE_OF = {column: kind for kind, columns in TYPES.items() for column in columns.split()}
COUNTS = {("campaign_daily", "reached")}  # a flag in contact_attempts
Row = Mapping[str, Any]


class ReportHouse:
    """`marts`: rows by table; a table given as None is not in the file, all others are."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        environ = {key.upper(): str(value) for key, value in settings.items()}
        self.environ = {"SOURCES__AVAAMO__ACCESS_TOKEN": "planted", **environ}
        if "sources__avaamo__api_url" not in settings:
            self.environ["SOURCES__AVAAMO__API_URL"] = "https://avaamo.example"
        self.config = config.load(root, self.environ)

    def publish(
        self,
        marts: Mapping[str, Sequence[Row] | None] | None = None,
        runs: Sequence[Row] = (),
        audit: Sequence[Row] = (),
    ) -> None:
        self.config.published.unlink(missing_ok=True)
        with duckdb.connect(str(self.config.published)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(warehouse.OPS)
            for name in catalog.NAMES:
                warehouse.make_tables(connection, catalog.vendor(name))
            connection.execute("create schema marts")
            for table, columns in queries.NEEDS.items():
                rows = (marts or {}).get(table, ())
                if rows is not None:
                    kinds = ", ".join(f"{c} {_type(table, c)}" for c in sorted(columns))
                    connection.execute(f"create table marts.{table} ({kinds})")
                    _insert(connection, f"marts.{table}", rows)
            connection.execute(
                "insert into ops.published values ('run-1', ?, 1, '{}')",
                [AS_OF + timedelta(minutes=3)],
            )
            connection.execute("insert into ops.marts (as_of) values (?)", [AS_OF])
            _insert(connection, "ops.runs", runs)
            _insert(connection, "ops.audit", audit)

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        with warehouse.reading(self.config.published) as connection:
            return connection.execute(query).fetchall()


def _type(table: str, column: str) -> str:
    return "bigint" if (table, column) in COUNTS else TYPE_OF.get(column, "bigint")


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Row]) -> None:
    if rows:
        connection.register("given", pyarrow.Table.from_pylist([dict(row) for row in rows]))
        connection.execute(f"insert into {table} by name select * from given")
        connection.unregister("given")


def run_row(vendor: str, status: str = "ok", **more: Any) -> Row:
    row = {
        "run_id": "20260302T020000-aaaaaa",
        "vendor": vendor,
        "started_at": AS_OF - timedelta(minutes=10),
        "ended_at": AS_OF - timedelta(minutes=1),
        "status": status,
        "rows": 1200,
        "requests": 40,
        "error": None,
        "warnings": json.dumps([]),
    }
    return {**row, **more}


def attempts(on: date | None, count: int, reached: int, **more: Any) -> list[Row]:
    """So many attempts of a day, the first ones reached."""
    row = {
        "vendor": "avaamo",
        "channel": "sms",
        "direction": "outbound",
        "campaign_id": "c1",
        "campaign_name": "Spring",
        "occurred_on": on,
        "earliest_on": on,
        "outcome": "delivered",
    }
    return [{**row, "reached": n < reached, **more} for n in range(count)]


def lively() -> dict[str, list[Row]]:
    """A month of a busy house, the same each time."""
    dice = random.Random(7)
    ways = [
        ("dialer", "voice", "outbound", 60, 0.34),
        ("vonage", "voice", "inbound", 45, 0.86),
        ("avaamo", "sms", "outbound", 90, 0.95),
        ("inwise", "email", "outbound", 120, 0.22),
        ("vonage", "chat", "inbound", 18, 0.78),
        ("avaamo", "teams", "outbound", 7, 0.9),
    ]
    calls: list[Row] = []
    for vendor, channel, direction, mean, rate in ways:
        for back in range(1, 41):
            on = TODAY - timedelta(days=back)
            weekend = 0.35 if on.isoweekday() > 5 else 1.0
            slump = 0.4 if channel == "sms" and back == 1 else 1.0
            made = round(mean * weekend * slump * dice.uniform(0.8, 1.2))
            reached = sum(dice.random() < rate for _ in range(made))
            more = {"vendor": vendor, "channel": channel, "direction": direction}
            calls += attempts(on, made, reached, **more)
    between = {"vendor": "koreai", "channel": "voice", "campaign_id": "k1", "campaign_name": "Kora"}
    calls += attempts(None, 37, 12, **{**between, "earliest_on": YESTERDAY})
    names = ["Spring renewal", "Welcome back", "Overdue, second reminder", "Survey after service"]
    campaigns, daily = [], []
    for number, (vendor, channel) in enumerate([("avaamo", "sms"), ("dialer", "voice")] * 2):
        key = f"c{number}"
        campaigns.append(_campaign(vendor, key, names[number], "Active"))
        for back in range(1, 31):
            made = dice.randrange(20, 90)
            daily.append(_day(vendor, key, channel, back, made, dice.randrange(0, made)))
    campaigns.append(_campaign("koreai", "k1", "Kora", "Completed"))
    return {
        "contact_attempts": calls,
        "campaigns": campaigns,
        "campaign_daily": daily,
        "email_funnel": [_email(f"{4400 + n}", 900 - 170 * n) for n in range(5)],
        "queue_daily": [
            _queue(q, back, dice)
            for q in ("Sales", "Service, Hebrew", "Billing")
            for back in range(1, 31)
        ],
        "agent_daily": [
            _agent(v, a, back, dice)
            for v, a in (("vonage", "20431"), ("vonage", "20117"), ("dialer", "301"))
            for back in range(1, 31)
        ],
        "best_hours": [
            _hour(channel, weekday, hour, dice)
            for channel in ("voice", "email", "sms")
            for weekday in range(1, 8)
            for hour in range(8, 21)
            if weekday < 6 or hour < 14
        ],
        "over_contacted": [_over(n) for n in range(23)],
    }


def _campaign(vendor: str, key: str, name: str | None, status: str | None) -> Row:
    return {
        "vendor": vendor,
        "campaign_id": key,
        "campaign_name": name,
        "status": status,
        "is_deleted": False,
    }


def _day(vendor: str, key: str, channel: str, back: int, made: int, reached: int) -> Row:
    return {
        "vendor": vendor,
        "campaign_id": key,
        "channel": channel,
        "occurred_on": TODAY - timedelta(days=back),
        "attempts": made,
        "delivered": reached,
        "reached": reached,
        "failed": min(3, made - reached),
        "bounced": 0,
        "undelivered": 0,
    }


def _email(key: str, sent: int) -> Row:
    return {
        "campaign_id": key,
        "last_sent_at": AS_OF - timedelta(days=4),
        "sent": sent,
        "bounced": sent // 50,
        "delivered": sent - sent // 50,
        "unique_opens": sent // 3,
        "adjusted_unique_opens": sent // 4,
        "unique_clicks": sent // 19,
        "unique_unsubscribes": sent // 200,
        "sent_difference": 0,
    }


def _queue(queue: str, back: int, dice: random.Random) -> Row:
    offered = dice.randrange(20, 60)
    abandoned = dice.randrange(0, 6)
    answered = offered - abandoned
    return {
        "queue": queue,
        "occurred_on": TODAY - timedelta(days=back),
        "offered": offered,
        "answered": answered,
        "abandoned": abandoned,
        "short_abandons": min(abandoned, dice.randrange(0, 3)),
        "still_waiting": 0,
        "answered_within_target": round(answered * dice.uniform(0.6, 0.95)),
        "average_speed_of_answer_seconds": dice.uniform(8, 40),
        "longest_wait_seconds": dice.uniform(60, 400),
    }


def _agent(vendor: str, agent: str, back: int, dice: random.Random) -> Row:
    interactions = dice.randrange(8, 30)
    talk = interactions * dice.uniform(150, 300)
    return {
        "vendor": vendor,
        "agent_id": agent,
        "occurred_on": TODAY - timedelta(days=back),
        "interactions": interactions,
        "talk_seconds": talk,
        "handle_seconds": talk * 1.2 if vendor == "vonage" else None,
        "ratings": 3 if vendor == "vonage" else 0,
        "average_rating": dice.uniform(3, 5) if vendor == "vonage" else None,
    }


def _hour(channel: str, weekday: int, hour: int, dice: random.Random) -> Row:
    rate = dice.uniform(10, 40) + (8 if hour in (10, 11, 17) else 0)
    made = dice.randrange(5, 400)
    return {
        "weekday": weekday,
        "hour": hour,
        "channel": channel,
        "attempts": made,
        "reached_rate_pct": rate,
        "reached_rate_low_pct": rate * 0.8,
        "is_sample_large_enough": made >= 30,
    }


def _over(number: int) -> Row:
    return {
        "touches_last_7_days": 8 + number % 5 if number < 9 else 2,
        "channels": "email, sms, voice" if number % 3 else "sms, voice",
        "ceiling": 7,
        "is_over_now": number < 9,
    }
