"""The README is held to the code: its commands, tables, keys and queries exist, and back."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from typer.main import get_command

from pipelines import catalog, config
from pipelines.__main__ import app
from tests.fakes.avaamo import AvaamoFake
from tests.house import House
from tests.mart_house import MartHouse
from tests.test_marts_dialing import call, campaign, lead
from tests.test_marts_messages import insight, mail
from tests.test_marts_vonage import ONE, agent, person, put

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


MONDAY = README.partition("### Ten questions for Monday morning")[2].partition("\n## ")[0]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> MartHouse:
    """A warehouse in which each Monday question has an answer, as of today."""
    house = MartHouse(tmp_path_factory.mktemp("monday"))
    now = datetime.now(UTC)
    yesterday = now - timedelta(days=1)
    person_1, person_2 = "+12025550101", "+12025550102"
    talk = (person(("Connected", 0, 27), ONE), agent("27", ("Connected", 18, 9)))
    put(house, "v1", *talk, start=yesterday)
    failed = insight("0", "failed", "sms", to_phone=person_2, created_at=yesterday)
    sms = [
        insight(str(n), "delivered", "sms", to_phone=person_1, created_at=yesterday)
        for n in range(1, 31)  # enough for best_hours
    ]
    house.add("avaamo.campaign_insights", failed, *sms)
    house.add("inwise.sent_emails", mail("a", "1", yesterday))
    house.add("dialer.campaigns", campaign("c1", "Renewals"))
    new = lead("a", "new", yesterday, number=person_2, created=yesterday - timedelta(hours=1))
    house.add("dialer.leads", new)
    house.add("dialer.lead_history", call("1", lead_number=person_2, timestamp=yesterday))
    house.build(now)
    return house


@pytest.mark.parametrize("query", re.findall(r"```sql\n(.*?)```", MONDAY, re.DOTALL))
def test_every_monday_question_has_an_answer(busy: MartHouse, query: str) -> None:
    assert busy.sql(query)


def test_there_are_ten_questions_for_monday() -> None:
    assert MONDAY.count("```sql") == 10
