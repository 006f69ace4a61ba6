"""Attacks on a warehouse. Each says what it did; AssertionError where a promise broke."""

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from tests.cases import CASES
from tests.dying import STAGES, Death, Ended
from tests.fakes._server import Fake, Fault
from tests.siege import Siege

#: about how often a night of five vendors passes a stage; those not named: once
OFTEN = {
    "touching a file": 900,
    "in the load's SQL": 140,
    "asking a vendor": 40,
    "reading a reply": 40,
    "in the marts' SQL": 28,
    "writing a mark": 26,
    "replacing": 16,
    "syncing a folder": 16,
    "writing the diary": 15,
    "between slices": 13,
    "extracting": 13,
    "normalizing": 13,
    "loading": 13,
    "stamping": 2,
}
OF_MARTS = ("in the marts' SQL", "accepting the marts")
TERM, INT, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGKILL


# --- killed --------------------------------------------------------------------------------------


def a_death(rng: random.Random, *, marts: bool, vendors: int, number: signal.Signals) -> Death:
    stages = [s for s in STAGES if marts or s not in OF_MARTS]
    if marts and rng.random() < 0.6:
        stages = list(OF_MARTS)
    stage = rng.choice(stages)
    often = OFTEN.get(stage, 1)
    share = 1 if stage in ("stamping", *OF_MARTS) else vendors / 5
    return Death(stage, rng.randint(1, max(1, int(often * share))), rng.random() < 0.5, number)


def kill_at_a_stage(siege: Siege) -> str:
    """SIGKILL at some stage; at times again; at times a vendor is down on the next night."""
    rng, told = siege.rng, []
    for _ in range(rng.choice((1, 1, 2, 3))):
        siege.change()
        death = a_death(rng, marts=siege.wanted_marts, vendors=len(siege.fakes), number=KILL)
        ended = siege.night(death=death)
        told.append(f"{death} ({ended.code})")
        siege.readers_are_well()
    if rng.random() < 0.5:
        vendor = rng.choice(siege.fakes).vendor
        siege.night_without(vendor)
        told.append(f"{vendor} down")
    siege.calm()
    return ", ".join(told)


def kill_at_any_instant(siege: Siege) -> str:
    """SIGKILL after a random while."""
    siege.change()
    siege.note_truth()
    command = siege.begin()
    after = siege.rng.uniform(0.05, 9.0)
    command.process.join(after)
    command.send(KILL)
    ended = command.wait()
    assert ended.code in (-KILL, 0), (ended.code, ended.output[-2000:])
    siege.note_truth()
    siege.readers_are_well()
    siege.calm()
    return f"SIGKILL after {after:.2f} s ({ended.code})"


def signal_at_a_stage(siege: Siege) -> str:
    """SIGTERM or Ctrl-C at some stage: the end comes in seconds and says what is kept."""
    rng = siege.rng
    siege.change()
    number = rng.choice((TERM, INT))
    death = a_death(rng, marts=siege.wanted_marts, vendors=len(siege.fakes), number=number)
    started = time.monotonic()
    ended = siege.night(death=death)
    assert ended.code in (128 + number, 0, 1), (death, ended.code, ended.output[-3000:])
    if ended.code > 1 and time.monotonic() - started < 20 and "are kept" not in ended.output:
        # only the bound of some seconds may end it without a word
        assert death.after or ended.seconds > 5, (str(death), ended.output[-2000:])
    siege.readers_are_well()
    siege.calm()
    return f"{death} ({ended.code}, {ended.seconds:.1f} s)"


def signal_in_a_long_rest(siege: Siege) -> str:
    """A vendor asks for a rest of ten minutes; the signal ends it in seconds."""
    fake, number = siege.rng.choice(siege.fakes), siege.rng.choice((TERM, INT))
    siege.change()
    headers = {"Retry-After": "600"}
    fake.faults.append(Fault("status", status=429, times=1000, headers=headers, skip=1))
    command = siege.begin()
    wait_until(lambda: fake.faults[0].hits > 0)
    sent = time.monotonic()
    command.send(number)
    ended = command.wait()
    assert ended.code == 128 + number, (ended.code, ended.output[-2000:])
    assert time.monotonic() - sent < 10
    assert "are kept" in ended.output
    assert ended.orphans == []
    siege.note_truth()
    siege.readers_are_well()
    siege.calm()
    return f"{number.name} while {fake.vendor} rests"


def kill_in_a_first_load(siege: Siege) -> str:
    """Nothing was published yet, a load is cut, and the next night its vendor is down."""
    vendor = siege.fakes[0].vendor
    span = (14, 24) if len(siege.fakes) == 1 else (20, 60)
    death = Death("in the load's SQL", siege.rng.randint(*span), siege.rng.random() < 0.5)
    ended = siege.night(death=death)
    siege.readers_are_well()
    siege.night_without(vendor)
    siege.calm()
    return f"{death} ({ended.code}) in a first load, {vendor} down"


