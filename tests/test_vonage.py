"""What is odd about Vonage alone."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fakes._server import Row
from tests.fakes.vonage import Interaction, Search, VonageFake
from tests.house import House, assert_holds

MakeHouse = Callable[..., House]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 15, tzinfo=UTC)


class Exclusive(VonageFake):
    """What stands on a bound is not in."""

    def _found(self, search: Search) -> list[Interaction]:
        return [
            row
            for row in super()._found(search)
            if any(at and search.start < at < search.end for at in row.times(search.include))
        ]


@pytest.fixture
def fake() -> Iterator[VonageFake]:
    with VonageFake() as running:
        running.now = lambda: NOW
        yield running


def loaded(house: MakeHouse, fake: VonageFake, **settings: Any) -> House:
    fast: Row = {"vonage__requests_per_minute": 100_000, "vonage__start_date": "2026-08-01"}
    home = house(fake, **fast, **settings)
    assert home.run(now=NOW) == 0, home.error("vonage")
    assert_holds(home, fake)
    return home


def test_what_stands_on_the_bound_of_two_windows_is_in_one_of_them(house: MakeHouse) -> None:
    with Exclusive() as fake:
        fake.now = lambda: NOW
        for days in range(7):
            at = MIDNIGHT + timedelta(days=days - 7)  # one of seven midnights is a bound
            fake.add_interaction(start=at, processed_at=at, duration=0)
        loaded(house, fake)


def test_a_page_count_that_is_too_small_ends_no_reading(house: MakeHouse, fake: VonageFake) -> None:
    fake.seed(200)

    def lie(body: Any) -> Any:
        if "meta" in body:
            body["meta"]["pageCount"] = 1
        return body

    fake.rewrites = [("/interactions$", lie)]
    loaded(house, fake, vonage__page_size=20)


@pytest.mark.parametrize("in_flight", [1, 4])
def test_equal_starts_in_another_order_each_time_hide_no_interaction(
    house: MakeHouse, fake: VonageFake, in_flight: int
) -> None:
    fake.shuffle_ties = True
    for number in range(300):
        at = NOW - timedelta(hours=number // 60 + 1)
        fake.add_interaction(start=at)
    loaded(house, fake, vonage__page_size=50, vonage__max_in_flight=in_flight)
