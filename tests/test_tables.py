"""Rows to Arrow: types are what was declared or an error, new fields become columns."""

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources._arrow import TypeChanged, arrow
from sources._tables import Table, column_hints, column_name
from sources.vonage import EVENTS

THINGS = Table(
    "things",
    key=("id",),
    fields={
        "id": "code",
        "name": "text",
        "count": "int",
        "share": "float",
        "isOpen": "bool",
        "startedAt": "time",
        "created": "epoch",
        "seen_at": "instant",
        "day": "date",
        "owner.extension": "code",
        "tags": "list",
        "extra": "map",
    },
)


def built(*rows: dict[str, Any], known: dict[str, str] | None = None) -> dict[str, list[Any]]:
    table, _ = arrow(THINGS, [{"id": "1", **row} for row in rows], known or {})
    found: dict[str, list[Any]] = table.to_pydict()
    return found


def test_values_become_what_was_declared() -> None:
    row = built(
        {
            "id": 7,
            "name": "a",
            "count": 3.0,
            "share": 1,
            "isOpen": True,
            "startedAt": "2026-01-01T10:00:00.123+02:00",
            "created": 1666222318,
            "seen_at": datetime(2026, 1, 1, tzinfo=UTC),
            "day": date(2026, 1, 1),
            "owner": {"extension": "0586"},
            "tags": [1, {"a": None}],
            "extra": {"b": "ü"},
        }
    )
    assert {name: values[0] for name, values in row.items()} == {
        "id": "7",
        "name": "a",
        "count": 3,
        "share": 1.0,
        "is_open": True,
        "started_at": datetime(2026, 1, 1, 8, 0, 0, 123000, tzinfo=UTC),
        "created": datetime(2022, 10, 19, 23, 31, 58, tzinfo=UTC),
        "seen_at": datetime(2026, 1, 1, tzinfo=UTC),
        "day": date(2026, 1, 1),
        "owner__extension": "0586",
        "tags": '[1,{"a":null}]',
        "extra": '{"b":"ü"}',
    }


def test_milliseconds_are_told_from_seconds_by_their_size() -> None:
    assert built({"created": 1666222318000})["created"] == built({"created": 1666222318})["created"]


def test_a_missing_field_is_null_in_a_typed_column() -> None:
    table, _ = arrow(THINGS, [{"id": "1"}], {})
    assert table.column("count").type == pa.int64()
    assert table.column("started_at").type == pa.timestamp("us", "UTC")
    assert table.column("tags").to_pylist() == [None]


FLIPS: list[dict[str, Any]] = [
    {"name": 5},
    {"name": True},
    {"name": ["a"]},
    {"name": {"a": 1}},
    {"count": "5"},
    {"count": 1.5},
    {"count": True},
    {"count": 2**70},
    {"share": "1.5"},
    {"isOpen": "true"},
    {"isOpen": 1},
    {"startedAt": "2026-01-01 10:00:00"},
    {"startedAt": "soon"},
    {"startedAt": 1666222318},
    {"created": "1666222318"},
    {"id": 1.5},
    {"id": ["1"]},
    {"owner": "me"},
    {"owner": [1]},
    {"owner": {"extension": {"a": 1}}},
    {"tags": "a"},
    {"tags": {"a": 1}},
    {"extra": ["a"]},
    {"extra": 5},
]


@pytest.mark.parametrize("row", FLIPS, ids=str)
@pytest.mark.parametrize("among_good_ones", [False, True])
def test_a_flipped_type_or_shape_raises_and_keeps_the_value_to_itself(
    row: dict[str, Any], among_good_ones: bool
) -> None:
    good: dict[str, Any] = {
        "name": "a",
        "count": 1,
        "share": 0.5,
        "isOpen": False,
        "startedAt": "2026-01-01T00:00:00Z",
        "created": 1,
        "owner": {"extension": "1"},
        "tags": [],
        "extra": {},
    }
    with pytest.raises(TypeChanged, match=r"things\.") as caught:
        built(*([good] * 3 if among_good_ones else []), row)
    assert "soon" not in str(caught.value)


