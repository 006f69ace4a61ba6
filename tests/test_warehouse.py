"""The published file and the work file: what readers see, and what a broken night leaves."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines import catalog, files, lock, warehouse
from pipelines.errors import Busy, DiskTrouble, Refused
from pipelines.run import reset_vendor
from sources._journal import write_durably
from tests.fakes._server import Fault
from tests.fakes.avaamo import AvaamoFake
from tests.fakes.vonage import VonageFake
from tests.house import House, assert_holds

MakeHouse = Callable[..., House]


@pytest.fixture
def fake() -> Iterator[VonageFake]:
    with VonageFake() as running:
        running.seed(60)
        yield running


def test_every_table_of_the_contract_is_there_from_the_first_publish(
    house: MakeHouse, fake: VonageFake
) -> None:
    home = house(fake)
    home.run()
    found = set(home.sql("select schema_name, table_name from duckdb_tables()"))
    wanted = {(name, t.name) for name in catalog.NAMES for t in catalog.vendor(name).tables}
    assert wanted <= found
    assert ("ops", "runs") in found
    untyped = home.sql(
        "select schema_name, table_name, column_name from duckdb_columns() "
        "where data_type = 'TIMESTAMP' or data_type = 'NULL'"
    )
    assert untyped == []


def test_the_published_file_has_no_staging_no_views_and_one_stamp(
    house: MakeHouse, fake: VonageFake
) -> None:
    home = house(fake)
    home.run()
    home.run()
    assert home.sql("select * from duckdb_schemas() where ends_with(schema_name, 'staging')") == []
    assert home.sql("select * from duckdb_views() where not internal") == []
    ((run_id, version, as_of),) = home.sql(
        "select run_id, contract_version, as_of from ops.published"
    )
    assert version == 1
    assert run_id in {r for (r,) in home.sql("select run_id from ops.runs")}
    assert json.loads(as_of)["vonage"]
    assert home.sql("select tags['storage_version'] from duckdb_databases() where not internal")[
        0
    ] == ("v1.0.0+",)
    assert not home.config.published.with_name("warehouse.duckdb.wal").exists()
    assert oct(home.config.published.stat().st_mode)[-3:] == "440"


def test_a_reader_keeps_its_file_and_a_new_one_sees_the_new(
    house: MakeHouse, fake: VonageFake
) -> None:
    home = house(fake)
    home.run()
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(home.config.published)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdin
    assert reader.stdout
    before = reader.stdout.readline()
    fake.change()
    assert home.run() == 0
    reader.stdin.write("again\n")
    reader.stdin.flush()
    assert reader.stdout.readline() == before
    reader.communicate()
    assert_holds(home, fake)


READER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
for _ in range(2):
    print(connection.execute("select run_id from ops.published").fetchone(), flush=True)
    sys.stdin.readline()
"""


def test_the_published_file_alone_is_enough_to_go_on(house: MakeHouse, fake: VonageFake) -> None:
    home = house(fake)
    with fake.counting() as first:
        home.run()
    shutil.rmtree(home.config.work_dir)
    fake.change()
    with fake.counting() as second:
        assert home.run() == 0
    assert_holds(home, fake)
    assert len(second) < len(first)
    assert any("work file is made from" in line for line in home.said)


def test_an_older_published_file_put_back_wins(house: MakeHouse, fake: VonageFake) -> None:
    home = house(fake)
    home.run()
    older = home.root / "older.duckdb"
    shutil.copyfile(home.config.published, older)
    fake.change()
    home.run()
    home.config.published.unlink()
    shutil.copyfile(older, home.config.published)
    ((run_id,),) = home.sql("select run_id from ops.published")
    assert home.run() == 0
    assert_holds(home, fake)
    assert len(home.sql("select * from ops.runs")) == 2
    assert run_id in {r for (r,) in home.sql("select run_id from ops.runs")}


def test_earlier_files_are_kept_and_the_oldest_dropped(house: MakeHouse, fake: VonageFake) -> None:
    home = house(fake, warehouse__keep=2)
    for _ in range(4):
        home.run()
    kept = sorted(home.root.glob("warehouse.duckdb.2*"))
    assert len(kept) == 2
    with warehouse.reading(kept[-1]) as connection:
        assert connection.execute("select count(*) from ops.published").fetchone() == (1,)


def test_a_missing_warehouse_is_said_and_refused_where_it_must_exist(
    house: MakeHouse, fake: VonageFake
) -> None:
    home = house(fake, warehouse__must_exist="true")
    with pytest.raises(Refused, match="must_exist"):
        home.run()
    home.settings["warehouse__must_exist"] = "false"
    home.run()
    home.config.published.unlink()
    home.run()
    assert any("MISSING" in line for line in home.said)
    assert_holds(home, fake)


def test_a_file_that_is_not_ours_is_refused(house: MakeHouse, fake: VonageFake) -> None:
    home = house(fake)
    duckdb.connect(str(home.config.published)).close()
    with pytest.raises(Refused, match=r"ops\.published"):
        home.run()
    home.config.published.write_bytes(b"no database" * 1000)
    with pytest.raises(Refused, match=r"ops\.published"):
        home.run()


