"""One vendor's slices into the work file through dlt.

dlt's local folder is thrown away with each run and its state restored from the work file, so a
package left behind by a crash can neither block a night nor be loaded in place of one. Before each
load a marker says which endpoint may be half loaded; it goes when that load has ended, or when
the endpoint has been read to its end again.
"""

import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import dlt
import dlt.extract.storage
from dlt.common.schema.typing import TSchemaContractDict
from dlt.extract.resource import DltResource

from sources._arrow import TypeChanged, arrow
from sources._endpoints import Endpoint, Slice, Vendor
from sources._journal import write_durably
from sources._meter import Meter
from sources._rejects import Rejected, key_text, without_bad
from sources._tables import VERSION, Table, column_hints

from . import catalog, memory, records, warehouse
from .broken import adding_path, mark, settle
from .files import Say
from .gather import Built
from .history import join_moved
from .replaced import remove_earlier, without_unchanged

CONTRACT: TSchemaContractDict = {
    "tables": "evolve",
    "columns": "evolve",
    "data_type": "freeze",
}
Hinted = tuple[str, Any, dict[str, Any]]  # a table's name, its Arrow table, dlt's hints
CHECKPOINT_ROWS = 2_000  # of main tables; what is not checkpointed stays in memory
FORGOTTEN = {"cursor", "deep_at", "unfinished", "backfills"}  # by `outreach reset`


def name_loads(connection: warehouse.Connection, say: Say) -> None:
    """dlt names loads by the clock, and takes the highest name for the newest state; versions of
    histories begin with that time. Behind a load of a clock that was ahead, names go on from it."""
    newest = max(records.newest_load(connection, name) for name in catalog.NAMES)
    if newest > time.time():
        at = f"{datetime.fromtimestamp(newest, UTC):%Y-%m-%d %H:%M}Z"
        say(
            f"the newest load is of {at}: a clock was ahead, or ours is behind; until then new "
            "versions of histories are dated right behind it"
        )
    naming = threading.Lock()

    def name() -> str:
        nonlocal newest
        with naming:
            newest = max(time.time(), newest + 0.001)
            return f"{newest:.6f}"

    dlt.extract.storage.create_load_id = name  # type: ignore[attr-defined]  # dlt has no seam


