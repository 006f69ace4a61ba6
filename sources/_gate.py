"""The one way out to a vendor: what may leave, how many at a time and a minute, and when to rest.

Every attempt passes here just before it leaves, first tries and retries of all threads alike, takes
its place in the rate limit and gets a number.
"""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ._errors import Stopped, VendorError
from ._meter import Meter
from ._slots import Slots

if TYPE_CHECKING:  # with dlt a second to import, which `outreach status` need not pay
    import requests

LONGEST_WAIT = 3600  # seconds of Retry-After that are obeyed
REST = 1.0  # seconds, where a refusal names none
RATE_LIMIT_TEXT = re.compile(rb"rate.?limit|too many requests", re.IGNORECASE)
RATE_LIMIT_SAID = b"exceeded the per-minute rate limit"  # Kore.ai; the status is not documented


class Gate:
    """`reads` are the (method, URL pattern) pairs that may leave, nothing else does."""

    def __init__(
        self,
        vendor: str,
        reads: Sequence[tuple[str, re.Pattern[str]]],
        *,
        requests_per_minute: int,
        max_in_flight: int,
        meter: Meter,
    ) -> None:
        from pyrate_limiter import Limiter, Rate  # as the session: `outreach status` asks nobody

        self._vendor, self._reads, self._meter = vendor, reads, meter
        self._limiter = Limiter(Rate(requests_per_minute, 60_000))  # in any 60 seconds
        self._slots = Slots(max_in_flight)
        self._resting_until = 0.0  # monotonic
        self._asking = threading.local()  # the rank of this thread's request
        self._numbering = threading.Lock()
        self.sent = 0  # requests that have left; each reply tells which one it answers
        self.given_up = threading.Event()  # while set, what other threads still ask is not sent

    def rank(self, rank: float) -> None:
        """Of this thread's requests from now on; the lowest of all that wait is next."""
        self._asking.rank = rank

    @contextmanager
    def passed(self, request: "requests.PreparedRequest") -> Iterator[int]:
        """The request is under way in this block. Raises unless it is one of the vendor's reads;
        waits for its turn and the rate limit."""
        with self._slots.taken(getattr(self._asking, "rank", 0.0)):
            yield self._pass(request)

    def _pass(self, request: "requests.PreparedRequest") -> int:
        url = (request.url or "").split("?")[0]
        if not any(request.method == m and p.fullmatch(url) for m, p in self._reads):
            raise VendorError(
                f"{self._vendor}: {request.method} {urlsplit(url).path} is no documented read: "
                "it was not sent"
            )
        while (left := self._resting_until - time.monotonic()) > 0:
            self._check()
            self._meter.wait(min(left, 0.5))
        self._check()
        while not self._limiter.try_acquire(self._vendor, blocking=False):
            self._check()
            self._meter.wait(0.1)
        self._check()
        with self._numbering:
            self._meter.requests += 1
            self.sent += 1
            return self.sent

    def _check(self) -> None:
        self._meter.check()
        if self.given_up.is_set():
            raise Stopped

    def answered(self, number: int, response: "requests.Response") -> None:
        """Where a reply refuses, fewer go at a time; where one is told to wait, all wait."""
        limited, status = rate_limited(response), response.status_code
        if limited or status == 503:
            self._slots.fewer(number, self.sent)
        elif status == 200:
            self._slots.went_well()
        told = _told_to_wait(response)
        if limited or (told is not None and status >= 500):
            self.rest(REST if told is None else told)
            if told is not None:  # waited for here, where it can be given up, and not by dlt
                response.headers["Retry-After"] = "0"

    def rest(self, seconds: float) -> None:
        """No request of any thread leaves before."""
        self._resting_until = max(self._resting_until, time.monotonic() + seconds)


def rate_limited(response: "requests.Response") -> bool:
    """429, a 403 that means it, or (Kore.ai) the words alone in a reply with any status."""
    status = response.status_code
    return (
        status == 429
        or (status == 403 and "Retry-After" in response.headers)
        or (
            status in (400, 403)
            and len(response.content) < 1000
            and RATE_LIMIT_TEXT.search(response.content) is not None
        )
        or (len(response.content) < 1000 and RATE_LIMIT_SAID in response.content)
    )


def _told_to_wait(response: "requests.Response") -> float | None:
    """Seconds. Where it names a time: by the vendor's clock or ours, whichever has less to wait,
    for one of them may be wrong."""
    told = response.headers.get("Retry-After", "").strip()
    if told.isdecimal():
        return min(float(told), LONGEST_WAIT)
    if (until := http_time(told)) is None:
        return None
    clocks = (http_time(response.headers.get("Date", "")), datetime.now(UTC))
    waits = [(until - now).total_seconds() for now in clocks if now]
    return max(0.0, min(*waits, LONGEST_WAIT))


def http_time(text: str) -> datetime | None:
    """A time of a header; None where it is none."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):  # a date of the year 99999
        return None
