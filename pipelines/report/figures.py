"""What the page shows, as plain rows out of the published file.

Nobody is named here: of people there are counts, and what vendors wrote (names of campaigns,
errors) passes through `_words.shown` on its way to the page.
"""

import json
import statistics
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pipelines import status, warehouse
from pipelines.config import Config
from pipelines.warehouse import Connection

from . import queries

DAYS = 30
USUAL_WEEKS = 4  # a day is held against the same weekday of so many weeks before
OFF_BY = 0.3  # attempts so far from the usual are worth a look,
RATE_OFF_BY = 0.2  # and a rate of reached people so far below it
SMALLEST_USUAL = 20  # fewer attempts jump about by themselves
RUNS = 8

Row = dict[str, Any]
Rows = list[Row]


def figures(config: Config, connection: Connection, now: datetime) -> dict[str, Any]:
    """All that the page shows. A section whose marts are not in the file is None."""
    zone = ZoneInfo(config.marts["timezone"])
    published = _rows(connection, "select * from ops.published")
    stamp = published[0] if published else {}
    as_of = _as_of(connection) or stamp.get("published_at") or now
    today = as_of.astimezone(zone).date()
    days = {
        "today": today,
        "yesterday": today - timedelta(days=1),
        "week": today - timedelta(days=7),
        "month": today - timedelta(days=DAYS),
    }
    tables = status.freshness(config, connection, now)
    late = _not_through(tables, datetime.combine(today, time(), zone))
    there = {name for name in queries.NEEDS if _is_there(connection, name)}

    def asked(query: str, *marts: str) -> Rows | None:
        return _rows(connection, query, days) if there.issuperset(marts) else None

    channels = asked(queries.CHANNELS, "contact_attempts")
    return {
        **days,
        "timezone": config.marts["timezone"],
        "zone": zone,
        "now": now,
        "as_of": as_of,
        "published_at": stamp.get("published_at"),
        "run_id": stamp.get("run_id"),
        "is_old": now - as_of > timedelta(hours=_longest_target(tables)),
        "missing": sorted(queries.NEEDS.keys() - there),
        "channels": None if channels is None else _channels(channels, days, late),
        "undated": asked(queries.UNDATED, "contact_attempts"),
        "campaigns": asked(queries.CAMPAIGNS, "campaigns", "campaign_daily", "contact_attempts"),
        "emails": asked(queries.EMAILS, "email_funnel"),
        "queues": asked(queries.QUEUES, "queue_daily"),
        "agents": asked(queries.AGENTS, "agent_daily"),
        "hours": asked(queries.HOURS, "best_hours"),
        "over_contacted": asked(queries.OVER_CONTACTED, "over_contacted"),
        "over_contacted_by": asked(queries.OVER_CONTACTED_BY, "over_contacted"),
        "tables": tables,
        "vendors": _vendors(tables, config.off),
        "late": late,
        "runs": _runs(connection),
        "audit": _audit(connection),
    }


def _rows(connection: Connection, query: str, values: Mapping[str, Any] | None = None) -> Rows:
    used = {name: value for name, value in (values or {}).items() if f"${name}" in query}
    answer = connection.execute(query, used) if used else connection.execute(query)
    names = [column[0] for column in answer.description or []]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def _is_there(connection: Connection, mart: str) -> bool:
    return warehouse.columns_in(connection, "marts", mart).issuperset(queries.NEEDS[mart])


def _as_of(connection: Connection) -> datetime | None:
    if "marts" not in warehouse.tables_in(connection, "ops"):
        return None
    row = connection.execute("select max(as_of) from ops.marts").fetchone()
    return row[0] if row else None


# --- yesterday against the days before -----------------------------------------------------------


def _channels(found: Rows, days: Mapping[str, date], late: Mapping[str, Any]) -> Rows:
    """A row per channel and direction, with its days and what is usual; the busiest first."""
    ways: dict[tuple[str, str], dict[date, Row]] = {}
    vendors: dict[tuple[str, str], set[str]] = {}
    for row in found:
        way = row["direction"], row["channel"]
        ways.setdefault(way, {})[row["occurred_on"]] = row
        vendors.setdefault(way, set()).update(row["vendors"])
    rows = [_channel(way, known, days) for way, known in ways.items()]
    for row in rows:
        row["late"] = sorted(late.keys() & vendors[row["direction"], row["channel"]])
    return sorted(
        rows, key=lambda r: (r["direction"] != "outbound", -r["attempts_in_all"], r["channel"])
    )


