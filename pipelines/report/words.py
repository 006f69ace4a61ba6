"""Texts and numbers as the page shows them.

What vendors wrote is cut to a length, cleaned of controls, and names nobody.
"""

import re
import unicodedata
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

LONGEST = 80
LONGEST_MESSAGE = 300
SPACE = "\u00a0"  # that does not break
NOTHING = "\u2013"

EMAIL = re.compile(r"[^\s<>@,;:'\"()]+@[^\s<>@,;:'\"()]+")
NUMBER = re.compile(r"(?<![\w-])\+?\(?\d[\d ().\-/]{6,}\d(?![\w-])")
DAY = re.compile(r"(19|20)\d\d[-/.]?(0[1-9]|1[0-2])[-/.]?([0-2]\d|3[01])")
PLAIN = re.compile(r"[\w-]{1,64}", re.ASCII)
FEWEST_DIGITS = 7  # of a telephone number

CHANNELS = {
    "voice": "Voice",
    "sms": "SMS",
    "email": "E-mail",
    "chat": "Chat",
    "teams": "Teams",
    "other": "Other channels",
}
VENDORS = {
    "vonage": "Vonage",
    "avaamo": "Avaamo",
    "inwise": "inwise",
    "koreai": "Kore.ai",
    "dialer": "Dialer",
}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def shown(text: Any, longest: int = LONGEST) -> str:
    """A text of a vendor, without controls, addresses and telephone numbers, no longer than that.

    Marks that turn the direction of writing go too: they would reach beyond their own text.
    """
    raw = str(text or "")[: 4 * longest]
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in raw)
    kept = NUMBER.sub(_without_number, EMAIL.sub("…@…", " ".join(kept.split())))
    return kept if len(kept) <= longest else kept[: longest - 1].rstrip() + "…"


def _without_number(found: re.Match[str]) -> str:
    text = found.group()
    digits = sum(c.isdigit() for c in text)
    return text if digits < FEWEST_DIGITS or DAY.match(text) else "…"


def message(text: Any) -> str:
    """An error or a warning."""
    return shown(text, LONGEST_MESSAGE)


def agent(value: Any) -> str:
    """An agent's id; one that is not a plain word or number may be an address or a name."""
    text = str(value or "")
    return text if PLAIN.fullmatch(text) else name(text, "(none told)")


def name(value: Any, otherwise: str = "(no name)") -> str:
    return shown(value) or otherwise


def channel(word: str, direction: str = "") -> str:
    """`E-mail`, or `Voice, inbound`."""
    told = CHANNELS.get(word, word)
    return f"{told}, {direction}" if direction else told


def vendor(word: Any) -> str:
    return VENDORS.get(str(word), shown(word))


def count(value: Any) -> str:
    return NOTHING if value is None else f"{value:,.0f}"


def rate(value: Any, digits: int = 0) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}{SPACE}%"


def seconds(value: Any) -> str:
    """`45 s`, `3:05 min`, `12.4 h`."""
    if value is None:
        return NOTHING
    whole = round(value)
    if whole < 60:
        return f"{whole}{SPACE}s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}{SPACE}min"
    return f"{value / 3600:,.1f}{SPACE}h"


def moment(value: datetime | None, zone: ZoneInfo) -> str:
    """A time on the reader's clock."""
    if value is None:
        return NOTHING
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        local = aware.astimezone(zone)
    except OverflowError:  # a vendor's last second of the year 9999, or first of the year 1
        local = aware
    return f"{local.day} {local:%b %H:%M}"


def short_day(value: date) -> str:
    return f"{value.day} {value:%b}"


def long_day(value: date) -> str:
    return f"{value:%A} {value.day} {value:%B %Y}"


def against(value: float, usual: float) -> str:
    """How a value lies against the usual one, in words."""
    if not usual:
        return "above usual" if value else "as usual"
    if value >= 3 * usual:
        return f"{round(value / usual):,} times the usual"
    percent = round(100 * (value / usual - 1))
    if abs(percent) < 5:
        return "as usual"
    return f"{abs(percent):,}{SPACE}% {'above' if percent > 0 else 'below'} usual"
