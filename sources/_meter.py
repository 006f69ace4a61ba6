"""How a vendor's asking goes on: requests, time by stage, and the flag that ends every wait."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ._errors import Stopped


class Seconds(defaultdict[str, float]):
    """By stage, in the order in which they were first met."""

    def __init__(self) -> None:
        super().__init__(float)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self[stage] += time.monotonic() - started


@dataclass
class Meter:
    """What a run shows of a vendor while it goes on, and where its time went (`seconds`, by stage).

    `stop` ends every wait and every request; `enough` does the same for this vendor alone.
    """

    requests: int = 0
    waiting: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    enough: bool = False
    seconds: Seconds = field(default_factory=Seconds)
    _asking: int = 0
    _since: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        if self.enough or self.stop.is_set():
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Rest because of a rate limit, visibly."""
        self.waiting = True
        until = time.monotonic() + seconds
        while not self.enough and not self.stop.is_set() and (left := until - time.monotonic()) > 0:
            self.stop.wait(min(left, 0.5))
        self.waiting = False
        self.check()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Time in which at least one request is under way counts once, as "network"."""
        with self._lock:
            self._asking += 1
            if self._asking == 1:
                self._since = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._asking -= 1
                if self._asking == 0:
                    self.seconds["network"] += time.monotonic() - self._since
