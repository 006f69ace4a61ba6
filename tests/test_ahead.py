"""One item ahead: what a vendor is asked meanwhile, and how it ends."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from pipelines import ahead as module
from pipelines.ahead import ahead
from pipelines.board import STAGES
from pipelines.load import VendorLoad
from sources._errors import Stopped, VendorError
from sources._meter import Meter
from tests.cases import CASES
from tests.fakes._server import Fault
from tests.house import House, assert_holds

MakeHouse = Callable[..., House]


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)


class Source:
    """Makes numbers, and says how many it has begun with."""

    def __init__(self, meter: Meter, fails_at: int = -1) -> None:
        self.meter, self.fails_at = meter, fails_at
        self.begun = 0
        self.ended = threading.Event()

    def items(self) -> Iterator[int]:
        try:
            for number in range(100):
                self.meter.check()
                self.begun += 1
                if number == self.fails_at:
                    raise VendorError("the vendor is down")
                yield number
        finally:
            self.ended.set()


def test_one_item_waits_and_one_is_made_while_one_is_used() -> None:
    source = Source(Meter())
    with closing(ahead(source.items(), source.meter)) as items:
        assert next(items) == 0
        wait_until(lambda: source.begun == 3)
        time.sleep(3 * module.LOOK)
        assert source.begun == 3
        assert list(items) == list(range(1, 100))
    assert source.begun == 100


def test_a_failure_is_raised_after_all_that_came_before_it() -> None:
    source = Source(Meter(), fails_at=2)
    with closing(ahead(source.items(), source.meter)) as items:
        assert next(items) == 0
        wait_until(source.ended.is_set)
        assert next(items) == 1
        with pytest.raises(VendorError, match="down"):
            next(items)


def test_no_thread_is_left_when_no_more_is_wanted() -> None:
    before = set(threading.enumerate())
    source = Source(Meter())
    with closing(ahead(source.items(), source.meter)) as items:
        next(items)
    assert source.ended.is_set()
    assert set(threading.enumerate()) <= before
    assert source.begun < 5


def test_a_stop_ends_the_wait_for_an_item_at_once() -> None:
    meter, answered = Meter(), threading.Event()

    def items() -> Iterator[int]:
        answered.wait(30)
        yield 1

    waiting = ahead(items(), meter)
    threading.Timer(0.2, meter.stop.set).start()
    threading.Timer(1.5, answered.set).start()
    started = time.monotonic()
    with pytest.raises(Stopped):
        next(waiting)
    assert answered.is_set() or time.monotonic() - started < 1.2
    wait_until(lambda: not any("_fill" in thread.name for thread in threading.enumerate()))


def test_the_next_slice_is_asked_for_while_one_is_loaded(
    house: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = VendorLoad.load
    with CASES["avaamo"].fake() as fake:
        fake.seed(60)
        fake.latency = 0.02
        loads = []

        def load_once_asked_on(self: VendorLoad, *arguments: Any) -> None:
            loads.append(len(fake.seen))
            if len(loads) == 1:
                wait_until(lambda: len(fake.seen) > loads[0])
            load(self, *arguments)

        monkeypatch.setattr(VendorLoad, "load", load_once_asked_on)
        monkeypatch.setattr("pipelines.gather.ENOUGH_ROWS", 1)
        home = house(fake)
        assert home.run() == 0, home.said
        assert len(loads) > 1
        assert_holds(home, fake)


def test_what_was_read_before_a_failure_is_loaded(house: MakeHouse) -> None:
    with CASES["vonage"].fake() as fake:
        fake.seed(60)
        home = house(fake, vonage__max_in_flight=1)
        fake.faults = [Fault("status", path="/stats/", status=400, skip=8, times=1000)]
        assert home.run() == 1
        assert home.sql("select count(*) > 0 from vonage.interactions") == [(True,)]
        with fake.counting() as again:
            fake.faults = []
            assert home.run() == 0
        starts = sorted(ask.query["start"] for ask in fake.asked("/stats/"))
        assert again[1].query["start"] > starts[6]
        assert_holds(home, fake)


def test_a_stop_in_the_middle_leaves_no_thread_and_the_next_run_goes_on(house: MakeHouse) -> None:
    before = set(threading.enumerate())
    with CASES["vonage"].fake() as fake:
        fake.seed(60)
        fake.latency = 0.1
        home = house(fake)

        def stop_after_some_requests() -> None:
            wait_until(lambda: len(fake.seen) > 4)
            home.board.stop.set()

        threading.Thread(target=stop_after_some_requests).start()
        with pytest.raises(Stopped):
            home.run()
        wait_until(lambda: not any("_fill" in t.name for t in set(threading.enumerate()) - before))
        fake.latency = 0.0
        assert home.run() == 0
        assert_holds(home, fake)


def test_time_is_told_by_what_it_went_into(house: MakeHouse) -> None:
    with CASES["vonage"].fake() as fake:
        fake.seed(30)
        fake.latency = 0.05
        home = house(fake, vonage__max_in_flight=1)
        home.run()
        ((requests, fetching, loading, stages),) = home.sql(
            "select requests, extract_seconds, load_seconds, stages from ops.runs"
        )
        seconds = home.board.vendors["vonage"].meter.seconds
        assert fetching >= seconds["network"] - 0.001 >= 0.05 * requests - 0.01
        assert loading == pytest.approx(
            seconds["extract"] + seconds["normalize"] + seconds["load"], abs=0.002
        )
        told = json.loads(stages)
        assert list(told) == list(STAGES)
        assert 0 < told["building"] < fetching - told["network"] + 0.002
        assert {"publish", "marts"} >= home.board.seconds.keys() >= {"publish"}
