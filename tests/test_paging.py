"""Pages read side by side, moving under the reader: each row once, or an error."""

import itertools
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources._api import Api
from sources._errors import VendorError
from sources._logins import StaticHeaders
from sources._paging import Page, keyed_pages, numbered_pages, readings, settled
from sources._replies import Row


def api(max_in_flight: int = 1) -> Api:
    return Api(
        "vendor",
        "http://127.0.0.1:1",
        reads=[],
        auth=StaticHeaders({}),
        secrets=[],
        requests_per_minute=100_000,
        max_in_flight=max_in_flight,
    )


def by_id(row: Row) -> Any:
    return row["id"]


class Pages:
    """A paged set of a vendor; `moves` happen one after each reply."""

    def __init__(self, rows: list[Row], size: int, moves: list[Any] | None = None) -> None:
        self.rows, self.size, self.moves, self.sent = rows, size, moves or [], 0

    def fetch(self, number: int) -> Page:
        self.sent += 1
        rows = self.rows[(number - 1) * self.size : number * self.size]
        page = Page(list(rows), self.sent, len(self.rows), -(-len(self.rows) // self.size))
        if self.moves:
            self.moves.pop()(self.rows)
        return page


@given(st.integers(0, 60), st.integers(1, 25), st.sampled_from([1, 4]))
def test_any_page_size_gives_each_row_once(count: int, size: int, in_flight: int) -> None:
    vendor = Pages([{"id": n} for n in range(count)], size)
    found = settled(lambda: numbered_pages(api(in_flight), vendor.fetch, "set"), by_id, "set")
    assert sorted(map(by_id, found.rows)) == list(range(count))
    assert found.warnings == []


@given(st.data(), st.integers(1, 40), st.integers(1, 15))
def test_rows_that_move_while_they_are_read_are_never_lost(
    data: st.DataObject, count: int, size: int
) -> None:
    def move(rows: list[Row]) -> None:
        match data.draw(st.sampled_from(["new", "rotate", "shuffle", "stay"])):
            case "new":
                rows.insert(0, {"id": max(map(by_id, rows)) + 1})
            case "rotate":
                rows.append(rows.pop(0))
            case "shuffle":
                random.Random(data.draw(st.integers())).shuffle(rows)

    vendor = Pages([{"id": n} for n in range(count)], size, [move] * 3)
    found = settled(lambda: numbered_pages(api(), vendor.fetch, "set"), by_id, "set")
    seen = list(map(by_id, found.rows))
    assert len(seen) == len(set(seen))
    assert set(range(count)) <= set(seen) <= set(map(by_id, vendor.rows))


@given(st.integers(1, 60), st.integers(2, 15), st.booleans())
def test_a_set_that_grows_with_each_request_is_read_all_the_same(
    count: int, size: int, has_total: bool
) -> None:
    vendor = Pages([{"id": n} for n in range(count)], size)

    def fetch(number: int) -> Page:
        page = vendor.fetch(number)
        vendor.rows.insert(0, {"id": len(vendor.rows)})
        return page if has_total else replace(page, total=None)

    before = 0

    def read() -> list[Page]:
        nonlocal before
        before = len(vendor.rows)
        return numbered_pages(api(), fetch, "set")

    found = settled(read, by_id, "set")
    assert set(map(by_id, found.rows)) >= set(range(before))


def test_a_set_that_only_grew_and_is_short_of_the_total_is_read_on() -> None:
    grown = iter([210, 240, 270, 350, 400])

    def read() -> list[Page]:
        return [Page([{"id": n} for n in range(next(grown))], sent=1, total=400)]

    assert len(settled(read, by_id, "set", keep="last").rows) == 400


def test_a_row_that_was_pushed_over_an_edge_is_not_there_twice() -> None:
    rows = [[0, 1], [1, 2]], [[3, 0], [0, 1], [1, 2]], [[3, 0], [0, 1], [1, 2], [2]], [[3, 0, 1, 2]]
    readings = iter([[Page([{"id": n} for n in page], sent=1) for page in read] for read in rows])
    found = settled(lambda: next(readings), by_id, "set", repeats=True, keep="last")
    assert sorted(map(by_id, found.rows)) == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("anew", ["for each page", "for each request"])
def test_equal_times_in_another_order_on_each_page_hide_no_row(anew: str, seed: int) -> None:
    """What a database does that is asked for pages without a second column to sort by."""
    size, sent = 50, itertools.count(1)
    rows = [{"id": number, "at": number // 20} for number in range(500)]

    def fetch(size: int, number: int) -> Page:
        request = next(sent)
        rng = random.Random(f"{seed} {number if anew == 'for each page' else request}")
        found = sorted(rows, key=lambda row: (row["at"], rng.random()))
        found = found[(number - 1) * size : number * size]
        return Page(found, request, len(rows), -(-len(rows) // size))

    found = settled(readings(api(), fetch, "set", size, fetch(size, 1)), by_id, "set")
    assert sorted(map(by_id, found.rows)) == list(range(500))
    assert found.warnings == []


def test_the_version_whose_request_was_sent_last_is_the_newest() -> None:
    pages = [Page([{"id": 1, "v": "new"}], sent=2), Page([{"id": 1, "v": "old"}], sent=1)]
    found = settled(lambda: pages, by_id, "set")
    assert found.rows == [{"id": 1, "v": "new"}]


def test_equal_rows_are_counted_where_they_may_repeat() -> None:
    vendor = Pages([{"id": 1}] * 5 + [{"id": 2}], 2)
    found = settled(
        lambda: numbered_pages(api(), vendor.fetch, "set"), by_id, "set", repeats=True, keep="last"
    )
    assert sorted(map(by_id, found.rows)) == [1, 1, 1, 1, 1, 2]


def test_a_total_that_never_agrees_is_a_warning_and_no_row_is_dropped() -> None:
    page = Page([{"id": 1}], sent=1, total=2)
    found = settled(lambda: [page], by_id, "set")
    assert found.rows == [{"id": 1}]
    assert found.warnings == ["set: the vendor reports a total of 2, its pages hold 1"]


def test_a_set_that_never_settles_is_an_error() -> None:
    numbers = iter(range(1000))

    def read() -> list[Page]:
        return [Page([{"id": next(numbers)}], sent=1, total=500)]

    with pytest.raises(VendorError, match="different rows"):
        settled(read, by_id, "set")


def test_a_vendor_that_ignores_the_page_number_is_an_error() -> None:
    page = Page([{"id": 1}, {"id": 2}], sent=1, total=6, pages=3)
    with pytest.raises(VendorError, match="page 2 repeats page 1"):
        numbered_pages(api(), lambda _number: page, "set")


def test_pages_beyond_a_page_count_that_is_too_small_are_read() -> None:
    vendor = Pages([{"id": n} for n in range(9)], 2)

    def fetch(number: int) -> Page:
        page = vendor.fetch(number)
        return Page(page.rows, page.sent, total=9, pages=3)

    found = settled(lambda: numbered_pages(api(), fetch, "set"), by_id, "set")
    assert len(found.rows) == 9


@pytest.mark.parametrize("end", [None, ""])
def test_keyed_pages_end_where_no_key_follows(end: str | None) -> None:
    replies = {None: ([{"id": 1}], "b"), "b": ([{"id": 2}], end)}

    def fetch(key: Any) -> tuple[Page, Any]:
        rows, following = replies[key]
        return Page(rows, sent=1), following

    assert [p.rows for p in keyed_pages(fetch, "set")] == [[{"id": 1}], [{"id": 2}]]


def test_new_keys_over_the_same_rows_are_an_error_and_no_endless_reading() -> None:
    keys = map(str, itertools.count())
    rows = [{"id": number} for number in range(5)]
    with pytest.raises(VendorError, match="under new keys"):
        keyed_pages(lambda _key: (Page(rows, sent=1), next(keys)), "set")


def test_a_key_that_repeats_is_an_error_and_not_an_end() -> None:
    with pytest.raises(VendorError, match="repeats"):
        keyed_pages(lambda _key: (Page([{"id": 1}], sent=1), "same"), "set")
