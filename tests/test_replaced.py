"""Of interactions that come again those that differ take the place of the earlier version, with all
their children."""

import copy
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import catalog, config, replaced, warehouse
from pipelines.gather import Built
from sources._arrow import arrow
from sources._endpoints import Slice
from sources.vonage import CHANNELS, EVENTS, INTERACTIONS, _three_tables

Row = dict[str, Any]
FAMILY = (INTERACTIONS, CHANNELS, EVENTS)
few = st.integers(0, 2)
events = st.fixed_dictionaries(
    {"type": st.sampled_from("ab"), "properties": st.sampled_from([None, {"a": 1}, {"a": "1"}])}
)
channels = st.fixed_dictionaries(
    {"guid": st.sampled_from([None, "c"]), "offset": few, "events": st.lists(events, max_size=2)}
)
interactions = st.fixed_dictionaries(
    {"start": st.just("2026-11-01T00:00:00Z"), "talkTime": few},
    optional={"channels": st.lists(channels, max_size=2), "brandNew": st.sampled_from([None, "x"])},
)
replies = st.dictionaries(st.sampled_from("pqrs"), interactions)


def none(_row: Row) -> None:
    """Comes again as it was."""


def one_channel_less(row: Row) -> None:
    row["channels"] = row.get("channels", [])[1:]


def one_event_more(row: Row) -> None:
    row.setdefault("channels", [{}])[-1:] = [{"events": [{"type": "a"}]}]


def another_property(row: Row) -> None:
    for channel in row.get("channels", ()):
        for event in channel.get("events", ()):
            event["properties"] = {"a": 2}


def another_offset(row: Row) -> None:
    for channel in row.get("channels", ()):
        channel["offset"] = 7


def channels_turned_round(row: Row) -> None:
    row["channels"] = row.get("channels", [])[::-1]


changes = st.sampled_from(
    [
        none,
        one_channel_less,
        one_event_more,
        another_property,
        another_offset,
        channels_turned_round,
    ]
)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[warehouse.Connection]:
    loaded = config.load(tmp_path_factory.mktemp("work"), {})
    loaded.work_dir.mkdir()
    with closing(warehouse.connect_work(loaded)) as opened:
        yield opened


def built(reply: dict[str, Row]) -> Built:
    tables = _three_tables([{"guid": guid, **copy.deepcopy(row)} for guid, row in reply.items()])
    rows = {table: arrow(table, rows, {})[0] for table, rows in tables.items()}
    return Built(Slice({}, {}, ""), rows)


def add(connection: warehouse.Connection, reply: dict[str, Row], load_id: str) -> None:
    for table, rows in built(reply).tables.items():
        connection.register("rows", rows)
        connection.execute(
            f"insert into vonage.{table.name} by name select *, '{load_id}' as _dlt_load_id "
            "from rows"
        )
        connection.unregister("rows")


def put(connection: warehouse.Connection, reply: dict[str, Row]) -> None:
    """The vendor's tables hold this and nothing else."""
    connection.execute("drop schema if exists vonage cascade")
    warehouse.make_tables(connection, catalog.vendor("vonage"))
    for table, rows in built(reply).tables.items():
        there = {
            name for name, *_ in connection.execute(f"describe vonage.{table.name}").fetchall()
        }
        for name in set(rows.column_names) - there:
            connection.execute(f"alter table vonage.{table.name} add column {name} varchar")
    add(connection, reply, "1")


def plain(row: Row) -> Row:
    """What is the same to a table: what is null, empty or left out."""
    return {name: value for name, value in row.items() if value not in (None, [])}


def is_same(row: Row, other: Row) -> bool:
    return [plain(row), list(map(plain, row.get("channels", ())))] == [
        plain(other),
        list(map(plain, other.get("channels", ()))),
    ]


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(replies, replies, st.dictionaries(st.sampled_from("pqrs"), changes))
def test_what_differs_in_any_way_is_loaded_with_all_its_children(
    connection: warehouse.Connection,
    monkeypatch: pytest.MonkeyPatch,
    earlier: dict[str, Row],
    now: dict[str, Row],
    again: dict[str, Callable[[Row], None]],
) -> None:
    monkeypatch.setattr(replaced, "WORTH_IT", 0)
    now = now | {guid: copy.deepcopy(earlier[guid]) for guid in again.keys() & earlier.keys()}
    for guid in again.keys() & earlier.keys():
        again[guid](now[guid])
    put(connection, earlier)
    left = replaced.without_unchanged(connection, "vonage", built(now))
    changed = {
        guid: row
        for guid, row in now.items()
        if guid not in earlier or not is_same(row, earlier[guid])
    }
    wanted = built(changed)
    assert set(left.parents) == changed.keys()
    for table in FAMILY:
        # a column that is null in all that is left may be there
        rows = [plain(row) for row in left.tables[table].to_pylist()]
        assert rows == [plain(row) for row in wanted.tables[table].to_pylist()]


