"""One vendor's part of a run: read ahead, loaded slice by slice, its failure its own."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial

from sources._api import Api
from sources._endpoints import Endpoint, Night, Slice, Vendor, Windowed
from sources._errors import Stopped, VendorError
from sources._json import printable
from sources._windows import forget_span, read_nightly, read_span

from . import warehouse
from .ahead import ahead
from .board import Job, Progress
from .config import Config
from .gather import Built, gathered
from .load import VendorLoad

log = logging.getLogger("outreach")

CLOCKS_APART = timedelta(hours=1)  # from here on one of them is wrong


def work(config: Config, job: Job, load: VendorLoad, progress: Progress) -> None:
    """One vendor from its first request to its last load, in a thread of its own."""
    try:
        _load_vendor(config, job, load, progress)
        progress.status = "held" if progress.held else "ok"
    except Stopped:
        progress.status = "interrupted"
    except VendorError as error:
        progress.status, progress.error = "failed", printable(str(error))
    except Exception as error:  # whatever breaks here is this vendor's failure alone
        log.debug("%s failed", progress.vendor, exc_info=True)
        progress.status = "interrupted" if progress.meter.stop.is_set() else "failed"
        progress.error = printable(_root_cause(error))
    if progress.put_aside:
        told = f"records put aside: {len(progress.put_aside)}; ops.rejected says which and why"
        progress.warnings.append(told)
    progress.ended_at = datetime.now(UTC)


def _load_vendor(config: Config, job: Job, load: VendorLoad, progress: Progress) -> None:
    """Slices are read and built in a thread of their own, and loaded here in their order."""
    lists = _lists(load)
    api = load.vendor.connect(config.sources[progress.vendor], progress.meter)
    read = _read_vendor(config, job, load, api)
    try:
        with closing(ahead(read, progress.meter)) as read_ahead:
            _load_all(read_ahead, load, progress)
    except VendorError:  # what was read before it is published
        load.join_moved()
        raise
    load.join_moved()
    progress.warnings += _clocks_apart(api)
    accepted = job.accept_shrink.get(progress.vendor, frozenset()) - {"*"}
    for name in sorted(accepted - lists - _lists(load)):
        progress.warnings.append(f"--accept-shrink {progress.vendor}:{name}: it has no such list")


def _load_all(
    items: Iterable[tuple[Endpoint, Built | None]], load: VendorLoad, progress: Progress
) -> None:
    for endpoint, built in items:
        if built is None:
            load.whole(endpoint)
            continue
        progress.endpoint, progress.label = endpoint.name, built.piece.label
        load.load(endpoint, built)
        progress.rows += len(built)
        progress.put_aside |= {(r.table, r.key, r.sha256) for r in built.rejected}
        progress.warnings += map(printable, built.piece.warnings)
        progress.held += map(printable, built.piece.held)
        progress.slice_loaded(progress)


def _lists(load: VendorLoad) -> set[str]:
    """The lists that may shrink, by the names that --accept-shrink takes. One that went is
    forgotten once that is believed."""
    return {name for state in load.states().values() for name in state.get("counts", ())}


def _clocks_apart(api: Api) -> list[str]:
    """A warning where ours may be wrong: the times of what is observed are then, too."""
    if api.skew is None or abs(api.skew) < CLOCKS_APART:
        return []
    side = "behind" if api.skew > timedelta(0) else "ahead of"
    hours = abs(api.skew) / timedelta(hours=1)
    return [f"our clock is {hours:.0f} hours {side} the vendor's: see that it is set by NTP"]


def _read_vendor(
    config: Config, job: Job, load: VendorLoad, api: Api
) -> Iterator[tuple[Endpoint, Built | None]]:
    """What the vendor says, endpoint by endpoint: slices for loads, and None once an endpoint has
    been read to its end. Runs ahead of the loads: nothing here may depend on one."""
    vendor: Vendor = load.vendor
    settings = config.sources[vendor.name]
    night = Night(
        now=job.now,
        settings=settings,
        states=load.states(),
        vendor=vendor.name,
        accept_shrink=job.accept_shrink.get(vendor.name, frozenset()),
        work_dir=config.work_dir,
    )
    for endpoint in vendor.endpoints:
        if job.span and not isinstance(endpoint, Windowed):
            continue
        build = partial(load.build, endpoint)
        for built in gathered(map(build, _slices(endpoint, job, night, api))):
            yield endpoint, built
        if job.span and isinstance(endpoint, Windowed):
            yield endpoint, build(Slice({}, forget_span(endpoint, night, job.span), "done"))
        yield endpoint, None


def _slices(endpoint: Endpoint, job: Job, night: Night, api: Api) -> Iterator[Slice]:
    if not isinstance(endpoint, Windowed):
        return endpoint.read(api, night)
    if job.span:
        return read_span(endpoint, api, night, job.span)
    return read_nightly(endpoint, api, night)


def _root_cause(error: BaseException) -> str:
    """The innermost cause, for dlt wraps what went wrong; one line, without quoted values."""
    error = warehouse.root_cause(error)
    return f"{type(error).__name__}: {warehouse.without_values(str(error))}"
