"""What a run would ask, told beforehand, and whether a backfill can be had."""

from datetime import datetime, timedelta
from typing import Any

from sources._endpoints import Endpoint, Night, Window, Windowed
from sources._windows import nightly, parse_time

from . import catalog, records, warehouse
from .config import Config
from .errors import ConfigError
from .show import Show, print_table


def print_plan(config: Config, names: list[str], now: datetime) -> None:
    """The windows and the estimated requests of each endpoint. Asks no vendor, writes nothing."""
    with warehouse.reading_newest(config) as connection:
        states = {n: records.vendor_states(connection, n) if connection else {} for n in names}
        runs = records.last_runs(connection) if connection else {}
        rows = [
            [name, endpoint.name, *_windows(config, name, endpoint, states[name], now)]
            for name in names
            for endpoint in catalog.vendor(name).endpoints
        ]
    print_table(["vendor", "endpoint", "windows", "from", "to", "requests at least"], rows)
    say = Show().say
    for name in names:
        if name in runs:
            say(f"{name}: its last run made {runs[name]['requests']:,} requests")
    for name, why in config.off.items():
        say(f"{name}: {why}")


def _windows(
    config: Config, name: str, endpoint: Endpoint, states: dict[str, Any], now: datetime
) -> list[Any]:
    """Windows, from, to, and the requests: one a window is the least, pages come on top."""
    if not isinstance(endpoint, Windowed):
        return ["whole", None, None, 1]
    windows = nightly(endpoint, Night(now, config.sources[name], states))
    if not windows:
        return [0, None, None, 0]
    return [len(windows), windows[0].start, windows[-1].end, len(windows)]


def backfill_span(
    config: Config, name: str, since: str, until: str | None, now: datetime
) -> Window:
    """The instants of a backfill. Raises ConfigError where the vendor cannot give them."""
    endpoints = [e for e in catalog.vendor(name).endpoints if isinstance(e, Windowed)]
    if not endpoints:
        raise ConfigError(
            f"{name} has no time filter: each run reads all there is, there is nothing to backfill"
        )
    start = _day(since, "--since")
    end = _day(until, "--until") if until else _cursor(config, name, endpoints, now)
    end = min(end, now)
    if start >= end:
        raise ConfigError(
            f"--since {since} is not before the end of the span, {end:%Y-%m-%d %H:%M}Z"
        )
    for endpoint in endpoints:
        if endpoint.keeps and start < now - endpoint.keeps - timedelta(days=1):
            raise ConfigError(
                f"{name} keeps {endpoint.keeps.days + 1} days only: --since can be "
                f"{now - endpoint.keeps:%Y-%m-%d} at the earliest"
            )
    return Window(start, end)


def _day(text: str, option: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError:
        raise ConfigError(f"{option} must be a date such as 2026-01-31") from None


def _cursor(config: Config, name: str, endpoints: list[Windowed], now: datetime) -> datetime:
    """Where the nightly runs have got to: the earliest of the vendor's endpoints."""
    with warehouse.reading_newest(config) as connection:
        states = records.vendor_states(connection, name) if connection else {}
    cursors = [states.get(endpoint.name, {}).get("cursor") for endpoint in endpoints]
    return min((parse_time(c) for c in cursors if c), default=now)
