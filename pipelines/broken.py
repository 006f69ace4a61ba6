"""Loads that did not end: what tells of them, and how a vendor is made whole again.

A mark on the disk, from before a load to its end, says which endpoint may be half loaded. A night
reads such an endpoint again; where it cannot, the vendor is put back as it was last published.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from sources._endpoints import Vendor
from sources._journal import write_durably

from . import catalog, publishing, records, warehouse
from .board import Board
from .config import Config
from .files import Say
from .replaced import remove_added, remove_earlier


def make_ready(config: Config, connection: warehouse.Connection, tag: str | None, say: Say) -> None:
    """The work file as a run may build on it. A vendor is put back where a load of it did not end
    that this run does not read again: its mark has another tag (of a backfill, in a night); where
    `tag` is None, any such load."""
    records.close_interrupted_runs(connection)
    for name in catalog.NAMES:
        warehouse.make_tables(connection, catalog.vendor(name))
        marks = settle(config.work_dir, catalog.vendor(name), connection)
        if any(_tag_of(endpoint) != tag for endpoint in marks):
            _put_back(config, connection, name, say)


def put_broken_back(config: Config, connection: warehouse.Connection, board: Board) -> set[str]:
    """The vendors of which a load did not end, also not in this run; none of them counts as ok."""
    broken = {
        name for name in catalog.NAMES if settle(config.work_dir, catalog.vendor(name), connection)
    }
    for name in broken:
        _put_back(config, connection, name, board.say)
        progress = board.vendors.get(name)
        if progress and progress.status == "ok":
            progress.status, progress.error = "failed", "a load of it did not end; it was put back"
    return broken


def _put_back(config: Config, connection: warehouse.Connection, name: str, say: Say) -> None:
    """A load of this vendor did not end: it becomes what was last published of it."""
    if not config.published.exists() and warehouse.was_published(connection):
        return  # the file is lost: what is here is all there is; its mark stays
    say(f"{name}: its last load did not end; it is published as it last was")
    publishing.put_back(connection, config, name)
    mark(config.work_dir, name, {})
    warehouse.make_tables(connection, catalog.vendor(name))


def _tag_of(marked: str) -> str:
    """What follows the endpoint in a mark: the span of a backfill."""
    return marked[marked.index(" ") :] if " " in marked else ""


def settle(work_dir: Path, vendor: Vendor, connection: warehouse.Connection) -> dict[str, str]:
    """The endpoints of which a load did not end, with its id. Of what is replaced whole such a load
    is undone first, or ended where dlt is done."""
    adding = adding_path(work_dir, vendor.name)
    if adding.exists():
        load_id = adding.read_text()
        family = [table for table in vendor.tables if table.kept == "replaced"]
        is_done = records.load_is_complete(connection, vendor.name, load_id)
        (remove_earlier if is_done else remove_added)(connection, vendor.name, family, load_id)
        adding.unlink()
    path = _marks_path(work_dir, vendor.name)
    marks: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return {
        endpoint: load_id
        for endpoint, load_id in marks.items()
        if not records.load_is_complete(connection, vendor.name, load_id)
    }


def mark(work_dir: Path, vendor: str, loads: Mapping[str, str]) -> None:
    """On the disk: the endpoints of which a load may be half done, with its id."""
    path = _marks_path(work_dir, vendor)
    if loads:
        write_durably(path, json.dumps(loads).encode())
    else:
        path.unlink(missing_ok=True)


def adding_path(work_dir: Path, vendor: str) -> Path:
    """Holds the id of the load that is adding what is replaced whole."""
    return work_dir / "loading" / f"{vendor}.adding"


def _marks_path(work_dir: Path, vendor: str) -> Path:
    return work_dir / "loading" / f"{vendor}.json"
