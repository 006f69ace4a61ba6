"""The work file and the published one as files: paths, copies, sums and what is set aside."""

import fcntl
import hashlib
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from .config import Config

FICLONE = 0x40049409  # linux/fs.h

Say = Callable[[str], None]


def work_path(config: Config) -> Path:
    return config.work_dir / "work.duckdb"


def publishing_path(config: Config) -> Path:
    return config.published.with_name(f".{config.published.name}.publishing")


def sum_path(work: Path) -> Path:
    return work.with_name("work.sum")


def sum_of(work: Path) -> str:
    """SHA-256: a gigabyte in half a second, where reading it by DuckDB takes six."""
    with work.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    wal_of(path).unlink(missing_ok=True)


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def set_wal_aside(published: Path, say: Say) -> Path | None:
    """DuckDB would replay a foreign .wal into the file for every reader."""
    wal = wal_of(published)
    if not wal.exists():
        return None
    aside = wal.with_name(f"{wal.name}.{datetime.now(UTC):%Y%m%dT%H%M%S}.aside")
    wal.rename(aside)
    say(f"somebody opened {published.name} for writing; their changes are set aside: {aside.name}")
    return aside


def how_to_put_back(published: Path) -> str:
    earlier = _earlier(published)
    if earlier:
        paths = f"{shlex.quote(str(earlier[-1]))} {shlex.quote(str(published))}"
        return f"put an earlier file in its place: cp -f {paths}, then run again"
    return "move it away, or set [warehouse] path to another file"


def _earlier(published: Path) -> list[Path]:
    """The published files of earlier runs, oldest first."""
    return sorted(
        path
        for path in published.parent.iterdir()
        if path.name.startswith(f"{published.name}.2") and path.name.endswith("Z")
    )


def keep_earlier(config: Config) -> None:
    """Hard links to the published files of the last `keep` runs, the oldest dropped."""
    published = config.published
    if published.exists() and config.warehouse["keep"] > 0:
        at = datetime.fromtimestamp(published.stat().st_mtime, UTC)
        earlier = published.with_name(f"{published.name}.{at:%Y%m%dT%H%M%S%f}Z")
        try:
            os.link(published, earlier)
        except FileExistsError:
            pass
        except OSError:  # not every file system has hard links
            with private():
                duplicate(published, earlier)
            earlier.chmod(config.file_mode)
    kept = _earlier(published)
    for path in kept[: max(0, len(kept) - config.warehouse["keep"])]:
        path.unlink()


def duplicate(source: Path, target: Path) -> None:
    """A copy; where the file system can (XFS, Btrfs), one that shares its blocks and costs none."""
    with suppress(OSError), source.open("rb") as whole, target.open("wb") as copy:
        fcntl.ioctl(copy, FICLONE, whole.fileno())
        return
    shutil.copyfile(source, target)


@contextmanager
def private() -> Iterator[None]:
    """What is made in this block can be read by nobody else: it holds personal data."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def set_aside(work: Path) -> Path:
    aside = work.with_name(f"work.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S}.duckdb")
    work.rename(aside)
    remove(work)
    return aside


def no_room(config: Config) -> str:
    free = {
        folder: f"{shutil.disk_usage(folder).free / 1e6:,.0f} MB free"
        for folder in (config.work_dir, config.published.parent)
        if folder.exists()
    }
    told = ", ".join(f"{folder} has {much}" for folder, much in free.items())
    return (
        f"there is no room on the disk ({told}); a run needs about twice the warehouse's size "
        "there. What was loaded is kept; make room and run again"
    )
