"""The page itself: the figures poured into page.html, with page.css inside."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from . import charts, words

HERE = Path(__file__).parent
CAMPAIGNS, AGENTS, EMAILS, QUEUES = 25, 15, 10, 15  # the page shows so many, and says how many more
SHADES = 5  # of the heat map

Row = dict[str, Any]


def page(found: Row) -> str:
    """The whole HTML page."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        daily_bars=charts.daily_bars, funnel_bars=charts.funnel_bars, weekdays=words.WEEKDAYS
    )
    for function in (
        words.shown,
        words.message,
        words.agent,
        words.name,
        words.channel,
        words.vendor,
        words.count,
        words.rate,
        words.seconds,
        words.short_day,
        words.long_day,
        words.against,
    ):
        environment.filters[function.__name__] = function
    environment.filters["moment"] = lambda value: words.moment(value, found["zone"])
    css = Markup((HERE / "page.css").read_text())  # noqa: S704  # our own file
    text = environment.get_template("page.html").render(
        **found,
        css=css,
        look_at=list(_look_at(found)),
        trust=_trust(found),
        funnel=_funnel(found["emails"]),
        maps=_maps(found["hours"]),
        queues_by=_periods(found["queues"], "queue"),
        agents_by=_periods(found["agents"], "vendor", "agent_id"),
        limits={"campaigns": CAMPAIGNS, "agents": AGENTS, "emails": EMAILS, "queues": QUEUES},
    )
    return text.encode("utf-8", "replace").decode()


def _trust(found: Row) -> tuple[str, str]:
    """Whether the figures can be relied on: good, warn or bad, and why in a sentence."""
    on = [row for row in found["vendors"] if row["state"] != "off"]
    bad = [words.vendor(row["vendor"]) for row in on if row["state"] != "fresh"]
    if found["is_old"]:
        return "bad", f"These figures are old: they end on {_at(found, found['as_of'])}."
    if not on:
        return "bad", "No vendor is set up: what is shown is what was loaded before."
    if bad:
        others = "; the other vendors are" if len(bad) < len(on) else ""
        return "bad", f"{_and(bad)} not up to date{others}."
    if found["late"]:
        return "warn", f"Yesterday is not whole yet: {_and(map(words.vendor, found['late']))}."
    if any(row["severity"] == "error" for row in found["audit"]):
        return "warn", "All vendors are up to date; the audit refused some rows."
    return "good", f"All {len(on)} vendors are up to date." if len(on) > 1 else "Up to date."


def _look_at(found: Row) -> Iterable[str]:
    """What is out of the ordinary, the most important first."""
    for row in found["vendors"]:
        vendor, last = words.vendor(row["vendor"]), row["last_good_load"]
        if row["state"] == "never loaded":
            yield f"{vendor} has never been loaded."
        elif row["vendor"] in found["late"]:
            yield f"{vendor} was last loaded {_at(found, last)}: its yesterday is not whole."
        elif row["state"] == "stale":
            yield f"{vendor} was last loaded {_at(found, last)}."
    yield from _unusual(found["channels"] or ())
    for row in found["over_contacted"] or ():
        if row["people_now"]:
            yield (
                f"{words.count(row['people_now'])} people were contacted more than "
                f"{row['ceiling']} times in the last seven days."
            )
    if found["audit"]:
        yield f"Findings of the audit: {len(found['audit'])}, at the end of this page."


def _unusual(channels: Iterable[Row]) -> Iterable[str]:
    for row in channels:
        where = words.channel(row["channel"], row["direction"])
        if row["is_off"]:
            yield f"{where}: attempts {words.against(row['attempts'], row['usual'])}."
        if row["is_rate_off"]:
            yield (
                f"{where}: {words.rate(row['rate'])} reached, usual are "
                f"{words.rate(row['usual_rate'])}."
            )


def _at(found: Row, at: datetime) -> str:
    return words.moment(at, found["zone"])


def _and(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last} are" if first else f"{last} is"


def _funnel(emails: list[Row] | None) -> list[tuple[str, int]]:
    """All campaigns together, from sent to clicked."""
    steps = {
        "Sent": "sent",
        "Delivered": "delivered",
        "Opened": "adjusted_unique_opens",
        "Clicked": "unique_clicks",
    }
    return [(step, sum(row[key] or 0 for row in emails or ())) for step, key in steps.items()]


def _periods(rows: list[Row] | None, *keys: str) -> list[tuple[Row, Row | None]] | None:
    """Each key's row of 30 days with its row of 7."""
    if rows is None:
        return None
    week = {tuple(row[k] for k in keys): row for row in rows if row["days"] == 7}
    months = [row for row in rows if row["days"] == 30]
    return [(row, week.get(tuple(row[k] for k in keys))) for row in months]


def _maps(hours: list[Row] | None) -> list[Row] | None:
    """A heat map per channel; its shades divide what lies between its lowest and highest rate."""
    if hours is None:
        return None
    maps = []
    for channel in dict.fromkeys(row["channel"] for row in hours):
        rows = [row for row in hours if row["channel"] == channel]
        sure = [row for row in rows if row["is_sample_large_enough"]]
        low = min((row["rate"] for row in sure), default=0)
        high = max((row["rate"] for row in sure), default=0)
        width = (high - low) / SHADES or 1
        cells = {(row["weekday"], row["hour"]): row for row in rows}
        for row in sure:
            row["shade"] = min(SHADES - 1, int((row["rate"] - low) / width))
        maps.append(
            {
                "channel": channel,
                "cells": cells,
                "hours": range(min(h for _, h in cells), max(h for _, h in cells) + 1),
                "best": sorted(sure, key=lambda row: (-row["rate_low"], row["weekday"]))[:3],
                "low": low,
                "high": high,
            }
        )
    return maps