class VendorLoad:
    """The dlt pipeline of one vendor in one run. `turn` lets one vendor load at a time; `tag` is
    part of the marker's names: a load that broke in a backfill is put right by that one alone.
    `put_aside`: the run and its time, where it goes on without records that make no table."""

    def __init__(
        self,
        vendor: Vendor,
        connection: warehouse.Connection,
        work_dir: Path,
        turn: threading.Lock,
        tag: str = "",
        meter: Meter | None = None,
        *,
        put_aside: tuple[str, datetime] | None = None,
    ) -> None:
        self.vendor = vendor
        self._put_aside = put_aside
        self._tag = tag
        self._meter = meter or Meter()
        self._in_memory = 0  # rows that no checkpoint has written yet
        self.changed = False  # whether a load of this run changed what marts show
        self._connection, self._turn = connection, turn
        self._work_dir = work_dir
        self._broken = settle(work_dir, vendor, connection)
        folder = work_dir / "dlt" / vendor.name
        shutil.rmtree(folder, ignore_errors=True)
        with turn:
            self._pipeline = dlt.pipeline(
                pipeline_name=vendor.name,
                pipelines_dir=str(folder),
                destination=_destination(connection),
                dataset_name=vendor.name,
            )
            self._pipeline.sync_destination()
        self._known = self._known_columns()
        self._open = records.open_rejections(connection, vendor.name)
        self._good_at = records.last_runs(connection).get(vendor.name, {}).get("good_at")

    def states(self) -> dict[str, Mapping[str, Any]]:
        """What the warehouse remembers of each endpoint."""
        sources: Mapping[str, Any] = self._pipeline.state.get("sources", {})
        resources = sources.get(self.vendor.name, {}).get("resources", {})
        return {name: dict(state) for name, state in resources.items()}

    def build(self, endpoint: Endpoint, piece: Slice) -> Built:
        """A slice's rows as Arrow tables. Touches nothing of dlt, for another thread may load;
        so it is kept here which columns are known, those of slices not loaded yet among them."""
        with self._meter.seconds.timed("building"):
            return self._built(endpoint, piece)

    def _built(self, endpoint: Endpoint, piece: Slice) -> Built:
        rejected: list[Rejected] = []
        try:
            made = self._arrow(piece)
        except TypeChanged as error:
            place = f"{endpoint.name} {piece.label}"
            if not self._put_aside:
                raise TypeChanged(self._how_to_go_on(place, error)) from None
            try:
                piece, rejected = without_bad(piece, self._known, place)
            except TypeChanged as many:
                raise many.at(place) from None
            made = self._arrow(piece)
        for table, (data, new_json) in made.items():
            known = self._known.setdefault(table.name, {})
            for name in data.column_names:
                known.setdefault(name, "json" if name in new_json else "text")
        resolved = self._resolved(piece) if self._open else []
        self._open = (self._open | {(r.table, r.key) for r in rejected}) - set(resolved)
        tables = {table: data for table, (data, _) in made.items()}
        return Built(replace(piece, rows={}), tables, tuple(rejected), tuple(resolved))

    def _arrow(self, piece: Slice) -> dict[Table, tuple[Any, set[str]]]:
        return {
            table: arrow(table, rows, self._known.get(table.name, {}))
            for table, rows in piece.rows.items()
        }

    def _how_to_go_on(self, place: str, error: TypeChanged) -> str:
        return (
            f"{place}: {error}; nothing of this slice was loaded. Set "
            f"[sources.{self.vendor.name}] put_aside = true to go on without this record"
        )

    def _resolved(self, piece: Slice) -> list[tuple[str, str]]:
        """Those of the records put aside earlier that this slice has in good health."""
        return [
            found
            for table, rows in piece.rows.items()
            if any(name == table.name for name, _ in self._open)
            for row in rows
            if (found := (table.name, key_text(table, row))) in self._open
        ]

    def load(self, endpoint: Endpoint, built: Built) -> None:
        """One slice: rows and state in one package, or an exception and neither. What is put
        aside of it is written down before, so that a crash in between loses no trace."""
        if built.rejected:
            assert self._put_aside
            with self._my_turn():
                records.record_rejected(
                    self._connection, self.vendor.name, built.rejected, *self._put_aside
                )
        # while a load is broken a row may be of another load than its children
        if built.replaced and not self._broken:
            with self._my_turn():
                built = without_unchanged(self._connection, self.vendor.name, built)
        load_id = self._packed(endpoint, built)
        family, resolved = list(built.replaced), built.resolved
        self._in_memory += built.weight
        del built  # dlt keeps errors that it expects, and with them the frames of who called it
        if not load_id and not resolved:
            return
        with self._my_turn():
            if load_id:
                with self._marked(endpoint, load_id):
                    with self._replacing(family, load_id):
                        self._pipeline.load(raise_on_failed_jobs=True)
                    self._loaded(endpoint, load_id)
            records.forget_rejected(self._connection, self.vendor.name, resolved)

    def _packed(self, endpoint: Endpoint, built: Built) -> str | None:
        """dlt's package of a slice; None where there are no rows, and a state that is as it was."""
        with self._meter.seconds.timed("extract"):
            tables = list(self._hinted(endpoint, built))
            resource = _resource(endpoint.name, tables, built.piece.state)
            source = dlt.source(
                lambda: [resource], name=self.vendor.name, schema_contract=CONTRACT
            )()
            self._pipeline.extract(source, loader_file_format="parquet")
            tables.clear()  # dlt keeps the resource for long
        with self._meter.seconds.timed("normalize"):
            return next(iter(self._pipeline.normalize().loads_ids), None)

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        """The database to this vendor alone."""
        with self._meter.seconds.timed("turn"):
            self._turn.acquire()
        try:
            with self._meter.seconds.timed("load"):
                yield
        finally:
            self._turn.release()

    def _mark(self, loads: Mapping[str, str]) -> None:
        mark(self._work_dir, self.vendor.name, loads)

    @contextmanager
    def _marked(self, endpoint: Endpoint, load_id: str) -> Iterator[None]:
        """A mark on the disk while the load may be half done; it stays where this raises, as one of
        an earlier run does until the endpoint is whole."""
        self._mark({endpoint.name + self._tag: load_id} | self._broken)
        yield
        self._mark(self._broken)

    @contextmanager
    def _replacing(self, family: Sequence[Table], load_id: str) -> Iterator[None]:
        """Earlier versions go once all is added; the file on the disk stays where this raises."""
        if not family:
            yield
            return
        adding = adding_path(self._work_dir, self.vendor.name)
        write_durably(adding, load_id.encode())
        yield
        torn = bool(self._broken)
        remove_earlier(self._connection, self.vendor.name, family, load_id, torn=torn)
        adding.unlink()

    def _loaded(self, endpoint: Endpoint, load_id: str) -> None:
        shown = [t.name for t in endpoint.tables if not (t.is_observation or t.is_child)]
        self.changed = self.changed or records.has_rows_of(
            self._connection, self.vendor.name, shown, load_id
        )
        if self._in_memory >= CHECKPOINT_ROWS:
            self._connection.execute("checkpoint")
            self._in_memory = 0
            memory.give_back()

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
        if self._broken.pop(endpoint.name + self._tag, None) is None:
            return
        with self._my_turn():
            names = [table.name for table in endpoint.tables]
            records.complete_cut_loads(self._connection, self.vendor.name, names)
        self._mark(self._broken)

    def join_moved(self) -> None:
        """Behind all loads of this run, also of one that failed: what moved between lists."""
        for table in self.vendor.tables:
            if table.kept == "history" and table.parent not in (None, *table.key):
                with self._my_turn():
                    join_moved(self._connection, self.vendor.name, table, self._good_at)

    def _hinted(self, endpoint: Endpoint, built: Built) -> Iterator[Hinted]:
        """The tables of a load with dlt's hints for them."""
        for table in endpoint.tables:
            if table not in built.tables:
                continue
            data, columns = built.tables[table], column_hints(table)
            for name in data.column_names:
                kind = self._known[table.name][name]
                columns.setdefault(name, {"data_type": kind, "nullable": True})
            if len(data) or table.kept == "history":
                yield table.name, data, {"columns": columns, **_disposition(table, built.piece)}

    def _known_columns(self) -> dict[str, dict[str, str]]:
        if not self._pipeline.default_schema_name:
            return {}
        tables = self._pipeline.default_schema.tables
        return {
            name: {c: str(hint.get("data_type")) for c, hint in table["columns"].items()}
            for name, table in tables.items()
        }


