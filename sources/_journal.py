"""A diary of requests that can be made only once, so that no reply is lost in a crash.

A read-once feed gives each row a single time. Before the request an intent is written and synced;
the raw reply is written and synced before it is parsed. A reply is deleted some days after its rows
were published, for an older published file may be put back. An intent without a reply means that
rows may be lost: they are fetched another way.
"""

import os
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from ._json import loads

KEPT = timedelta(days=14)  # published replies, for the day on which an older file is put back


class Journal:
    """The intents and replies of one feed, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def intend(self, now: datetime, number: int) -> str:
        """Write down that a request is about to leave; the name under which it is known."""
        name = f"{now:%Y%m%dT%H%M%S%f}-{os.getpid()}-{number:04}"
        write_durably(self._intent(name), b"")
        return name

    def withdraw(self, name: str) -> None:
        """The vendor did not take the request: nothing was given out."""
        self._intent(name).unlink(missing_ok=True)

    def keep(self, name: str, reply: bytes) -> None:
        write_durably(self._reply(name), reply)

    def spoil(self, name: str) -> None:
        """A reply that cannot be read counts as lost; its bytes stay for whoever looks."""
        if self._reply(name).exists():
            self._reply(name).replace(self._folder / f"{name}.unreadable")

    def names(self) -> list[str]:
        """The replies that are kept, oldest first."""
        return sorted(path.stem for path in self._folder.glob("*.reply"))

    def replies(self, loaded: Collection[str] = ()) -> dict[str, object]:
        """The decoded replies that are not loaded yet, oldest first."""
        found: dict[str, object] = {}
        for name in (name for name in self.names() if name not in loaded):
            try:
                found[name] = loads(self._reply(name).read_bytes())
            except ValueError:
                self.spoil(name)
        return found

    def lost(self) -> list[str]:
        """Requests that left and of which no reply was kept."""
        names = sorted(path.stem for path in self._folder.glob("*.intent"))
        return [name for name in names if not self._reply(name).exists()]

    def forget(self, names: Sequence[str]) -> None:
        """Their rows are in the published file; the young ones stay for some days."""
        if not names:
            return
        oldest = f"{date.fromisoformat(max(names)[:8]) - KEPT:%Y%m%d}"
        for name in (name for name in names if name < oldest):
            self._reply(name).unlink(missing_ok=True)
            self._intent(name).unlink(missing_ok=True)

    def _intent(self, name: str) -> Path:
        return self._folder / f"{name}.intent"

    def _reply(self, name: str) -> Path:
        return self._folder / f"{name}.reply"


def write_durably(path: Path, data: bytes) -> None:
    """A file that is there as a whole, also after a power cut, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Names in a folder last only once the folder itself is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
