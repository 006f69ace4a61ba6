"""Lists without times that a vendor gives as a whole: when a shorter one is believed.

A list that comes back empty or much shorter than last time may be a fault of the vendor's, and
taking it for real would close every row. It is held back until two further days agree, or until
somebody says that it is real.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._endpoints import Night

SMALL = 20  # lists shorter than this may come and go, where the vendor's own total agrees
AGREEING_DAYS = 3  # the day it shrank and two more


@dataclass(frozen=True)
class Verdict:
    """`held` is None where the list is believed. `state`: the keys `counts` and `doubted`."""

    held: str | None
    state: dict[str, Any]


def believe(
    night: Night, state: Mapping[str, Any], name: str, count: int, *, total: int | None, what: str
) -> Verdict:
    """Whether a list of `count` rows under `name` (a campaign's id) is taken as real.

    `total` is what the vendor itself says there are, None where it says nothing; `what` names the
    list in the message. The state is the endpoint's, from an earlier verdict of the same name.
    """
    counts = dict(state.get("counts", {}))
    doubted = dict(state.get("doubted", {}))
    before = counts.get(name, 0)
    days = set(doubted.pop(name, []))
    is_contradicted = before and total and not count
    shrunk = is_contradicted or (before >= SMALL and count * 2 < before)
    if shrunk and not night.accept_shrink & {name, "*"}:
        if total in (None, count):
            days.add(f"{night.now:%Y-%m-%d}")
        if len(days) < AGREEING_DAYS:
            doubted[name] = sorted(days)
            told = _message(f"{night.vendor}:{name}", before, count, what)
            return Verdict(told, _state(counts, doubted))
    counts[name] = count
    return Verdict(None, _state(counts, doubted))


def _message(name: str, before: int, count: int, what: str) -> str:
    return (
        f"{what}: {count} where {before} were; held back and kept as it was. It is taken as real "
        f"when {AGREEING_DAYS} days agree, or with --accept-shrink {name}"
    )


def _state(counts: Mapping[str, int], doubted: Mapping[str, Any]) -> dict[str, Any]:
    return {"counts": dict(counts), "doubted": dict(doubted)}
