"""`outreach report`: one self-contained HTML page about campaigns and the pipeline's own health."""

import os
import tempfile
from datetime import datetime
from pathlib import Path

from pipelines import warehouse
from pipelines.config import Config
from pipelines.errors import ConfigError, Refused

FILE_MODE = 0o640  # figures of the business: not for everybody on the machine


def write(config: Config, now: datetime, out: Path | None = None) -> Path:
    """Write the page about the published file and return where it is.

    It replaces an earlier one in one step. Raises Refused where there is no published file,
    ConfigError where the page cannot be put in its place.
    """
    from .figures import figures
    from .page import page

    target = (out or default_path(config)).absolute()
    told = "--out" if out else "[marts] report" if config.marts["report"] else "--out"
    refuse_unwritable(target, told)
    with warehouse.reading_published(config) as connection:
        if "published" not in warehouse.tables_in(connection, "ops"):
            raise Refused(f"{config.published} is no warehouse of ours (it has no ops.published)")
        found = figures(config, connection, now)
    _replace(target, page(found))
    return target


def default_path(config: Config) -> Path:
    """`[marts] report`, else beside the published file."""
    if config.marts["report"]:
        return config.root / str(config.marts["report"])
    return config.published.with_name("report.html")


def refuse_unwritable(target: Path, told: str) -> None:
    """Raises ConfigError where no page can be written; a run asks before it loads anything."""
    folder = target.parent
    if not folder.is_dir():
        raise ConfigError(f"{told}: there is no folder {folder}; make it, or name another file")
    if target.is_dir():
        raise ConfigError(f"{told}: {target} is a folder; name a file in it, such as report.html")
    if target.is_file() and not _is_page(target):
        raise ConfigError(f"{told}: {target} is a file but no HTML page; name another file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"{told}: nothing can be written in {folder}; name another file")


def _is_page(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1) in (b"", b"<")
    except PermissionError:  # a page of another user, which is replaced and not written to
        return True


def _replace(target: Path, text: str) -> None:
    target = target.resolve()  # what a link leads to is replaced, not the link
    number, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), FILE_MODE)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
