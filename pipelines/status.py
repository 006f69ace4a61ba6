"""`outreach status`: how fresh the published warehouse is, per vendor and table."""

import json
from datetime import date, datetime, timedelta
from typing import Any

import typer

from . import catalog, records, warehouse
from .config import EVERY_VENDOR, Config
from .show import print_table

COLUMNS = ("vendor", "table", "state", "last_good_load", "newest", "rows", "lag_hours", "error")


def print_status(config: Config, now: datetime, *, as_json: bool) -> int:
    """Prints a row per table; 1 where a vendor that is on is stale or never loaded."""
    if not config.published.exists():
        typer.echo(warehouse.not_there(config), err=as_json)
        if as_json:
            print_json([])
        return 1
    with warehouse.reading_published(config) as connection:
        rows = freshness(config, connection, now)
    if as_json:
        print_json(rows)
    else:
        print_table(list(COLUMNS), [[row[c] for c in COLUMNS] for row in rows])
    return 1 if any(row["state"] in ("stale", "never loaded") for row in rows) else 0


def print_json(rows: list[dict[str, Any]]) -> None:
    typer.echo(json.dumps(rows, default=_iso, indent=1))


def _iso(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def freshness(
    config: Config, connection: warehouse.Connection, now: datetime
) -> list[dict[str, Any]]:
    """A row per table: how old what it holds is, against the vendor's target."""
    tables = {
        name: [(t.name, t.newest) for t in vendor.tables]
        for name in catalog.NAMES
        for vendor in [catalog.vendor(name)]
    }
    runs = records.last_runs(connection)
    found = records.freshness(connection, tables)
    return [_row(config, row, runs.get(row["vendor"], {}), now) for row in found]


def _row(
    config: Config, table: dict[str, Any], last: dict[str, Any], now: datetime
) -> dict[str, Any]:
    vendor = table["vendor"]
    good_at: datetime | None = last.get("good_at")
    settings = config.sources.get(vendor, EVERY_VENDOR)
    target = timedelta(hours=settings["freshness_hours"])
    lag = now - good_at if good_at else None
    if vendor in config.off:
        state = "off"
    elif lag is None:
        state = "never loaded"
    else:
        state = "stale" if lag > target else "fresh"
    return {
        "vendor": vendor,
        "table": table["table"],
        "state": state,
        "last_good_load": good_at,
        "newest": table["newest"],
        "rows": table["rows"],
        "lag_hours": round(lag / timedelta(hours=1), 1) if lag is not None else None,
        "target_hours": settings["freshness_hours"],
        "error": last.get("error"),
    }
