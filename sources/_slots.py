"""Requests under way at a time, the oldest window's first, and fewer where the vendor cannot take
so many.

Without an order all windows would end at one time, and the next ones begin with a request each.
"""

import heapq
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

WELL = 20  # requests without a refusal, then one more may be under way


class Slots:
    """So many at a time; the lowest rank that waits is next, of equal ones who came first."""

    def __init__(self, most: int) -> None:
        self._most = self._allowed = most
        self._taken = self._well = self._halved_at = 0
        self._waiting: list[tuple[float, int, threading.Event]] = []
        self._came = count()
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, rank: float) -> Iterator[None]:
        turn = threading.Event()
        with self._lock:
            heapq.heappush(self._waiting, (rank, next(self._came), turn))
            self._hand_out()
        turn.wait()
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1
                self._hand_out()

    def fewer(self, refused: int, sent: int) -> None:
        """Half as many from now on. Of the requests that had left by then, numbers up to `sent`, no
        further refusal counts."""
        with self._lock:
            if refused > self._halved_at:
                self._halved_at = sent
                self._allowed, self._well = max(1, self._allowed // 2), 0

    def went_well(self) -> None:
        with self._lock:
            self._well += 1
            if self._well >= WELL and self._allowed < self._most:
                self._allowed, self._well = self._allowed + 1, 0
                self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._taken < self._allowed:
            self._taken += 1
            heapq.heappop(self._waiting)[-1].set()
