"""Readers in processes of their own while runs publish: what they see, and that no run minds."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines import publishing, records, warehouse
from pipelines.errors import Refused
from tests.fakes.avaamo import AvaamoFake
from tests.house import House, assert_holds

MakeHouse = Callable[..., House]

PUBLISHES = 50
ROWS = 100  # a night's rows, times its number
PATIENCE_SECONDS = 120

# A look is one read transaction of several statements: they must all tell of one night.
READER = """
import json, sys, time
from pathlib import Path

import duckdb

path, stop, manner = sys.argv[1], Path(sys.argv[2]), sys.argv[3]


def opened():
    connection = duckdb.connect(path, read_only=True, config={"threads": 1})
    connection.execute("set memory_limit = '100MB'")
    return connection


def look(connection):
    connection.execute("begin")
    stamps = connection.execute("select run_id from ops.published").fetchall()
    told = connection.execute(
        "select count(*) from ops.runs where run_id = ? and status = 'ok'", stamps[0]
    ).fetchone()
    held = connection.execute(
        "select count(*), min(e164), max(e164) from ops.phone_numbers"
    ).fetchone()
    connection.execute("commit")
    print(json.dumps([*stamps[0], len(stamps), *told, *held]), flush=True)


kept = opened() if manner == "keeps it open" else None
while not stop.exists():
    if kept:
        look(kept)
    elif manner == "opens it anew":
        with opened() as connection:
            look(connection)
    else:
        with duckdb.connect() as connection:
            connection.execute("attach '" + path + "' as house (read_only)")
            connection.execute("use house")
            look(connection)
    time.sleep(0.1)  # leaves the runs some of the machine
"""
MANNERS = ("keeps it open", "opens it anew", "attaches it")

Look = list[Any]


class Reader:
    """A process that looks again and again, and what it saw."""

    def __init__(self, published: Path, folder: Path, manner: str) -> None:
        self.manner = manner
        self._stop = folder / "stop"
        self._out = folder / f"{manner}.jsonl"
        self._errors = folder / f"{manner}.err"
        with self._out.open("w") as out, self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", READER, str(published), str(self._stop), manner],
                stdout=out,
                stderr=errors,
            )

    @property
    def looks(self) -> list[Look]:
        lines = self._out.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def wait_until(self, enough: Callable[[list[Look]], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not enough(self.looks) and time.monotonic() < deadline:
            assert self._process.poll() is None, self._errors.read_text()
            time.sleep(0.01)
        assert enough(self.looks), self.manner

    def end(self) -> None:
        """Raises where the reader met an error or a lock."""
        self._stop.touch()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_SECONDS)
        self._process.kill()
        assert (self._process.wait(), self._errors.read_text()) == (0, ""), self.manner


@contextmanager
def reading(home: House) -> Iterator[list[Reader]]:
    """Three readers that have looked at least once; ended without an error."""
    folder = home.root / "readers"
    folder.mkdir()
    readers = [Reader(home.config.published, folder, manner) for manner in MANNERS]
    try:
        for reader in readers:
            reader.wait_until(bool)
        yield readers
    finally:
        for reader in readers:
            reader.end()


def publish_night(home: House, night: int) -> Look:
    """A table made anew and published; what a reader must see of it."""
    run_id, now = f"night-{night:02}", datetime.now(UTC)
    connection = warehouse.open_work(home.config, home.said.append)
    run = {"run_id": run_id, "vendor": "avaamo", "started_at": now, "status": "ok"}
    records.record_runs(connection, [{**run, "ended_at": now}])
    connection.execute("delete from ops.phone_numbers")
    connection.execute(
        "insert into ops.phone_numbers select 'avaamo', i::varchar, ? from range(?) t(i)",
        [run_id, ROWS * night],
    )
    publishing.publish(home.config, connection, run_id, home.said.append)
    return [run_id, 1, 1, ROWS * night, run_id, run_id]


def nights(looks: list[Look]) -> list[str]:
    """The runs seen, in the order in which they came into sight."""
    return list(dict.fromkeys(look[0] for look in looks))


@pytest.fixture
def fake() -> Iterator[AvaamoFake]:
    with AvaamoFake() as running:
        running.seed(30)
        yield running


def test_readers_see_whole_nights_only_and_stop_no_run(house: MakeHouse, fake: AvaamoFake) -> None:
    home = house(fake, warehouse__keep=2)
    assert home.run() == 0
    first = publish_night(home, 1)
    with reading(home) as readers:
        published = [first, *(publish_night(home, night) for night in range(2, PUBLISHES + 1))]
        fake.change()
        assert home.run() == 0  # a run with all that belongs to one
        ((run_id,),) = home.sql("select run_id from ops.published")
        published.append([run_id, 1, 1, *published[-1][3:]])
        for reader in readers[1:]:
            reader.wait_until(lambda looks: looks[-1][0] == run_id)
    assert_holds(home, fake)
    assert not [line for line in home.said if "set aside" in line]

    kept, *anew = readers
    assert nights(kept.looks) == [first[0]]
    assert all(look == first for look in kept.looks)
    right = {look[0]: look for look in published}
    in_order = [look[0] for look in published]
    for reader in anew:
        assert [look for look in reader.looks if look != right[look[0]]] == [], reader.manner
        seen = nights(reader.looks)
        assert seen == [night for night in in_order if night in seen], reader.manner
        assert len(seen) > 5, reader.manner


WRITER = """
import duckdb, sys

