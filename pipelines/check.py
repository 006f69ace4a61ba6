"""`outreach check`: what a run would stumble over, said beforehand, a line each."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sources._endpoints import Finding, Night
from sources._errors import VendorError
from sources._meter import Meter

from . import catalog
from .config import NO_VENDOR, Config
from .errors import ConfigError
from .show import Show

SKEW = timedelta(minutes=2)  # between our clock and a vendor's, before it is worth a warning


def print_check(config: Config, names: list[str], now: datetime) -> int:
    """Ask each vendor a little; 1 where something would fail. Never calls the read-once feed.

    Raises ConfigError where there is nobody to ask.
    """
    say = Show().say
    failures = 0
    for name in names:
        for finding in _findings(config, name, now):
            mend = f" -> {finding.mend}" if finding.mend else ""
            say(f"{finding.level:8} {name:8} {finding.text}{mend}")
            failures += finding.level == "failure"
    for name, why in config.off.items():
        say(f"{'off':8} {name:8} {why.removeprefix('off: ')}")
    if not names:
        raise ConfigError(NO_VENDOR)
    return 1 if failures else 0


def _findings(config: Config, name: str, now: datetime) -> Iterator[Finding]:
    vendor = catalog.vendor(name)
    settings = config.sources[name]
    meter = Meter()
    try:
        api = vendor.connect(settings, meter)
        yield from vendor.probe(api, Night(now, settings, {}))
    except VendorError as error:
        yield Finding("failure", str(error))
        return
    if api.skew is None:
        return
    apart = f"{abs(api.skew.total_seconds()):.0f} s"
    if abs(api.skew) > SKEW:
        side = "ahead of" if api.skew > timedelta(0) else "behind"
        yield Finding(
            "warning",
            f"the vendor's clock is {apart} {side} ours",
            "set this machine's clock by NTP",
        )
    else:
        yield Finding("ok", f"clock: {apart} apart")
