"""One run at a time on a warehouse, whatever folder or process it comes from."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from .config import Config
from .errors import Busy


@contextmanager
def locked(config: Config, command: str) -> Iterator[None]:
    """Hold the warehouse, and the work folder, against a second run."""
    config.work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = config.published.with_name(config.published.name + ".lock")
    with _held(beside, command), _held(config.work_dir / "lock", command):
        yield


@contextmanager
def _held(path: Path, command: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(_holder(path)) from None
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}",
            "command": command,
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _holder(path: Path) -> str:
    try:
        who = json.loads(path.read_text())
        return (
            f"another run holds the warehouse: 'outreach {who['command']}', process {who['pid']} "
            f"on {who['host']}, since {who['since']}"
        )
    except (ValueError, KeyError, OSError):
        return "another run holds the warehouse"