def test_an_empty_list_may_stand_for_an_empty_map() -> None:
    row = built({"owner": [], "tags": {}, "extra": []})
    assert (row["owner__extension"], row["tags"], row["extra"]) == ([None], ["{}"], ["[]"])


def test_new_fields_become_columns_of_text_or_json() -> None:
    rows: list[dict[str, Any]] = [
        {"newField": 5},
        {"newField": "a", "newList": [1]},
        {"owner": {"mood": True}},
    ]
    table, new_json = arrow(THINGS, [{"id": "1", **row} for row in rows], {})
    got = table.to_pydict()
    assert got["new_field"] == ["5", "a", None]
    assert got["new_list"] == [None, "[1]", None]
    assert got["owner__mood"] == [None, None, "true"]
    assert new_json == {"new_list"}


def test_a_new_field_keeps_the_type_it_got_on_an_earlier_night() -> None:
    assert built({"new": 5}, known={"new": "json"})["new"] == ["5"]
    table, new_json = arrow(THINGS, [{"id": "1", "new": {"a": 1}}], {"new": "text"})
    assert (table.to_pydict()["new"], new_json) == (['{"a":1}'], set())


@pytest.mark.parametrize("row", [{"is_open": "x", "isOpen": True}, {"new_one": 1, "newOne": 2}])
def test_two_fields_with_one_name_are_an_error(row: dict[str, Any]) -> None:
    with pytest.raises(TypeChanged, match="share the name"):
        built(row)


@pytest.mark.parametrize("name", ["", " "])
def test_a_field_without_a_name_is_an_error(name: str) -> None:
    with pytest.raises(TypeChanged, match="without a name"):
        built({name: 1})


def test_a_row_without_its_key_is_an_error() -> None:
    with pytest.raises(TypeChanged, match="without its key 'id'"):
        arrow(THINGS, [{"id": "1"}, {"name": "a"}], {})


HISTORY = Table(
    "list_items",
    key=("id",),
    kept="history",
    own=frozenset({"seen"}),
    fields={"id": "code", "size": "float", "tags": "list", "seen": "int"},
)


def version(row: dict[str, Any]) -> str:
    found: str = arrow(HISTORY, [{"id": "1", **row}], {})[0].column("row_version")[0].as_py()
    return found


def test_a_version_is_of_the_documented_fields_alone() -> None:
    same: list[dict[str, Any]] = [{"size": 1}, {"size": 1.0}, {"size": 1, "tags": None}]
    same.append({"size": 1, "new": "x"})
    same.append({"size": 1, "seen": 5})
    assert len({version(row) for row in same}) == 1
    assert version({"size": 2}) != version({"size": 1})
    assert version({"size": 1, "tags": ["a"]}) != version({"size": 1})


def test_a_position_may_be_null_as_in_the_warehouses_of_earlier_versions() -> None:
    """dlt would refuse to load into them where it may not."""
    hints = column_hints(EVENTS)
    may_be_null = {name: hints[name]["nullable"] for name in EVENTS.key}
    assert may_be_null == {"interaction_guid": False, "channel_position": True, "position": True}


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("connectToKey", "connect_to_key"),
        ("party.touchpointKey", "party__touchpoint_key"),
        ("schedule.isSchedulingEnabled", "schedule__is_scheduling_enabled"),
        ("date_sent", "date_sent"),
    ],
)
def test_columns_are_snake_case_and_flattened(field: str, column: str) -> None:
    assert column_name(field) == column


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
json_values = plain | st.lists(plain, max_size=2) | st.dictionaries(st.text(), plain, max_size=2)
fields = st.sampled_from(["name", "count", "new", "owner", "tags"])


@given(st.lists(st.dictionaries(fields, json_values, max_size=3), max_size=5))
def test_any_rows_are_a_table_of_as_many_rows_or_a_clean_error(rows: list[dict[str, Any]]) -> None:
    try:
        table, _ = arrow(THINGS, [{"id": "1", **row} for row in rows], {})
    except TypeChanged:
        return
    assert len(table) == len(rows)
