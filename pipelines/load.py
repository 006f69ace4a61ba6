"""One vendor's slices into the work file through dlt.

dlt's local folder is thrown away with each run and its state restored from the work file, so a
package left behind by a crash can neither block a night nor be loaded in place of one. Before each
load a marker says which endpoint may be half merged; it goes when that load has ended, or when
the endpoint has been read to its end again.
"""

import json
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dlt
from dlt.common.schema.typing import TSchemaContractDict
from dlt.extract.resource import DltResource

from sources._api import Meter
from sources._endpoints import Endpoint, Slice, Vendor
from sources._journal import write_durably
from sources._tables import VERSION, Table, arrow, column_hints, with_gone

from . import warehouse
from .gather import ENOUGH_ROWS, weight

CONTRACT: TSchemaContractDict = {
    "tables": "evolve",
    "columns": "evolve",
    "data_type": "freeze",
}
FORGOTTEN = {"cursor", "deep_at", "unfinished", "backfills"}  # by `outreach reset`


@dataclass(frozen=True)
class Package:
    """A slice as dlt is to get it: per table the Arrow data and dlt's hints."""

    endpoint: Endpoint
    tables: list[tuple[Table, Any, dict[str, Any]]]
    piece: Slice  # without its rows
    rows: int
    weight: int


class VendorLoad:
    """The dlt pipeline of one vendor in one run. `turn` lets one vendor load at a time; `tag` is
    part of the marker's names: a load that broke in a backfill is put right by that one alone."""

    def __init__(
        self,
        vendor: Vendor,
        connection: warehouse.Connection,
        work_dir: Path,
        turn: threading.Lock,
        tag: str = "",
        meter: Meter | None = None,
    ) -> None:
        self.vendor = vendor
        self._tag = tag
        self._meter = meter or Meter()
        self._connection, self._turn = connection, turn
        self._marker = _marker(work_dir, vendor.name)
        self._broken = marked(work_dir, vendor.name, connection)
        folder = work_dir / "dlt" / vendor.name
        shutil.rmtree(folder, ignore_errors=True)
        with turn:
            self._pipeline = dlt.pipeline(
                pipeline_name=vendor.name,
                pipelines_dir=str(folder),
                destination=dlt.destinations.duckdb(connection),
                dataset_name=vendor.name,
            )
            self._pipeline.sync_destination()
        self._known = self._known_columns()

    def states(self) -> dict[str, dict[str, Any]]:
        """What the warehouse remembers of each endpoint."""
        sources: Mapping[str, Any] = self._pipeline.state.get("sources", {})
        resources = sources.get(self.vendor.name, {}).get("resources", {})
        return {name: dict(state) for name, state in resources.items()}

    def package(self, endpoint: Endpoint, piece: Slice) -> Package:
        """A slice made ready for its load. Touches nothing of dlt: another thread may be loading,
        so the columns that the slices before this one brought are remembered here."""
        built = []
        for table in endpoint.tables:
            if table not in piece.rows:
                continue
            known = self._known.setdefault(table.name, {})
            data, new_json = arrow(table, piece.rows[table], known)
            if table.is_child:
                have = set(data.column(table.parent).to_pylist())
                data = with_gone(table, data, [p for p in piece.parents if p not in have])
            columns = column_hints(table)
            for name in data.column_names:
                kind = "json" if name in new_json else "text"
                columns.setdefault(name, {"data_type": kind, "nullable": True})
            known |= {name: str(columns[name]["data_type"]) for name in columns}
            if len(data) or table.kept == "history":
                built.append((table, data, {"columns": columns, **_disposition(table, piece)}))
        return Package(endpoint, built, replace(piece, rows={}), len(piece), weight(piece))

    def load(self, package: Package) -> None:
        """One slice: rows and state in one package, or an exception and neither."""
        name = package.endpoint.name
        with self._meter.timed("turn"):
            self._turn.acquire()
        try:
            resource = _resource(name, package.tables, package.piece.state)
            self._run([resource], self._broken | {name + self._tag: ""})
            if package.weight >= ENOUGH_ROWS:  # what is not checkpointed stays in memory
                with self._meter.timed("load"):
                    self._connection.execute("checkpoint")
        finally:
            self._turn.release()
        self._write_marks(self._broken)

    def forget_cursors(self) -> None:
        """The next run reads everything again; what else is remembered of endpoints stays."""
        if not self.states():
            return
        with self._turn, self._pipeline.managed_state(extract_state=True) as state:
            resources = state.get("sources", {}).get(self.vendor.name, {}).get("resources", {})
            for known in resources.values():
                for key in FORGOTTEN & known.keys():
                    del known[key]
        self._pipeline.normalize()
        self._pipeline.load()

    def whole(self, endpoint: Endpoint) -> None:
        """This endpoint has been read to its end: what a broken load left is put right."""
        if self._broken.pop(endpoint.name + self._tag, None) is not None:
            self._write_marks(self._broken)

    def _known_columns(self) -> dict[str, dict[str, str]]:
        if not self._pipeline.default_schema_name:
            return {}
        tables = self._pipeline.default_schema.tables
        return {
            name: {c: str(hint.get("data_type")) for c, hint in table["columns"].items()}
            for name, table in tables.items()
        }

    def _run(self, resources: list[DltResource], marks: Mapping[str, str]) -> None:
        source = dlt.source(lambda: resources, name=self.vendor.name)()
        with self._meter.timed("extract"):
            self._pipeline.extract(source, loader_file_format="parquet")
        with self._meter.timed("normalize"):
            load_ids = self._pipeline.normalize().loads_ids
        if not load_ids:  # no rows, and a state that is as it was
            return
        with self._meter.timed("load"):
            self._write_marks({name: load_id or load_ids[0] for name, load_id in marks.items()})
            self._pipeline.load(raise_on_failed_jobs=True)

    def _write_marks(self, marks: Mapping[str, str]) -> None:
        if marks:
            write_durably(self._marker, json.dumps(marks).encode())
        else:
            self._marker.unlink(missing_ok=True)


