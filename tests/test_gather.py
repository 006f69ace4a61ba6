"""Slices joined to a load: the later version of a row, and of a parent's children, is the one."""

from typing import Any

from pipelines.gather import Built, gathered, joined
from sources._arrow import arrow
from sources._endpoints import Slice
from sources._errors import VendorError
from sources.avaamo import INSIGHTS
from sources.koreai import CONTACTS
from sources.vonage import CHANNELS, INTERACTIONS


def built(rows: dict[Any, list[dict[str, Any]]], **piece: Any) -> Built:
    tables = {table: arrow(table, said, {})[0] for table, said in rows.items()}
    return Built(Slice({}, piece.pop("state", {}), piece.pop("label", "a..b"), **piece), tables)


def call(guid: str, status: str, ends: list[str]) -> Built:
    channels = [
        {"interaction_guid": guid, "position": n, "endReason": e} for n, e in enumerate(ends)
    ]
    parent = {"guid": guid, "status": status}
    rows: dict[Any, list[dict[str, Any]]] = {INTERACTIONS: [parent], CHANNELS: channels}
    return built(rows)


def test_children_of_an_earlier_version_are_left_out_also_when_none_follow() -> None:
    parts = [call("a", "Ongoing", ["x", "y"]), call("b", "Completed", ["z"])]
    parts += [call("a", "Completed", ["w"]), call("b", "Completed", [])]
    whole = joined(parts)
    rows = whole.tables[INTERACTIONS].select(["guid", "status"]).to_pylist()
    assert sorted(map(str, rows)) == sorted(
        str({"guid": guid, "status": "Completed"}) for guid in ("a", "b")
    )
    left = whole.tables[CHANNELS].select(["interaction_guid", "end_reason"]).to_pylist()
    assert left == [{"interaction_guid": "a", "end_reason": "w"}]
    assert sorted(whole.parents) == ["a", "b"]


def test_the_last_of_equal_keys_stays_and_a_new_field_is_null_where_it_was_not_said() -> None:
    parts = [
        built({INSIGHTS: [{"id": 1, "language": "en"}, {"id": 2}]}, state={"cursor": "1", "a": 1}),
        built({INSIGHTS: [{"id": "1", "brandNew": "x"}]}, state={"cursor": "2"}, label="b..c"),
    ]
    whole = joined(parts)
    rows = whole.tables[INSIGHTS].select(["id", "language", "brand_new"]).to_pylist()
    assert sorted(tuple(row.values()) for row in rows if row["id"] == "1") == [("1", None, "x")]
    assert len(rows) == len(whole) == 2
    assert whole.piece.state == {"cursor": "2", "a": 1}
    assert whole.piece.label == "a..c"


def test_lists_of_a_history_are_put_side_by_side() -> None:
    def campaign(name: str, count: int) -> Built:
        contact = {"campaignId": name, "phoneNumber": "1", "uniqueId": ""}
        rows = [contact | {"occurrence": n} for n in range(count)]
        return built({CONTACTS: rows}, scope=(name,), held=(name,), warnings=(name,))

    whole = joined([campaign("a", 2), campaign("b", 0), campaign("c", 1)])
    assert len(whole) == 3
    assert whole.piece.scope == whole.piece.held == whole.piece.warnings == ("a", "b", "c")


def test_what_was_read_before_a_failure_comes_before_it() -> None:
    def slices() -> Any:
        yield call("a", "Completed", [])
        yield call("b", "Completed", [])
        raise VendorError("down")

    got = gathered(slices())
    assert len(next(got).tables[INTERACTIONS]) == 2
    try:
        next(got)
    except VendorError:
        return
    raise AssertionError("the failure was lost")