def marts_half_built(siege: Siege) -> str:
    """Killed in the marts; what follows publishes without building them."""
    siege.wanted_marts = True
    if ("marts", "contact_attempts") not in siege.before:
        siege.calm("run")
    siege.change()
    death = Death("in the marts' SQL", siege.rng.randint(6, 20))
    siege.night("run", death=death)
    siege.readers_are_well()
    before = {k: v for k, v in siege.before.items() if k[0] == "marts"}
    words = siege.rng.choice((("run", "--no-marts"), ("reset", siege.fakes[0].vendor)))
    assert siege.night(*words).code == 0
    now = {k: v for k, v in siege.digest().items() if k[0] == "marts"}
    changed = sorted(k for k in before | now if before.get(k) != now.get(k))
    assert changed == [], f"'outreach {' '.join(words)}' published half-built marts: {changed}"
    siege.calm("run")
    return f"{death}, then outreach {' '.join(words)}"


# --- no room -------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[int], bool]]:
    """A disk of its own at `folder`; what is given sets its size in KiB. False: not allowed."""
    mounted = False

    def resize(kilobytes: int) -> bool:
        nonlocal mounted
        options = f"{'remount,' if mounted else ''}size={kilobytes}k"
        folder.mkdir(parents=True, exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            done = subprocess.run(words, capture_output=True, check=False)
        except OSError:
            return False
        mounted = mounted or done.returncode == 0
        return done.returncode == 0

    try:
        yield resize
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def no_room(siege: Siege) -> str:
    """The disk of the work folder, or of the warehouse, fills at some point of a night."""
    rng, house = siege.rng, siege.house
    which = rng.choice(("work_dir", "path"))
    disk = house.root / f"disk{rng.randrange(10**6)}"
    with small_disk(disk) as resize:
        if not resize(4_000_000):
            return no_room_for_a_file(siege)
        _move(siege, which, disk)
        siege.change()
        used = sum(p.stat().st_blocks for p in disk.rglob("*") if p.is_file()) // 2
        size = max(4, int(used * rng.uniform(0.6, 2.2)) if rng.random() < 0.8 else used + 64)
        if not resize(max(size, used + 4)):
            return "the disk cannot be made smaller than what is on it"
        ended = siege.night()
        _check_no_room(siege, ended)
        resize(4_000_000)
        siege.calm()
        _move(siege, which, house.root)
    return f"{which} on a disk of {size} KiB, {used} used ({ended.code})"


def _move(siege: Siege, which: str, folder: Path) -> None:
    """The warehouse, or the work folder, to another disk."""
    config = siege.house.config
    folder.mkdir(parents=True, exist_ok=True)
    if which == "work_dir":
        target = folder / ".work"
        if config.work_dir.exists():
            shutil.copytree(config.work_dir, target)
            shutil.rmtree(config.work_dir)
        siege.house.settings["warehouse__work_dir"] = target
        return
    target = folder / "warehouse.duckdb"
    if config.published.exists():
        shutil.copy2(config.published, target)
        config.published.unlink()
    siege.house.settings["warehouse__path"] = target


def no_room_for_a_file(siege: Siege) -> str:
    """No file may grow beyond some size."""
    siege.change()
    limit = siege.rng.choice((4096, 65_536, 1_000_000, 5_000_000, 12_000_000))
    limit = int(limit * siege.rng.uniform(0.5, 1.5))
    ended = siege.night(file_limit=limit)
    _check_no_room(siege, ended)
    siege.calm()
    return f"files of {limit:,} bytes at most ({ended.code})"


def _check_no_room(siege: Siege, ended: Ended) -> None:
    assert ended.code in (0, 1, 3, 74), (ended.code, ended.output[-3000:])
    if ended.code:
        words = ("space", "too large", "write", "disk")
        assert any(word in ended.output.lower() for word in words), ended.output[-2000:]
    siege.readers_are_well()


# --- faulty vendors ------------------------------------------------------------------------------


def a_fault(rng: random.Random) -> Fault:
    """One of the ways in which a vendor's reply goes wrong, once or for good."""
    times = rng.choice((1, 2, 3, 4, 8, 10_000))
    path = rng.choice(("", "", "insights|interactions|Emails|leads|contacts|status"))
    skip = rng.randrange(20)
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    rests: tuple[dict[str, str], ...] = ({"Retry-After": "1"}, {"Retry-After": soon}, {})
    match rng.randrange(8):
        case 0:
            return Fault("status", path, min(times, 8), skip, 429, rng.choice(rests))
        case 1:
            body = {"message": "API rate limit exceeded"}
            return Fault("status", path, min(times, 8), skip, 403, rng.choice(rests), body)
        case 2:
            return Fault("status", path, times, skip, rng.choice((500, 502, 503, 504)))
        case 3:
            return Fault("slow", path, min(times, 4), skip, seconds=rng.choice((0.2, 1.6)))
        case n:
            kinds: tuple[Any, ...] = ("reset", "cut", "html", "empty")
            return Fault(kinds[n - 4], path, times, skip)


def disturb(fake: Fake, rng: random.Random) -> list[str]:
    """Any mixture of faults, laid over a vendor for one night."""
    fake.faults += [a_fault(rng) for _ in range(rng.randint(1, 4))]
    told = [f"{f.kind} {f.status if f.kind == 'status' else ''} x{f.times}" for f in fake.faults]
    if rng.random() < 0.4:
        fake.shift_once()
        told.append("rows move")
    if rng.random() < 0.4:
        fake.rewrites.append(_expiring(fake, rng.randint(1, 10)))
        told.append("logins end")
    if rng.random() < 0.3 and fake.vendor != "koreai":  # where equal contacts are real
        fake.rewrites.append(_repeating(fake))
        told.append("rows repeat")
    return [f"{fake.vendor}: {', '.join(told)}"]


def _expiring(fake: Fake, at: int) -> tuple[str, Callable[[Any], Any]]:
    count = iter(range(1, 1_000_000))

    def expire(body: Any) -> Any:
        if next(count) == at:
            fake.expire_logins()
        return body

    return "", expire


def _repeating(fake: Fake) -> tuple[str, Callable[[Any], Any]]:
    case = CASES[fake.vendor]

    def repeat(body: Any) -> Any:
        rows = case.rows(body)
        rows += rows[:2]
        return body

    return case.path, repeat


def faulty_vendors(siege: Siege) -> str:
    """Mixtures of faults on all vendors, and clocks that are an hour off."""
    rng = siege.rng
    siege.change()
    told = [text for fake in siege.fakes if rng.random() < 0.8 for text in disturb(fake, rng)]
    off = timedelta(hours=rng.choice((-1, 1))) if rng.random() < 0.3 else timedelta()
    for fake in siege.fakes:
        fake.now = lambda: datetime.now(UTC) + off
    ended = siege.night(patches={"sources._session.TIMEOUT": (5.0, 1.0)})
    assert ended.code in (0, 1), (ended.code, ended.output[-3000:])
    for fake in siege.fakes:
        fake.faults.clear()
        fake.rewrites.clear()
        fake.now = lambda: datetime.now(UTC)
        if f"{fake.vendor:8} failed" in ended.output:
            assert "error: " in ended.output
    siege.readers_are_well()
    siege.calm()
    return f"{'; '.join(told)}; clocks off by {off} ({ended.code})"


# --- restored, lost, damaged ---------------------------------------------------------------------


def older_file_put_back(siege: Siege) -> str:
    """A published file of some nights ago takes the place of the newest."""
    published = siege.house.config.published
    earlier = sorted(published.parent.glob("warehouse.duckdb.2*Z"))
    if not earlier:
        siege.change()
        siege.calm()
        earlier = sorted(published.parent.glob("warehouse.duckdb.2*Z"))
    chosen = siege.rng.choice(earlier)
    _put_in_place(chosen, published)
    siege.change()
    siege.calm()
    return f"{chosen.name} put back"


def _put_in_place(source: Path, published: Path) -> None:
    part = published.with_name("part")
    shutil.copyfile(source, part)
    part.replace(published)


def older_file_and_no_work(siege: Siege) -> str:
    """An older published file, and the work folder is lost."""
    told = ""
    published = siege.house.config.published
    earlier = sorted(published.parent.glob("warehouse.duckdb.2*Z"))
    if earlier:
        _put_in_place(siege.rng.choice(earlier), published)
        told = "an older file and "
    siege.lose_work()
    siege.change()
    siege.calm()
    return f"{told}no work folder"


def no_published_file(siege: Siege) -> str:
    """The published file is gone: said loudly; refused where it must exist."""
    siege.house.config.published.unlink()
    siege.house.settings["warehouse__must_exist"] = "true"
    refused = siege.night()
    assert refused.code == 2, refused.output
    assert "must_exist" in refused.output
    del siege.house.settings["warehouse__must_exist"]
    siege.change()
    ended = siege.calm()
    assert "MISSING" in ended.output
    return "the published file gone"


def an_old_work_folder(siege: Siege) -> str:
    """The work folder is one of another day, as of another machine."""
    work = siege.house.config.work_dir
    old = siege.house.root / "old_work"
    shutil.copytree(work, old)
    for _ in range(siege.rng.randint(1, 2)):
        siege.change()
        siege.calm()
    feed = work / "inwise_recent"
    kept = siege.house.root / "feed"
    if feed.exists():  # its diary is not what this attack is about
        shutil.copytree(feed, kept)
    shutil.rmtree(work)
    old.rename(work)
    shutil.rmtree(work / "inwise_recent", ignore_errors=True)
    if kept.exists():
        kept.rename(feed)
    siege.change()
    siege.calm()
    return "a work folder of another day"


def damage(path: Path, rng: random.Random) -> str:
    """Bytes flipped, a part zeroed, or the end cut off."""
    data = bytearray(path.read_bytes())
    how = rng.choice(("flip", "flip", "flip", "zero", "cut", "empty", "grow"))
    if how == "flip":
        places = [rng.randrange(len(data)) for _ in range(rng.choice((1, 3, 50, 1000)))]
        for place in places:
            data[place] ^= 1 << rng.randrange(8)
        how = f"{len(places)} bits flipped"
    elif how == "zero":
        place = rng.randrange(len(data))
        data[place : place + 4096] = bytes(len(data[place : place + 4096]))
    elif how in ("cut", "empty"):
        del data[rng.randrange(len(data)) if how == "cut" else 0 :]
    else:
        data += rng.randbytes(10_000)
    mode = path.stat().st_mode
    path.chmod(0o600)
    path.write_bytes(data)
    path.chmod(mode)
    return how


MENDS = ("put back", "put an earlier", "move it away", "set aside", "run again", "remove")


def damaged_work_file(siege: Siege) -> str:
    """The work file is damaged: it is right in the end, or refused with the mend named."""
    siege.change()
    told = damage(siege.house.config.work_dir / "work.duckdb", siege.rng)
    ended = siege.night()
    if ended.code == 0:
        siege.holds()
    else:
        _refused(ended)
        siege.readers_are_well()
        siege.calm()
    return f"work file: {told} ({ended.code})"


def damaged_published_file(siege: Siege) -> str:
    """The published file is damaged, with the work folder or without."""
    rng, published = siege.rng, siege.house.config.published
    siege.change()
    siege.calm()
    siege.change()
    told = damage(published, rng)
    if rng.random() < 0.5:
        siege.lose_work()
        told += ", no work folder"
    ended = siege.night()
    if ended.code == 0:
        siege.holds()
    else:
        _refused(ended)
        earlier = sorted(published.parent.glob("warehouse.duckdb.2*Z"))
        assert earlier[-1].name in ended.output or "run again" in ended.output, ended.output
        if earlier[-1].name in ended.output:
            _put_in_place(earlier[-1], published)
        siege.calm()
    return f"published file: {told} ({ended.code})"


def _refused(ended: Ended) -> None:
    assert ended.code in (1, 2, 3, 74), (ended.code, ended.output[-3000:])
    assert any(mend in ended.output for mend in MENDS), ended.output[-3000:]


# --- two at once ---------------------------------------------------------------------------------


def two_at_once(siege: Siege) -> str:
    """A second run leaves with 75; a killed one's lock holds nobody up."""
    rng = siege.rng
    siege.change()
    for fake in siege.fakes:
        fake.latency = 0.05
    seen = sum(len(fake.seen) for fake in siege.fakes)
    first = siege.begin()
    wait_until(lambda: sum(len(fake.seen) for fake in siege.fakes) > seen)
    words = rng.choice((("run",), ("reset", siege.fakes[0].vendor)))
    second = siege.night(*words)
    assert second.code == 75, (second.code, second.output[-2000:])
    assert f"process {first.pid}" in second.output
    if rng.random() < 0.5:
        first.send(KILL)
        first.wait()
    else:
        ended = first.wait()
        assert ended.code == 0, ended.output[-2000:]
    siege.note_truth()
    siege.readers_are_well()
    siege.calm()
    return f"outreach {' '.join(words)} beside a run"


def wait_until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.005)


#: the attacks on a warehouse that stands, and how often each is made
ATTACKS: dict[Callable[[Siege], str], int] = {
    kill_at_a_stage: 6,
    kill_at_any_instant: 4,
    signal_at_a_stage: 4,
    signal_in_a_long_rest: 1,
    marts_half_built: 1,
    no_room: 3,
    no_room_for_a_file: 2,
    faulty_vendors: 6,
    older_file_put_back: 1,
    older_file_and_no_work: 1,
    no_published_file: 1,
    an_old_work_folder: 1,
    damaged_work_file: 4,
    damaged_published_file: 3,
    two_at_once: 1,
}