def _destination(connection: warehouse.Connection) -> Any:
    """DuckDB, with its configuration looked up once: what dlt does some thirty times a load to
    learn the destination's capabilities, for a third of the load's whole time."""
    destination = dlt.destinations.duckdb(connection)
    look_up = destination.configuration

    @cache
    def partial() -> Any:
        return look_up(
            destination.spec(credentials=destination.config_params["credentials"]),
            accept_partial=True,
        )

    def configuration(initial: Any, accept_partial: bool = False) -> Any:
        return partial() if accept_partial else look_up(initial)

    destination.configuration = configuration  # type: ignore[assignment,method-assign]  # dlt has no seam
    return destination


def _resource(name: str, hinted: Sequence[Hinted], state: Mapping[str, Any]) -> DltResource:
    """The dlt resource of an endpoint: one Arrow table for each of its tables, and its state."""

    def tables() -> Iterator[Any]:
        dlt.current.resource_state().update(state)
        for table, data, hints in hinted:
            hint = dlt.mark.make_hints(table_name=table, **hints)
            yield dlt.mark.with_hints(data, hint, create_table_variant=True)

    return dlt.resource(tables, name=name)


def _disposition(table: Table, piece: Slice) -> dict[str, Any]:
    """How dlt keeps a table: what `Table.kept` means in dlt's words."""
    merge: dict[str, Any] = {"disposition": "merge"}
    if table.kept == "replaced":  # nothing of what comes is there
        return {"write_disposition": "append"}
    if table.kept == "newest":
        merge |= {"strategy": "upsert", "skip_unchanged_rows": True}
        return {"write_disposition": merge, "primary_key": table.key}
    merge |= {"strategy": "scd2", "row_version_column_name": VERSION}
    # always said: dlt keeps the last scope in the schema and would go on with it
    everything = piece.scope is None
    merge["destination_scope"] = "1 = 1" if everything else _scope(table, piece.scope)
    return {"write_disposition": merge}


def _scope(table: Table, ids: Sequence[str] | None) -> str:
    """The lists that were read completely, as SQL; dlt calls .format on it."""
    texts = ", ".join("'" + i.replace("'", "''") + "'" for i in sorted(set(ids or ())))
    condition = f"{table.parent} IN ({texts})" if texts else "1 = 0"
    return condition.replace("{", "{{").replace("}", "}}")