def _channel(way: tuple[str, str], known: Mapping[date, Row], days: Mapping[str, date]) -> Row:
    series = [
        {"on": on, **{what: known.get(on, {}).get(what, 0) for what in ("attempts", "reached")}}
        for on in (days["month"] + timedelta(days=n) for n in range(DAYS))
    ]
    yesterday = series[-1]
    same = [series[-1 - 7 * week] for week in range(1, USUAL_WEEKS + 1)]
    same = [day for day in same if day["on"] >= min(known)]
    enough = len(same) > 1
    usual = statistics.median(day["attempts"] for day in same) if enough else None
    rates = [rate for day in same if (rate := _rate(day)) is not None]
    usual_rate = statistics.median(rates) if enough and rates else None
    return {
        "direction": way[0],
        "channel": way[1],
        "attempts": yesterday["attempts"],
        "reached": yesterday["reached"],
        "rate": _rate(yesterday),
        "usual": usual,
        "usual_rate": usual_rate,
        "is_off": _is_off(yesterday["attempts"], usual),
        "is_rate_off": _is_rate_off(yesterday, usual, usual_rate),
        "attempts_in_all": sum(day["attempts"] for day in series),
        "days": series,
    }


def _rate(day: Row) -> float | None:
    return 100 * day["reached"] / day["attempts"] if day["attempts"] else None


def _is_off(attempts: int, usual: float | None) -> bool:
    return bool(usual and usual >= SMALLEST_USUAL and abs(attempts / usual - 1) >= OFF_BY)


def _is_rate_off(day: Row, usual: float | None, usual_rate: float | None) -> bool:
    rate = _rate(day)
    if rate is None or not usual_rate or min(day["attempts"], usual or 0) < SMALLEST_USUAL:
        return False
    return rate <= usual_rate * (1 - RATE_OFF_BY)


# --- the pipeline --------------------------------------------------------------------------------


def _not_through(tables: Rows, midnight: datetime) -> dict[str, datetime]:
    """The vendors that last loaded before yesterday was over: their yesterday is not whole."""
    return {
        row["vendor"]: row["last_good_load"]
        for row in tables
        if row["state"] != "off" and row["last_good_load"] and row["last_good_load"] < midnight
    }


def _longest_target(tables: Rows) -> float:
    return max((row["target_hours"] for row in tables if row["state"] != "off"), default=26.0)


def _vendors(tables: Rows, off: Mapping[str, str]) -> Rows:
    """A row per vendor out of those of its tables."""
    vendors: dict[str, Row] = {}
    for row in tables:
        vendor = vendors.setdefault(row["vendor"], {**row, "rows": 0, "newest": None})
        vendor["rows"] += row["rows"]
        vendor["why_off"] = off.get(row["vendor"])
        newest = [_moment(at) for at in (vendor["newest"], row["newest"]) if at]
        vendor["newest"] = max((at for at in newest if at), default=None)
    return list(vendors.values())


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    return None


def _runs(connection: Connection) -> Rows:
    """The last runs, each with its vendors."""
    runs: dict[str, Row] = {}
    for row in _rows(connection, queries.RUNS, {"runs": RUNS}):
        run = runs.setdefault(row["run_id"], {"run_id": row["run_id"], "vendors": []})
        run["vendors"].append({**row, "warnings": _texts(row["warnings"])})
    for run in runs.values():
        parts = run["vendors"]
        run["is_backfill"] = run["run_id"].startswith("backfill")
        run["started_at"] = min(part["started_at"] for part in parts)
        run["ended_at"] = max((p["ended_at"] for p in parts if p["ended_at"]), default=None)
        run["rows"] = sum(part["rows"] or 0 for part in parts)
    return list(runs.values())


def _texts(warnings: str | None) -> list[str]:
    try:
        found = json.loads(warnings or "[]")
    except json.JSONDecodeError:
        found = [warnings]
    return [str(text) for text in found] if isinstance(found, list) else [str(found)]


def _audit(connection: Connection) -> Rows:
    if "audit" not in warehouse.tables_in(connection, "ops"):
        return []
    return _rows(connection, queries.AUDIT)
