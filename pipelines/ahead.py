"""A vendor is asked in one thread while another loads what came before, one item ahead."""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from sources._errors import Stopped
from sources._meter import Meter

T = TypeVar("T")
LOOK = 0.1  # seconds between two looks at the stop flag while nothing moves
PATIENCE = 5.0  # seconds for the request that is under way when no more is wanted


def ahead(items: Iterator[T], meter: Meter) -> Generator[T]:
    """The items of a generator, which runs wholly in a thread of its own; close it when done.

    One item waits to be taken and one is being made, never more. What the generator raises is
    raised here after the items that came before it, Stopped as soon as `meter.stop` is set. The
    thread ends with this generator: `meter` tells it that no more is wanted.
    """
    handed: queue.Queue[Any] = queue.Queue(1)  # [item] | error | None at the end
    thread = threading.Thread(target=_fill, args=(items, meter, handed), daemon=True)
    thread.start()
    try:
        while (got := _patiently(handed.get, meter)) is not None:
            if isinstance(got, BaseException):
                raise got
            yield got.pop()  # not kept here: the thread is at the next but one by now
    finally:
        meter.enough = True
        thread.join(PATIENCE)


def _fill(items: Iterator[Any], meter: Meter, handed: queue.Queue[Any]) -> None:
    last: BaseException | None = None
    try:
        while made := _made(items, meter):
            _patiently(partial(handed.put, made), meter)
    except BaseException as error:  # noqa: BLE001  # whoever takes the items gets it
        last = error
    with suppress(Stopped):
        _patiently(partial(handed.put, last), meter)


def _made(items: Iterator[Any], meter: Meter) -> list[Any]:
    with meter.seconds.timed("fetch"):
        for item in items:
            return [item]
    return []


def _patiently(act: Callable[..., Any], meter: Meter) -> Any:
    """What `act` returns once it can, unless the run is to stop meanwhile."""
    while True:
        meter.check()
        with suppress(queue.Empty, queue.Full):
            return act(timeout=LOOK)
