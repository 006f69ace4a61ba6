"""Write, audit, publish: whose rows fail a test is put back, what is nobody's alone stops all."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import audit, marts
from pipelines.errors import AuditRefused
from tests.fakes._server import Fake
from tests.fakes.avaamo import AvaamoFake
from tests.fakes.dialer import DialerFake
from tests.house import House, assert_holds

NEWER = "select 'avaamo' as vendor, id from {{ source('avaamo', 'campaign_insights') }}"


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of tests of a project of our own, to which a test may add a rule."""
    project = tmp_path / "project"
    shutil.copytree(marts.PROJECT, project)
    monkeypatch.setattr(marts, "PROJECT", project)
    return project / "tests"


@pytest.fixture
def fakes() -> Iterator[tuple[Fake, Fake]]:
    with AvaamoFake() as avaamo, DialerFake() as dialer:
        for fake in (avaamo, dialer):
            fake.seed(40)
        yield avaamo, dialer


def refuse(rules: Path, query: str) -> Path:
    rule = rules / "a_rule.sql"
    rule.write_text(query)
    return rule


def test_a_vendor_whose_rows_are_refused_is_published_as_it_last_was(
    house: Callable[..., House], fakes: tuple[Fake, Fake], rules: Path
) -> None:
    avaamo, dialer = fakes
    home = house(*fakes)
    assert home.run(marts=True) == 0
    before = home.sql("select * from avaamo.campaign_insights order by id")
    attempts = home.sql("from marts.contact_attempts where vendor = 'avaamo' order by 1")
    for fake in fakes:
        fake.change()
    ids = ", ".join(f"'{row[0]}'" for row in home.sql("select id from avaamo.campaign_insights"))
    rule = refuse(rules, f"{NEWER} where id not in ({ids})")

    assert home.run(marts=True) == 1

    assert home.sql("select * from avaamo.campaign_insights order by id") == before
    assert home.sql("from marts.contact_attempts where vendor = 'avaamo' order by 1") == attempts
    assert_holds(home, dialer)
    [(calls,)] = home.sql("select count(*) from dialer.lead_history")
    assert home.sql("select count(*) from marts.contact_attempts where vendor = 'dialer'") == [
        (calls,)
    ]
    assert home.board.vendors["avaamo"].status == "refused"
    assert "a_rule" in home.error("avaamo")
    with duckdb.connect(str(home.config.work_dir / audit.REFUSED)) as aside:
        assert aside.execute("select count(*) from a_rule").fetchone() != (0,)

    rule.unlink()
    assert home.run(marts=True) == 0
    assert_holds(home, avaamo)
    assert home.sql("select id from avaamo.campaign_insights order by id") == home.sql(
        "select source_key from marts.contact_attempts where vendor = 'avaamo' order by 1"
    )


def test_a_first_load_that_is_refused_leaves_the_vendor_empty(
    house: Callable[..., House], fakes: tuple[Fake, Fake], rules: Path
) -> None:
    avaamo, dialer = fakes
    home = house(*fakes)
    rule = refuse(rules, NEWER)
    assert home.run(marts=True) == 1
    assert home.sql("select * from avaamo.campaign_insights") == []
    assert_holds(home, dialer)
    rule.unlink()
    assert home.run(marts=True) == 0
    assert_holds(home, avaamo)


@pytest.mark.parametrize(
    "query",
    [
        "select id from {{ source('avaamo', 'campaign_insights') }}",
        "select error_if_asked from {{ source('avaamo', 'campaign_insights') }}",
    ],
    ids=["rows of nobody", "SQL that fails"],
)
def test_what_is_no_vendors_fault_publishes_nothing(
    house: Callable[..., House], fakes: tuple[Fake, Fake], rules: Path, query: str
) -> None:
    home = house(*fakes)
    assert home.run(marts=True) == 0
    before = home.config.published.read_bytes()
    fakes[0].change()
    rule = refuse(rules, query)
    for _ in range(2):  # and the next night does not take the refused build for a good one
        with pytest.raises(AuditRefused, match="a_rule"):
            home.run(marts=True)
        assert home.config.published.read_bytes() == before
    rule.unlink()
    assert home.run(marts=True) == 0
    for fake in fakes:
        assert_holds(home, fake)


def test_marts_are_built_only_when_something_changed(house: Callable[..., House]) -> None:
    def built() -> list[tuple[Any, ...]]:
        return home.sql("select built_at from ops.marts")

    with AvaamoFake() as fake:
        fake.seed(20)
        home = house(fake)
        now = datetime.now(UTC)
        assert home.run(marts=True, now=now) == 0
        first = built()
        assert home.run(marts=True, now=now) == 0
        assert built() == first
        fake.change()
        assert home.run(now=now) == 0
        assert built() == first, "--no-marts leaves the marts as they were"
        assert home.run(marts=True, now=now) == 0
        marts = "select table_name from duckdb_tables() where schema_name = 'marts'"
        assert not [name for (name,) in home.sql(marts) if name.startswith("changed_")]
        changed = built()
        assert changed != first
        home.settings["marts__touch_ceiling_per_week"] = 3
        assert home.run(marts=True, now=now) == 0
        redefined = built()
        assert redefined != changed
        assert home.run(marts=True, now=now + timedelta(days=1)) == 0
        assert built() != redefined, "the last 7 days are others on the next day"


def test_warnings_publish_and_are_told(
    house: Callable[..., House], fakes: tuple[Fake, Fake], rules: Path
) -> None:
    home = house(*fakes)
    refuse(rules, "{{ config(severity='warn') }}" + NEWER)
    assert home.run(marts=True) == 0
    assert [text for text in home.board.warnings if "a_rule" in text]
    assert home.sql("select severity, vendor from ops.audit where test = 'a_rule'") == [
        ("warn", "avaamo")
    ]


def test_what_cannot_be_put_back_is_kept_and_not_published(
    house: Callable[..., House], fakes: tuple[Fake, Fake], rules: Path
) -> None:
    home = house(*fakes)
    assert home.run(marts=True) == 0
    home.config.published.unlink()
    rule = refuse(rules, NEWER)
    with pytest.raises(AuditRefused, match="no published file"):
        home.run(marts=True)
    assert not home.config.published.exists()
    rule.unlink()
    assert home.run(marts=True) == 0
    for fake in fakes:
        assert_holds(home, fake)


def test_a_run_that_only_observed_queues_builds_no_marts(
    house: Callable[..., House], fakes: tuple[Fake, Fake]
) -> None:
    home = house(*fakes)
    now = datetime.now(UTC)
    assert home.run(marts=True, now=now) == 0
    first = home.sql("select built_at from ops.marts")
    assert home.run(marts=True, now=now + timedelta(seconds=1)) == 0
    assert home.sql("select built_at from ops.marts") == first
    assert home.sql("select count(distinct observed_at) from dialer.queues") == [(2,)]
