"""Raw tables filled by hand, the marts built from them by the real dbt project, and their rows."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines import audit, catalog, config, marts, records, warehouse
from sources._json import dumps

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday


class MartHouse:
    """A work file whose raw tables a test fills row by row; `load` numbers the loads."""

    def __init__(self, root: Path, **settings: Any) -> None:
        """`settings` are keys as marts__KEY or VENDOR__KEY."""
        environ = {
            (key if key.startswith("marts__") else f"sources__{key}").upper(): str(value)
            for key, value in settings.items()
        }
        self.config = config.load(root, environ)
        self.config.work_dir.mkdir(parents=True, exist_ok=True)
        self.load = 1_000_000_000
        self.verdicts: list[audit.Verdict] = []
        with self.open() as connection:
            for name in catalog.NAMES:
                warehouse.make_tables(connection, catalog.vendor(name))
                loads = f"create table if not exists {name}._dlt_loads (load_id varchar)"
                connection.execute(loads)

    @contextmanager
    def open(self) -> Iterator[warehouse.Connection]:
        connection = warehouse.connect_work(self.config)
        try:
            yield connection
        finally:
            connection.close()

    def add(self, table: str, *rows: dict[str, Any]) -> None:
        """Rows into a raw table (`vendor.table`), as of one new load; dicts and lists as JSON."""
        self.load += 1
        vendor, _, name = table.partition(".")
        with self.open() as connection:
            connection.execute(f"insert into {vendor}._dlt_loads values ('{self.load}.0')")
            kinds = next(t for t in catalog.vendor(vendor).tables if t.name == name)
            for given in rows:
                row: dict[str, Any] = {"_dlt_load_id": f"{self.load}.0", **given}
                if kinds.kept == "history":
                    row.setdefault("row_version", f"{self.load}-{len(rows)}-{id(given)}")
                    row.setdefault("_dlt_valid_from", NOW)
                values = [dumps(v) if isinstance(v, dict | list) else v for v in row.values()]
                columns = ", ".join(f'"{column}"' for column in row)
                marks = ", ".join("?" for _ in row)
                connection.execute(
                    f'insert into "{vendor}"."{name}" ({columns}) values ({marks})', values
                )

    def record(self, *runs: dict[str, Any]) -> None:
        """Rows into ops.runs."""
        with self.open() as connection:
            records.record_runs(connection, runs)

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        with self.open() as connection:
            return connection.execute(query).fetchall()

    def build(self, now: datetime = NOW) -> list[audit.Verdict]:
        """Build and test the marts as a run does; what the tests found."""
        self.verdicts = marts.build(self.config, now, threading.Event())
        with self.open() as connection:
            marts.accept(self.config, connection, now)
        return self.verdicts

    def rebuild(self, now: datetime = NOW) -> list[audit.Verdict]:
        """The same from nothing."""
        self.sql("delete from ops.marts")
        return self.build(now)

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self.open() as connection:
            answer = connection.execute(query)
            names = [column[0] for column in answer.description or []]
            return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