def test_a_corrupt_work_file_is_set_aside(house: MakeHouse, fake: VonageFake) -> None:
    home = house(fake)
    home.run()
    work = files.work_path(home.config)
    work.write_bytes(b"\0" * 5000)
    fake.change()
    assert home.run() == 0
    assert any("set aside" in line for line in home.said)
    assert_holds(home, fake)


def test_a_damaged_sum_costs_the_work_file_and_nothing_else(
    house: MakeHouse, fake: VonageFake
) -> None:
    home = house(fake)
    home.run()
    files.sum_path(files.work_path(home.config)).write_bytes(b"\xff\xfe")
    assert home.run() == 0, home.said
    assert_holds(home, fake)


def test_nobody_else_can_read_what_is_being_published_and_no_half_of_it_stays(
    house: MakeHouse, fake: VonageFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = house(fake, warehouse__file_mode="0444")
    copy = files.publishing_path(home.config)
    modes = []

    def fails(_connection: object) -> None:
        modes.append(copy.stat().st_mode & 0o077)
        raise OSError(errno.ENOSPC, "No space left on device")

    before = os.umask(0)
    try:
        with monkeypatch.context() as full:
            full.setattr("pipelines.publishing._strip", fails)
            with pytest.raises(DiskTrouble):
                home.run()
        assert (modes, copy.exists()) == ([0], False)
        assert home.run() == 0
        assert home.config.published.stat().st_mode & 0o777 == 0o444
    finally:
        os.umask(before)


def test_the_way_to_put_an_earlier_file_back_works(house: MakeHouse, fake: VonageFake) -> None:
    home = house(fake, warehouse__path="my warehouse.duckdb")
    home.run()
    home.run()
    published = home.config.published
    published.chmod(0o640)
    published.write_bytes(b"no warehouse")
    published.chmod(0o440)
    with pytest.raises(Refused) as told:
        home.run()
    command = str(told.value).partition("in its place: ")[2].partition(", then")[0]
    subprocess.run(command, shell=True, check=True)  # noqa: S602  # as a user pastes it
    assert home.run() == 0
    assert_holds(home, fake)


def test_a_writer_of_the_published_file_changes_nothing_for_others(
    house: MakeHouse, fake: VonageFake
) -> None:
    home = house(fake)
    home.run()
    home.config.published.chmod(0o600)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(home.config.published)])
    writer.wait()
    wal = home.config.published.with_name("warehouse.duckdb.wal")
    assert wal.exists()
    assert home.run() == 0
    assert not wal.exists()
    assert_holds(home, fake)
    assert home.sql("select * from duckdb_tables() where table_name = 'intruder'") == []


WRITER = """
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("create table intruder as select 1 as a")
os._exit(1)
"""


def test_a_wal_is_never_built_on(house: MakeHouse, fake: VonageFake) -> None:
    home = house(fake)
    home.run()
    shutil.rmtree(home.config.work_dir)
    home.config.published.with_name("warehouse.duckdb.wal").write_bytes(b"changes")
    with pytest.raises(Refused, match="set aside"):
        home.run()
    assert home.run() == 0


def test_a_second_run_leaves_at_once_and_says_who_holds_the_lock(
    house: MakeHouse, fake: VonageFake
) -> None:
    home = house(fake)
    with (
        lock.locked(home.config, "run"),
        pytest.raises(Busy, match=f"process {os.getpid()}"),
    ):
        home.run()
    assert fake.seen == []
    assert home.run() == 0


def test_what_an_interrupted_load_left_is_put_right_by_the_next_run(
    house: MakeHouse, fake: VonageFake
) -> None:
    home = house(fake)
    home.run()
    break_a_load(home, fake)
    assert home.run() == 0
    assert_holds(home, fake)
    assert not list((home.config.work_dir / "loading").iterdir())
    channels, events = "vonage.interactions__channels", "vonage.interactions__channels__events"
    apart = (
        f"select 1 from vonage.interactions i join (select interaction_guid, _dlt_load_id "
        f"from {channels} union select interaction_guid, _dlt_load_id from {events}) children "
        "on children.interaction_guid = i.guid where children._dlt_load_id <> i._dlt_load_id"
    )
    assert home.sql(apart) == []
    loads = "select load_id from vonage._dlt_loads"
    assert home.sql(f"from vonage.interactions where _dlt_load_id not in ({loads})") == []


def test_what_an_interrupted_load_left_is_published_as_before_if_the_vendor_is_down(
    house: MakeHouse, fake: VonageFake
) -> None:
    home = house(fake)
    home.run()
    tables = [t.name for t in catalog.vendor("vonage").tables]
    before = {t: home.sql(f'from vonage."{t}" order by all') for t in tables}
    break_a_load(home, fake)
    right = fake.client_secret
    fake.client_secret = "another"
    home.settings["vonage__client_secret"] = right
    assert home.run() == 1
    assert {t: home.sql(f'from vonage."{t}" order by all') for t in tables} == before
    fake.client_secret = right
    assert home.run() == 0
    assert_holds(home, fake)


