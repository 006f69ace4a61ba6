"""The README is held to the code: its commands, tables, keys and queries exist, and back."""

import re
from pathlib import Path

import duckdb
import pytest
from typer.main import get_command

from pipelines import catalog, config
from pipelines.__main__ import app
from tests.fakes.avaamo import AvaamoFake
from tests.house import House

README = Path("README.md").read_text()
OF_OTHER_PROGRAMS = {"--now", "--jq", "--readonly", "--profiles-dir", "--full-refresh"}


def test_every_command_and_option_exists_and_is_told() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    told = set(re.findall(r"`outreach (\w+)", README))
    assert told == set(commands)
    options = {o for c in commands.values() for p in c.params for o in p.opts if o[:2] == "--"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - OF_OTHER_PROGRAMS <= options


def test_every_vendor_and_table_is_told() -> None:
    first = README.partition("See it work")[0]
    for name in catalog.NAMES:
        row = next(line for line in first.splitlines() if line.startswith(f"| `{name}`"))
        assert re.findall(r"`(\w+)`", row.split("|")[2]) == [
            t.name for t in catalog.vendor(name).tables
        ]


def test_every_make_target_is_there() -> None:
    makefile = Path("Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", README):
        assert re.search(rf"(?m)^{target}:", makefile) or target in ("alone",), target


def test_every_setting_named_in_capitals_is_a_key() -> None:
    for section, vendor, key in re.findall(
        r"\b(SOURCES|WAREHOUSE)__(?:([A-Z]+)__)?([A-Z_]+)\b", README
    ):
        if section == "WAREHOUSE":
            assert key.lower() in config.WAREHOUSE
        else:
            known = catalog.vendor(vendor.lower())
            assert key.lower() in {*known.defaults, *known.secrets, *config.EVERY_VENDOR}


def test_every_file_named_exists() -> None:
    for path in re.findall(r"\b((?:sources|pipelines|tests)/[\w/]+\.py)\b", README):
        assert Path(path).exists() or "NAME" in path, path


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of one vendor with few rows: every query must have its tables there too."""
    with AvaamoFake() as fake:
        fake.seed(3)
        home = House(tmp_path_factory.mktemp("readme"), fake)
        assert home.run(marts=True) == 0
    return home.config.published


@pytest.mark.parametrize("query", re.findall(r"```sql\n(.*?)```", README, re.DOTALL))
def test_every_query_runs_on_an_empty_warehouse(published: Path, query: str) -> None:
    with duckdb.connect(str(published), read_only=True) as connection:
        connection.execute(query)
