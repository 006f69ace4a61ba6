"""Requests under way at a time: in their order, and fewer where that is too many."""

import threading
import time
from collections.abc import Callable

from sources._slots import WELL, Slots


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.001)


class Crowd:
    """Threads that want a slot, and keep it until they are told to go."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.came: list[float] = []  # the ranks, as they got their slots
        self.gone: dict[float, threading.Event] = {}

    def wants(self, rank: float) -> None:
        self.gone[rank] = threading.Event()
        waiting = len(self.slots._waiting) + len(self.came)
        threading.Thread(target=self._take, args=(rank,), daemon=True).start()
        wait_until(lambda: len(self.slots._waiting) + len(self.came) == waiting + 1)

    def _take(self, rank: float) -> None:
        with self.slots.taken(rank):
            self.came.append(rank)
            self.gone[rank].wait()

    def go(self, rank: float, then: list[float]) -> None:
        """It gives its slot back, and these have come by then."""
        self.gone[rank].set()
        wait_until(lambda: self.came == then)


def test_the_lowest_rank_that_waits_is_next() -> None:
    crowd = Crowd(Slots(1))
    for rank in (5, 3, 4, 1):
        crowd.wants(rank)
    crowd.go(5, [5, 1])
    crowd.wants(2)
    crowd.go(1, [5, 1, 2])
    crowd.go(2, [5, 1, 2, 3])
    crowd.go(3, [5, 1, 2, 3, 4])


def test_a_refusal_halves_them_and_what_goes_well_brings_them_back() -> None:
    slots = Slots(4)
    crowd = Crowd(slots)
    for rank in range(8):
        crowd.wants(rank)
    assert sorted(crowd.came) == [0, 1, 2, 3]
    slots.fewer(1, sent=4)
    slots.fewer(2, sent=4)  # one of those that were under way
    for rank in (0, 1):
        crowd.gone[rank].set()
    wait_until(lambda: slots._taken == 2)
    assert len(crowd.came) == 4
    crowd.go(2, [*crowd.came, 4])
    slots.fewer(5, sent=5)
    slots.fewer(6, sent=6)
    for rank in (3, 4):
        crowd.gone[rank].set()
    wait_until(lambda: crowd.came[-1] == 5)
    assert slots._taken == 1
    for _ in range(WELL):
        slots.went_well()
    wait_until(lambda: crowd.came[-1] == 6)
    for _ in range(9 * WELL):
        slots.went_well()
    wait_until(lambda: crowd.came[-1] == 7)
    assert slots._allowed == 4