def test_a_load_that_broke_in_a_backfill_is_put_back_by_the_next_night(
    house: MakeHouse, fake: VonageFake
) -> None:
    home = house(fake)
    home.run()
    break_a_load(home, fake, "interactions 2026-01-01 00:00..2026-01-02 00:00Z")
    assert home.run() == 0
    assert_holds(home, fake)
    assert not list((home.config.work_dir / "loading").iterdir())


def test_a_backfill_after_a_broken_night_is_published(house: MakeHouse, fake: VonageFake) -> None:
    home = house(fake)
    home.run()
    break_a_load(home, fake)
    now = fake.now()
    assert home.backfill("vonage", now - timedelta(days=2), now) == 0
    assert home.run() == 0
    assert_holds(home, fake)


def test_a_reset_publishes_no_broken_load(house: MakeHouse, fake: VonageFake) -> None:
    home = house(fake)
    home.run()
    tables = [t.name for t in catalog.vendor("vonage").tables]
    before = {t: home.sql(f'from vonage."{t}" order by all') for t in tables}
    break_a_load(home, fake)
    reset_vendor(home.config, "vonage", home.board)
    assert {t: home.sql(f'from vonage."{t}" order by all') for t in tables} == before
    assert home.run() == 0
    assert_holds(home, fake)


def test_a_reset_of_what_was_never_loaded_forgets_nothing(
    house: MakeHouse, fake: VonageFake
) -> None:
    home = house(fake)
    reset_vendor(home.config, "vonage", home.board)
    assert home.run() == 0
    assert_holds(home, fake)


def test_a_clock_that_was_ahead_leaves_no_hole(house: MakeHouse) -> None:
    with AvaamoFake() as fake:
        fake.seed(40)
        home = house(fake)
        home.run()
        home.run(now=fake.now() + timedelta(days=40))
        fake.change()
        assert home.run() == 0
        assert_holds(home, fake)


def test_one_work_folder_serves_one_run_at_a_time(house: MakeHouse, fake: VonageFake) -> None:
    home = house(fake)
    with lock.locked(home.config, "run"):
        home.settings["warehouse__path"] = "another.duckdb"
        with pytest.raises(Busy):
            home.run()


def break_a_load(home: House, fake: VonageFake, mark: str = "interactions") -> None:
    """The files as a kill in the middle of a load leaves them: parents new, children old."""
    work, published = files.work_path(home.config), home.config.published
    old_work, old_published = home.root / "old_work.duckdb", home.root / "old.duckdb"
    shutil.copyfile(work, old_work)
    shutil.copyfile(published, old_published)
    before = {guid: deepcopy(row.body.get("channels")) for guid, row in fake.interactions.items()}
    fake.change()
    alike = (row for guid, row in fake.interactions.items() if before.get(guid))
    alike = (row for row in alike if row.body["channels"] == before[row.body["guid"]])
    fake.process(next(alike), outcome="Another, and the channels are as they were")
    home.run()
    old_published.replace(published)
    with duckdb.connect(str(old_work)) as connection:
        connection.execute(f"attach '{work}' as new (read_only)")
        connection.execute("delete from vonage.interactions")
        connection.execute("insert into vonage.interactions from new.vonage.interactions")
    old_work.replace(work)
    files.sum_path(work).unlink()  # as while a run is on
    marker = home.config.work_dir / "loading" / "vonage.json"
    write_durably(marker, json.dumps({mark: "1.0"}).encode())


def run_in_a_process(home: House) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines", "run"],
        cwd=home.root,
        env={**os.environ, **home.environ, "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_requests(fake: VonageFake, count: int) -> None:
    wait_for(lambda: len(fake.seen) >= count)


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert true()


def test_a_killed_first_load_goes_on_and_ends_with_the_same_content(
    house: MakeHouse, fake: VonageFake
) -> None:
    home = house(fake)
    fake.latency = 0.1
    process = run_in_a_process(home)
    wait_for_requests(fake, 6)
    process.kill()
    process.wait()
    assert not home.config.published.exists()
    fake.latency = 0.0
    assert home.run() == 0
    assert_holds(home, fake)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_ends_within_seconds_and_says_what_was_kept(
    house: MakeHouse, fake: VonageFake, number: signal.Signals, code: int
) -> None:
    home = house(fake)
    fake.latency = 0.3
    process = run_in_a_process(home)
    wait_for_requests(fake, 4)
    fake.faults.append(Fault("status", status=429, headers={"Retry-After": "600"}))
    wait_for((home.config.work_dir / "dbt" / "partial_parse.msgpack").exists)
    started = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert time.monotonic() - started < 10
    *_, interrupted, kept = output.splitlines()  # and nothing of anybody else
    assert interrupted.startswith("interrupted; readers keep the warehouse")
    assert "are kept, the next run goes on from there" in kept
    fake.faults, fake.latency = [], 0.0
    assert home.run() == 0
    assert_holds(home, fake)
