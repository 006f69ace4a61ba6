"""A warehouse for a test: a configuration that leads to the fakes, runs, and what came of them."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines import catalog, config, warehouse
from pipelines.board import Board, Job
from pipelines.run import run
from sources._endpoints import Window
from tests.fakes._server import Fake, Row


class House:
    """One warehouse in a folder of its own, loaded from the fakes it is given."""

    def __init__(self, root: Path, *fakes: Fake, **settings: Any) -> None:
        """`settings` are keys as VENDOR__KEY or WAREHOUSE__KEY in lower case."""
        self.root = root
        self.fakes = {fake.vendor: fake for fake in fakes}
        self.settings = settings
        self.said: list[str] = []
        self.board = Board(say=self.said.append)

    @property
    def environ(self) -> dict[str, str]:
        environ = {
            f"SOURCES__{name}__{key}".upper(): str(value)
            for name, fake in self.fakes.items()
            for key, value in fake.settings().items()
        }
        for key, value in self.settings.items():
            section = "" if key.partition("__")[0] in ("warehouse", "marts") else "SOURCES__"
            environ[(section + key).upper()] = str(value)
        return environ

    @property
    def config(self) -> config.Config:
        return config.load(self.root, self.environ)

    def run(self, *vendors: str, now: datetime | None = None, **job: Any) -> int:
        """A run at `now`, by default without the marts, which take seconds; the exit code."""
        now = now or datetime.now(UTC)
        loaded = self.config
        self.board = Board(say=self.said.append)
        names = config.wanted(loaded, list(vendors))
        return run(loaded, Job(names, now, **{"marts": False, **job}), self.board)

    def backfill(self, vendor: str, since: datetime, until: datetime) -> int:
        return self.run(vendor, command="backfill", span=Window(since, until))

    def sql(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with warehouse.reading(self.config.published) as connection:
            return connection.execute(query, list(parameters)).fetchall()

    def rows(self, vendor: str, table: str) -> list[Row]:
        """A table as dicts: of a history the current rows, of observations the latest."""
        columns = [c for (c,) in self.sql(COLUMNS_SQL, [vendor, table])]
        where = "true"
        if "_dlt_valid_to" in columns:
            where = "_dlt_valid_to is null"
        for observed in {"observed_at", "observed_on"} & set(columns):
            where = f'{observed} = (select max({observed}) from "{vendor}"."{table}")'
        query = f'select * from "{vendor}"."{table}" where {where}'
        return [dict(zip(columns, row, strict=True)) for row in self.sql(query)]

    def error(self, vendor: str) -> str:
        return self.board.vendors[vendor].error or ""


COLUMNS_SQL = (
    "select column_name from duckdb_columns() where schema_name = ? and table_name = ? "
    "order by column_index"
)


def canonical(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], jsons: set[str]
) -> list[str]:
    """Rows as sorted texts: JSON by its content, times in UTC."""
    return sorted(
        json.dumps({c: _plain(row.get(c), is_json=c in jsons) for c in columns}, sort_keys=True)
        for row in rows
    )


def _plain(value: Any, *, is_json: bool) -> Any:
    if is_json and isinstance(value, str):
        value = json.loads(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str | int | float | bool | dict | list) or value is None:
        return value
    return str(value)


def assert_holds(house: House, fake: Fake) -> None:
    """Every table of the vendor equals what the fake says a right warehouse holds."""
    for name, expected in fake.expected().items():
        assert_table(house, fake.vendor, name, expected)


def assert_table(house: House, vendor: str, name: str, expected: list[Row]) -> None:
    columns = sorted({column for row in expected for column in row})
    table = next(t for t in catalog.vendor(vendor).tables if t.name == name)
    jsons = {c for c, kind in table.columns.items() if kind in ("list", "map", "json")}
    got = canonical(house.rows(vendor, name), columns, jsons)
    want = canonical(expected, columns, set())
    missing, extra = sorted(set(want) - set(got)), sorted(set(got) - set(want))
    assert (len(got), missing[:2], extra[:2]) == (len(want), [], []), f"{vendor}.{name}"
    assert got == want, f"{vendor}.{name}"