connection = duckdb.connect(sys.argv[1])
connection.execute("delete from avaamo.campaign_insights")
connection.execute("create table intruder as select 1 as a")
print("wrote", flush=True)
sys.stdin.readline()
connection.close()
"""


def start_writer(published: Path) -> "subprocess.Popen[str]":
    published.chmod(0o600)
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(published)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_it_wrote(writer: "subprocess.Popen[str]") -> None:
    assert writer.stdout
    assert writer.stdout.readline() == "wrote\n"


def assert_untouched(home: House, fake: AvaamoFake) -> None:
    assert_holds(home, fake)
    assert home.sql("select * from duckdb_tables() where table_name = 'intruder'") == []
    assert not home.config.published.with_name("warehouse.duckdb.wal").exists()


def test_nobody_can_write_into_a_file_that_is_being_read(
    house: MakeHouse, fake: AvaamoFake
) -> None:
    home = house(fake)
    home.run()
    with warehouse.reading(home.config.published) as connection:
        _, errors = start_writer(home.config.published).communicate()
        assert "Could not set lock" in errors
        table = connection.execute("select count(*) from avaamo.campaign_insights")
        assert table.fetchone() == (len(fake.expected()["campaign_insights"]),)
    assert home.run() == 0
    assert_untouched(home, fake)


def test_what_a_writer_saved_in_the_published_file_is_gone_with_the_next_run(
    house: MakeHouse, fake: AvaamoFake
) -> None:
    home = house(fake)
    home.run()
    writer = start_writer(home.config.published)
    wait_until_it_wrote(writer)
    with pytest.raises(Refused, match="close it there"):  # told, not waited for
        home.run()
    writer.communicate("close\n")
    assert home.sql("select count(*) from avaamo.campaign_insights") == [(0,)]
    assert home.run() == 0
    assert_untouched(home, fake)


def test_a_writer_that_comes_while_a_run_publishes_writes_into_the_old_file(
    house: MakeHouse, fake: AvaamoFake
) -> None:
    home = house(fake)
    home.run()
    connection = warehouse.open_work(home.config, home.said.append)
    writer = start_writer(home.config.published)
    wait_until_it_wrote(writer)
    publishing.publish(home.config, connection, "a-run", home.said.append)
    assert any("changes are set aside" in line for line in home.said)
    assert_untouched(home, fake)
    _, errors = writer.communicate("close\n")
    assert (writer.returncode, errors) == (0, "")
    assert_untouched(home, fake)
    fake.change()
    assert home.run() == 0
    assert_untouched(home, fake)