def marked(work_dir: Path, vendor: str, connection: warehouse.Connection) -> dict[str, str]:
    """Endpoints of a vendor whose last load did not end, with the load's id."""
    path = _marker(work_dir, vendor)
    marks: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return {
        endpoint: load_id
        for endpoint, load_id in marks.items()
        if not warehouse.load_is_complete(connection, vendor, load_id)
    }


def forget_marks(work_dir: Path, vendor: str) -> None:
    _marker(work_dir, vendor).unlink(missing_ok=True)


def _marker(work_dir: Path, vendor: str) -> Path:
    return work_dir / "loading" / f"{vendor}.json"


def _resource(
    name: str, built: list[tuple[Table, Any, dict[str, Any]]], state: Mapping[str, Any]
) -> DltResource:
    """The dlt resource of an endpoint: one Arrow table for each of its tables, and its state."""

    def tables() -> Iterator[Any]:
        dlt.current.resource_state().update(state)
        for table, data, hints in built:
            hint = dlt.mark.make_hints(table_name=table.name, schema_contract=CONTRACT, **hints)
            yield dlt.mark.with_hints(data, hint, create_table_variant=True)

    return dlt.resource(tables, name=name)


def _disposition(table: Table, piece: Slice) -> dict[str, Any]:
    """How dlt keeps a table: what `Table.kept` means in dlt's words."""
    merge: dict[str, Any] = {"disposition": "merge"}
    if table.kept == "newest":
        merge |= {"strategy": "upsert", "skip_unchanged_rows": True}
        return {"write_disposition": merge, "primary_key": table.key}
    if table.kept == "history":
        merge |= {"strategy": "scd2", "row_version_column_name": VERSION}
        # always said: dlt keeps the last scope in the schema and would go on with it
        everything = piece.scope is None
        merge["destination_scope"] = "1 = 1" if everything else _scope(table, piece.scope)
        return {"write_disposition": merge}
    if table.parent:
        return {"write_disposition": merge, "merge_key": table.parent, "primary_key": ()}
    return {"write_disposition": merge, "primary_key": table.key}


def _scope(table: Table, ids: Sequence[str] | None) -> str:
    """The lists that were read completely, as SQL; dlt calls .format on it."""
    texts = ", ".join("'" + i.replace("'", "''") + "'" for i in sorted(set(ids or ())))
    condition = f"{table.parent} IN ({texts})" if texts else "1 = 0"
    return condition.replace("{", "{{").replace("}", "}}")