def test_a_value_of_another_type_is_a_change(connection: warehouse.Connection) -> None:
    put(connection, {"p": {"talkTime": 1}, "q": {"talkTime": 1}})
    connection.execute("alter table vonage.interactions alter talk_time type double")
    connection.execute("update vonage.interactions set talk_time = 1.5 where guid = 'p'")
    came = built({"p": {"talkTime": 2}, "q": {"talkTime": 1}})
    left = replaced.without_unchanged(connection, "vonage", came)
    assert "p" in left.parents


def test_where_few_are_known_all_are_loaded(connection: warehouse.Connection) -> None:
    put(connection, {"p": {"talkTime": 1}})
    came = built({"p": {"talkTime": 1}} | {f"new{n}": {} for n in range(9)})
    assert replaced.without_unchanged(connection, "vonage", came) is came
    came = built({"p": {"talkTime": 1}} | {f"new{n}": {} for n in range(8)})
    assert len(replaced.without_unchanged(connection, "vonage", came).parents) == 8


def test_another_order_is_a_change(connection: warehouse.Connection) -> None:
    calls = [{"offset": 1}, {"offset": 2}]
    put(connection, {"p": {"channels": calls}})
    turned = built({"p": {"channels": calls[::-1]}})
    assert replaced.without_unchanged(connection, "vonage", turned).parents == ["p"]
    same = built({"p": {"channels": calls}})
    assert replaced.without_unchanged(connection, "vonage", same).parents == []


with_children: Row = {"channels": [{"events": [{"type": "a"}, {"type": "b"}]}, {}]}


def loads_of(connection: warehouse.Connection) -> dict[str, set[tuple[str, str]]]:
    """Per table each parent with the load that its rows are of."""
    return {
        table.name: set(
            connection.execute(
                f"select {table.main_column}, _dlt_load_id from vonage.{table.name}"
            ).fetchall()
        )
        for table in FAMILY
    }


def test_earlier_versions_go_with_all_their_children_and_no_others(
    connection: warehouse.Connection,
) -> None:
    put(connection, dict.fromkeys("pqr", with_children))
    add(connection, {"p": with_children, "q": {}, "new": with_children}, "2")
    replaced.remove_earlier(connection, "vonage", FAMILY, "2")
    with_rows = {("r", "1"), ("p", "2"), ("new", "2")}
    assert loads_of(connection) == {
        INTERACTIONS.name: with_rows | {("q", "2")},
        CHANNELS.name: with_rows,
        EVENTS.name: with_rows,
    }
    replaced.remove_earlier(connection, "vonage", FAMILY, "2")  # again is as once
    assert loads_of(connection)[EVENTS.name] == with_rows


def test_a_load_that_did_not_end_is_undone(connection: warehouse.Connection) -> None:
    put(connection, dict.fromkeys("pq", with_children))
    before = loads_of(connection)
    add(connection, {"p": with_children, "new": with_children}, "2")
    connection.execute("delete from vonage.interactions where _dlt_load_id = '2'")  # not yet there
    replaced.remove_added(connection, "vonage", FAMILY, "2")
    assert loads_of(connection) == before


def test_children_that_a_broken_load_left_without_a_parent_go_too(
    connection: warehouse.Connection,
) -> None:
    put(connection, dict.fromkeys("pr", with_children))
    connection.execute("delete from vonage.interactions where guid = 'p'")
    add(connection, {"p": with_children}, "2")
    replaced.remove_earlier(connection, "vonage", FAMILY, "2", torn=True)
    assert loads_of(connection) == {table.name: {("r", "1"), ("p", "2")} for table in FAMILY}


def test_where_not_all_can_be_removed_nothing_is(connection: warehouse.Connection) -> None:
    put(connection, {"p": with_children})
    add(connection, {"p": with_children}, "2")
    connection.execute(f"drop table vonage.{EVENTS.name}")
    with pytest.raises(duckdb.CatalogException):
        replaced.remove_earlier(connection, "vonage", FAMILY, "2")
    left = connection.execute("select _dlt_load_id from vonage.interactions order by 1").fetchall()
    assert left == [("1",), ("2",)]
    left = connection.execute(f"select count(*) from vonage.{CHANNELS.name}").fetchall()
    assert left == [(4,)]
