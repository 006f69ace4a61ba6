"""The attacks of `make chaos`, each a few times and small; longer with `make chaos`."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipelines import catalog, warehouse
from tests import attacks, longlife
from tests.dying import Death
from tests.siege import Siege

MakeSiege = Callable[..., Siege]


@pytest.fixture
def siege(tmp_path: Path) -> Iterator[MakeSiege]:
    """Makes a warehouse of some vendors that stands and is right."""
    with ExitStack() as stack:

        def make(seed: int, *vendors: str, standing: bool = True) -> Siege:
            made = Siege(tmp_path / "house", random.Random(seed), stack, vendors, 20)
            if standing:
                made.calm()
            return made

        yield make


DEATHS = {
    Death("in the load's SQL", 12): "-9",
    Death("half a copy"): "-9",
    Death("stamping", 2): "-9",
    Death("loading", 2, number=attacks.TERM): "143",
}


def test_killed_at_chosen_stages_it_ends_with_what_the_vendors_hold(siege: MakeSiege) -> None:
    home = siege(1, "inwise")
    for death, code in DEATHS.items():
        home.change()
        ended = home.night(death=death)
        assert str(ended.code) == code, (str(death), ended.output)
        home.readers_are_well()
    home.night_without("inwise")
    home.calm()


STEPS = [
    Death("adding a table", 1, after=True),
    Death("removing earlier versions"),
    Death("removing earlier versions", after=True),
    Death("after a load"),
]


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_interactions_whose_load_was_cut_twice_are_right(siege: MakeSiege, step: Death) -> None:
    home = siege(10, "vonage")
    for death in (step, Death("adding a table", 2, after=True), step, Death("after a load")):
        home.change()
        ended = home.night(death=death)
        assert ended.code == -9, (str(death), ended.output)
        home.readers_are_well()
    home.night_without("vonage")
    home.calm()


def vonage_rows(home: Siege) -> dict[str, list[tuple[object, ...]]]:
    return {
        table.name: home.house.sql(
            f"select * exclude (_dlt_load_id) from vonage.{table.name} order by all"
        )
        for table in catalog.vendor("vonage").tables
    }


def test_what_a_cut_load_added_goes_though_the_vendor_gives_none_of_it_again(
    siege: MakeSiege,
) -> None:
    home = siege(14, "vonage")
    before = vonage_rows(home)
    home.change()
    assert home.night(death=Death("adding a table", 2, after=True)).code == -9
    for fake in home.fakes:
        vars(fake)["interactions"].clear()
    assert home.night().code == 0
    assert vonage_rows(home) == before


def test_what_a_cut_load_had_still_to_remove_goes_though_the_vendor_gives_none_of_it_again(
    siege: MakeSiege,
) -> None:
    home = siege(14, "vonage")
    home.change()
    assert home.night(death=Death("removing earlier versions")).code == -9
    for fake in home.fakes:
        vars(fake)["interactions"].clear()
    assert home.night().code == 0
    for table in catalog.vendor("vonage").tables:
        key = ", ".join(table.key)
        query = f"select {key} from vonage.{table.name} group by all having count(*) > 1"
        assert home.house.sql(query) == []


def test_a_cut_load_and_a_lost_file_cost_no_interaction(siege: MakeSiege) -> None:
    home = siege(13, "vonage")
    count = "select count(*) from vonage.interactions"
    before = home.house.sql(count)
    home.change()
    assert home.night(death=Death("adding a table", 2, after=True)).code == -9
    home.house.config.published.unlink()
    with home.down("vonage"):
        assert home.night().code == 1
    assert home.house.sql(count) == before
    home.calm()


def test_a_first_load_that_was_cut_is_not_published_half(siege: MakeSiege) -> None:
    attacks.kill_in_a_first_load(siege(2, "vonage", standing=False))


def test_marts_whose_build_was_cut_are_not_published(siege: MakeSiege) -> None:
    home = siege(3, "avaamo", standing=False)
    home.calm("run")
    with warehouse.connect_work(home.house.config) as inside:  # as a kill in the build leaves it
        inside.execute("delete from marts.contact_attempts")
        inside.execute("update ops.marts set built_from = null")
    marts = {k: v for k, v in home.before.items() if k[0] == "marts"}
    assert home.night("run", "--no-marts").code == 0
    assert {k: v for k, v in home.digest().items() if k[0] == "marts"} == marts
    home.calm("run")
    assert home.house.sql("select count(*) from marts.contact_attempts") > [(0,)]


def test_a_signal_in_the_marts_is_no_bug_of_ours(siege: MakeSiege) -> None:
    home = siege(4, "avaamo")
    home.change()
    ended = home.night("run", death=Death("in the marts' SQL", 8, number=attacks.TERM))
    assert ended.code == 143, ended.output
    assert "are kept" in ended.output
    home.readers_are_well()
    home.calm()


def test_a_long_rest_ends_with_the_signal(siege: MakeSiege) -> None:
    attacks.signal_in_a_long_rest(siege(5, "avaamo"))


def test_a_full_disk_is_told_and_costs_nothing(siege: MakeSiege) -> None:
    home = siege(6, "avaamo")
    work = home.house.config.work_dir / "work.duckdb"
    home.change()
    ended = home.night(file_limit=work.stat().st_size // 2)
    attacks._check_no_room(home, ended)
    assert ended.code == 74
    home.calm()


def test_faulty_vendors_fail_alone_or_not_at_all(siege: MakeSiege) -> None:
    attacks.faulty_vendors(siege(7, "avaamo", "dialer"))


def test_older_lost_and_foreign_files(siege: MakeSiege) -> None:
    home = siege(8, "inwise")
    attacks.older_file_put_back(home)
    attacks.no_published_file(home)
    attacks.older_file_and_no_work(home)


@pytest.mark.parametrize("seed", [11, 12])
def test_damaged_files_are_mended_or_refused(siege: MakeSiege, seed: int) -> None:
    home = siege(seed, "avaamo")
    attacks.damaged_work_file(home)
    attacks.damaged_published_file(home)


def test_two_at_once(siege: MakeSiege) -> None:
    attacks.two_at_once(siege(9, "avaamo"))


def test_a_long_life_stays_flat(tmp_path: Path) -> None:
    life = longlife.live(tmp_path, 25, 10, ("avaamo",), rows=20)
    assert life.grows(lambda n: n.memory) < 1.15, str(life)
    assert life.grows(lambda n: n.seconds) < 1.5, str(life)
    assert life.grows(lambda n: n.residue) < 2, str(life)
    assert life.nights[-1].published < 3 * life.compact, str(life)
