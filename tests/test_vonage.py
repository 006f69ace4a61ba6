"""What is odd about Vonage alone."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.check import print_check
from tests.fakes._server import Answer, Ask, Row
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


class Oldest(VonageFake):
    """Refuses the oldest window, and tells those asked for after it to wait for an hour."""

    is_asked = False

    def _read(self, ask: Ask) -> Answer:
        if ask.query.get("start", "") < "2026-08-02":
            self.is_asked = True
            return Answer({}, 404)
        return Answer({}, 429, {"Retry-After": "3600"}) if self.is_asked else super()._read(ask)


def test_a_window_that_fails_waits_for_no_other(house: MakeHouse) -> None:
    with Oldest() as fake:
        fake.now = lambda: NOW
        home = house(fake, vonage__start_date="2026-08-01", vonage__max_in_flight=4)
        started = time.monotonic()
        assert home.run(now=NOW) == 1
        assert "HTTP 404" in home.error("vonage")
        assert time.monotonic() - started < 120


@pytest.mark.parametrize("quirk", ["max_limit", "slow_limit"])
def test_pages_that_the_vendor_refuses_are_asked_for_smaller(
    house: MakeHouse, fake: VonageFake, capsys: pytest.CaptureFixture[str], quirk: str
) -> None:
    fake.seed(120)
    setattr(fake, quirk, 30)
    home = loaded(house, fake, vonage__page_size=100)
    sizes = {
        ask.query["limit"] for ask, status in fake.seen if "limit" in ask.query and status == 200
    }
    assert sizes == {"25"}
    assert print_check(home.config, ["vonage"], NOW) == 0
    assert "warning  vonage   pages of 100 are refused" in capsys.readouterr().out
    fake.max_limit = fake.slow_limit = 10
    assert home.run(now=NOW) == 1
    assert "(the same for pages of 100 rows as of 25: page_size)" in home.error("vonage")


def test_what_the_vendors_statistics_do_not_have_yet_is_looked_for_again(
    house: MakeHouse, fake: VonageFake
) -> None:
    """By the time at which it happened: when it was processed need not be later."""
    late = [NOW - timedelta(hours=hours) for hours in (1, 3, 5)]
    home = house(fake, vonage__requests_per_minute=100_000)
    home.run(now=NOW - timedelta(hours=8))
    for at in (*late, NOW - timedelta(hours=7)):
        fake.add_interaction(start=at, processed_at=at, duration=0)
    there, latest = dict(fake.interactions), NOW - timedelta(hours=6)
    for guid, row in there.items():
        if row.body["start"] > f"{latest:%Y-%m-%dT%H:%M:%S}":
            del fake.interactions[guid]
    fake.lag = (NOW - latest).total_seconds()
    assert home.run(now=NOW) == 0
    assert home.sql("select count(*) from vonage.interactions") == [(1,)]
    fake.interactions |= there
    fake.lag = 0
    assert home.run(now=NOW + timedelta(hours=1)) == 0
    assert home.sql("select count(*) from vonage.interactions") == [(4,)]


def test_a_quiet_account_is_read_a_day_back_at_most(house: MakeHouse, fake: VonageFake) -> None:
    fake.lag = timedelta(days=9).total_seconds()
    home = loaded(house, fake)
    with fake.counting() as asks:
        home.run(now=NOW)
    (start,) = (ask.query["start"] for ask in asks if "start" in ask.query)
    assert start > f"{NOW - timedelta(days=1, hours=1):%Y-%m-%dT%H:%M:%S}"
