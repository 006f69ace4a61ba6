"""One vendor's slices into the work file through dlt.

dlt's local folder is thrown away with each run and its state restored from the work file, so a
package left behind by a crash can neither block a night nor be loaded in place of one. Before each
load a marker says which endpoint may be half merged; it goes when that load has ended, or when
the endpoint has been read to its end again.
"""

import json
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dlt
from dlt.common.schema.typing import TSchemaContractDict
from dlt.extract.resource import DltResource

from sources._api import Row
from sources._endpoints import Endpoint, Slice, Vendor
from sources._errors import VendorError
from sources._journal import write_durably
from sources._tables import VERSION, Table, arrow, column_hints, with_gone

from . import warehouse

CONTRACT: TSchemaContractDict = {
    "tables": "evolve",
    "columns": "evolve",
    "data_type": "freeze",
}
FORGOTTEN = {"cursor", "deep_at", "unfinished", "backfills"}  # by `outreach reset`


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
    ) -> None:
        self.vendor = vendor
        self._tag = tag
        self.seconds = 0.0
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

    def states(self) -> dict[str, dict[str, Any]]:
        """What the warehouse remembers of each endpoint."""
        sources: Mapping[str, Any] = self._pipeline.state.get("sources", {})
        resources = sources.get(self.vendor.name, {}).get("resources", {})
        return {name: dict(state) for name, state in resources.items()}

    def load(self, endpoint: Endpoint, piece: Slice) -> None:
        """One slice: rows and state in one package, or an exception and neither."""
        started = time.monotonic()
        with self._turn:
            resource = _resource(endpoint, self._built(endpoint, piece), piece.state)
            self._run([resource], self._broken | {endpoint.name + self._tag: ""})
            if _weight(piece) >= ENOUGH_ROWS:  # what is not checkpointed stays in memory
                self._connection.execute("checkpoint")
        self._write_marks(self._broken)
        self.seconds += time.monotonic() - started

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

    def _built(self, endpoint: Endpoint, piece: Slice) -> list[tuple[Table, Any, dict[str, Any]]]:
        known = self._known_columns()
        built = []
        for table in endpoint.tables:
            if table not in piece.rows:
                continue
            data, new_json = arrow(table, piece.rows[table], known.get(table.name, {}))
            if table.is_child:
                have = set(data.column(table.parent).to_pylist())
                data = with_gone(table, data, [p for p in piece.parents if p not in have])
            columns = column_hints(table)
            for name in data.column_names:
                kind = "json" if name in new_json else "text"
                columns.setdefault(name, {"data_type": kind, "nullable": True})
            if len(data) or table.kept == "history":
                built.append((table, data, {"columns": columns, **_disposition(table, piece)}))
        return built

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
        self._pipeline.extract(source, loader_file_format="parquet")
        load_ids = self._pipeline.normalize().loads_ids
        if not load_ids:  # no rows, and a state that is as it was
            return
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
    endpoint: Endpoint, built: list[tuple[Table, Any, dict[str, Any]]], state: Mapping[str, Any]
) -> DltResource:
    """The dlt resource of an endpoint: one Arrow table for each of its tables, and its state."""

    def tables() -> Iterator[Any]:
        dlt.current.resource_state().update(state)
        for table, data, hints in built:
            hint = dlt.mark.make_hints(table_name=table.name, schema_contract=CONTRACT, **hints)
            yield dlt.mark.with_hints(data, hint, create_table_variant=True)

    return dlt.resource(tables, name=endpoint.name)


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


# --- slices to loads -----------------------------------------------------------------------------

ENOUGH_ROWS = 2_000  # of the main table
ENOUGH_SECONDS = 10.0


def gathered(slices: Iterator[Slice]) -> Iterator[Slice]:
    """Small slices joined to loads worth their overhead; what was read before a failure is kept."""
    pending: list[Slice] = []
    since = time.monotonic()
    try:
        for piece in slices:
            pending.append(piece)
            enough = sum(map(_weight, pending)) >= ENOUGH_ROWS
            if enough or time.monotonic() - since > ENOUGH_SECONDS:
                yield joined(pending)
                pending, since = [], time.monotonic()
    except VendorError:
        if pending:
            yield joined(pending)
        raise
    if pending:
        yield joined(pending)


def _weight(piece: Slice) -> int:
    """Rows of the endpoint's main table: an interaction counts once, not with all its events."""
    counts = [len(rows) for table, rows in piece.rows.items() if not table.is_child]
    return max(counts, default=0)


def joined(pieces: Sequence[Slice]) -> Slice:
    """One slice of several: a later version of a row, or of a parent's children, takes the place
    of an earlier one; dlt itself would keep either."""
    if len(pieces) == 1:
        return pieces[0]
    latest_of_parent = {parent: n for n, piece in enumerate(pieces) for parent in piece.parents}
    tables = {table for piece in pieces for table in piece.rows}
    rows = {table: _joined_rows(table, pieces, latest_of_parent) for table in tables}
    first, last = pieces[0], pieces[-1]
    return Slice(
        rows,
        {key: value for piece in pieces for key, value in piece.state.items()},
        f"{first.label.split('..')[0]}..{last.label.split('..')[-1]}",
        scope=None if last.scope is None else tuple(i for p in pieces for i in p.scope or ()),
        parents=tuple(latest_of_parent),
        warnings=tuple(w for piece in pieces for w in piece.warnings),
        held=tuple(h for piece in pieces for h in piece.held),
    )


def _joined_rows(
    table: Table, pieces: Sequence[Slice], latest_of_parent: Mapping[str, int]
) -> list[Row]:
    if table.is_child:
        return [
            row
            for n, piece in enumerate(pieces)
            for row in piece.rows.get(table, [])
            if latest_of_parent[str(row[str(table.parent)])] == n
        ]
    if table.kept == "history":
        return [row for piece in pieces for row in piece.rows.get(table, [])]
    latest = {table.key_of(row): row for piece in pieces for row in piece.rows.get(table, [])}
    return list(latest.values())
