"""Each vendor's parser under replies that are not what they were: any of its values, of any other
type and shape. Either the vendor fails in its own words, or every row that it sent is there.

FUZZ_EXAMPLES=2000 tries longer, from another seed each time.
"""

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from pipelines import catalog
from pipelines.config import EVERY_VENDOR
from sources._api import Api
from sources._arrow import TypeChanged, arrow
from sources._endpoints import Endpoint, Night, Slice, Windowed
from sources._errors import VendorError
from sources._json import is_storable
from sources._meter import Meter
from sources._rejects import without_bad
from sources._windows import read_nightly
from tests.cases import CASES
from tests.fakes._server import Fake, Row

MORE = int(os.environ.get("FUZZ_EXAMPLES", "0"))
EXAMPLES = settings(
    max_examples=MORE or 50,
    derandomize=not MORE,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
DAYS = timedelta(days=6)

# --- what is sent --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """Where the rows of a reply are, and by which fields and columns they are known."""

    path: str
    rows: Callable[[Any], Any]
    table: str
    fields: tuple[str, ...]
    columns: tuple[str, ...]


def listed(name: str) -> Said:
    table = next(t for t in catalog.vendor("inwise").tables if t.name == name)
    path = f"/{re.sub('_(.)', lambda m: m[1].upper(), name)}$"
    return Said(path, lambda body: body, name, table.key, table.key)


def campaigns_of(body: Any) -> Any:
    return [row | {"id": row.get("id") or row.get("_id")} for row in body["data"]["results"]]


SAID = {
    "vonage": [
        Said("/stats/interactions$", lambda b: b["items"], "interactions", ("guid",), ("guid",)),
        Said(
            "/stats/interactions$",
            lambda b: [
                {"of": item["guid"], "position": n}
                for item in b["items"]
                for n, _ in enumerate(item.get("channels") or ())
            ],
            "interactions__channels",
            ("of", "position"),
            ("interaction_guid", "position"),
        ),
    ],
    "avaamo": [
        Said("/insights$", lambda b: b["entries"], "campaign_insights", ("id",), ("id",)),
    ],
    "inwise": [*map(listed, ("sent_emails", "undelivered", "activities", "recent_activities"))],
    "koreai": [
        Said("/getAllCampaignDetails$", campaigns_of, "campaigns", ("id",), ("id",)),
        Said(
            "/status$",
            lambda b: b["data"]["results"],
            "campaign_contacts",
            ("phoneNumber",),
            ("phone_number",),
        ),
    ],
    "dialer": [
        Said("/campaigns/[^/]+/leads$", lambda b: b["data"], "leads", ("id",), ("id",)),
        Said("/queues/status$", lambda b: b, "queues", ("id",), ("id",)),
        Said(
            "/leads/history$",
            lambda b: b if isinstance(b, list) else b["data"],
            "lead_history",
            ("lead_number", "agent_extension"),
            ("lead_number", "agent_extension"),
        ),
        Said(
            "/leads/status$",
            lambda b: [{"id": key} for key in json.loads(b)],
            "campaigns",
            ("id",),
            ("id",),
        ),
    ],
}
LOGINS = {"vonage": ["/connect/token$"], "dialer": ["/login$"]}

# --- what becomes of it --------------------------------------------------------------------------


def nested(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


VALUES: list[Any] = [
    *(None, True, False, 0, -1, 7, 1.5, 2**63, 2**70, -(2**63) - 1, 10**18, 1e308, float("nan")),
    *("", "x", "7", "\ud800", "a\x00b", "\udcff", "-1", "true", "x" * 10_000),
    *("0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01 00:00:00", "2026-02-30"),
    *([], {}, [1], ["x"], {"a": 1}, {"": 1}, [[]], [None], [{}], nested(100), nested(300)),
]
NAMES = ["", " ", "x", "123", "_dlt_load_id", "_dlt_id", "row_version", "a.b", "é", "id"]


@dataclass(frozen=True)
class Change:
    """One change of every reply of a path: `at` picks the place, `value` or `name` what comes."""

    kind: str
    at: int
    value: Any
    name: str

    def __call__(self, body: Any) -> Any:
        if isinstance(body, str):
            with suppress(ValueError):
                return _text(self(json.loads(body)))
            return body
        if body == []:  # the page behind the last
            return body
        body = {"": deepcopy(body)}
        places = list(_places(body))
        holder, key = places[self.at % len(places)]
        self._change(holder, key)
        return _text(body.get(""))

    def _change(self, holder: Any, key: Any) -> None:
        value = holder[key]
        match self.kind:
            case "drop":
                del holder[key]
            case "rename" if isinstance(holder, dict):
                holder[self.name] = holder.pop(key)
            case "add" if isinstance(value, dict):
                value[self.name] = self.value
            case "nest":
                holder[key] = [value] if self.at % 2 else {"x": value}
            case "twice" if isinstance(holder, list):
                holder.insert(key, deepcopy(value))
            case "swap" if isinstance(value, list):
                holder[key] = {str(n): each for n, each in enumerate(value)}
            case "swap" if isinstance(value, dict):
                holder[key] = list(value.values())
            case "shorten" if isinstance(value, str | list):
                holder[key] = value[: len(value) // 2]
            case _:
                holder[key] = self.value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every value of a body by what holds it, those further up more often."""
    keys = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(keys):
        yield value, key
        if isinstance(inner, dict | list):
            yield value, key
            yield from _places(inner)


def _text(body: Any) -> str:
    """JSON; lone surrogates below dc80 escaped, the others as the bytes that they stand for."""
    text = json.dumps(body, ensure_ascii=False)
    return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c < "\udc80" else c for c in text)


changes = st.builds(
    Change,
    st.sampled_from(
        ["drop", "rename", "add", "nest", "twice", "swap", "shorten", "value", "value"]
    ),
    st.integers(1, 100_000).map(lambda n: n * 2_654_435_761),  # small ones would all be at the top
    st.sampled_from(VALUES),
    st.sampled_from(NAMES),
)

# --- what is read --------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=catalog.NAMES)
def fake(request: pytest.FixtureRequest) -> Iterator[Fake]:
    with CASES[request.param].fake() as running:
        running.seed(40)
        yield running


def read(fake: Fake, work_dir: Path) -> tuple[dict[str, list[Row]], list[str]]:
    """The tables of a first night, and what was told beside. Raises VendorError."""
    vendor, now = catalog.vendor(fake.vendor), datetime.now(UTC)
    given: Row = {**EVERY_VENDOR, **vendor.defaults, **fake.settings(), "page_size": 20}
    given |= {"start_date": (now - DAYS).isoformat(), "requests_per_minute": 100_000}
    night = Night(now, {"ca_bundle": "", **given}, {}, fake.vendor, work_dir=work_dir)
    api = vendor.connect(night.settings, Meter())
    found: dict[str, list[Row]] = {table.name: [] for table in vendor.tables}
    told: list[str] = []
    for endpoint in vendor.endpoints:
        for piece in slices(endpoint, api, night):
            assert is_storable(piece.state)
            told += [*piece.warnings, *piece.held]
            try:
                for table, rows in piece.rows.items():
                    found[table.name] += arrow(table, rows, {})[0].to_pylist()
            except TypeChanged:
                _can_be_put_aside(piece)
                raise
    return found, told


def _can_be_put_aside(piece: Slice) -> None:
    """Without the bad rows there is a table of the others, or there are too many."""
    try:
        left, rejected = without_bad(piece, {}, "here")
    except TypeChanged as error:
        if "rows are so" in str(error):
            return
        raise
    assert rejected
    assert all(json.loads(each.key) and each.reason.isprintable() for each in rejected)
    for table, rows in left.rows.items():
        arrow(table, rows, {})


def slices(endpoint: Endpoint, api: Api, night: Night) -> Iterator[Slice]:
    if isinstance(endpoint, Windowed):
        return read_nightly(endpoint, api, night)
    return endpoint.read(api, night)


@contextmanager
def changed(fake: Fake, path: str, change: Change | None) -> Iterator[list[tuple[str, Any]]]:
    """Collects the replies that were sent, by path."""
    sent: list[tuple[str, Any]] = []

    def keep(where: str) -> Callable[[Any], Any]:
        def kept(body: Any) -> Any:
            sent.append((where, body))
            return body

        return kept

    fake.rewrites = [(path, change)] if change else []
    fake.rewrites += [(where, keep(where)) for where in {each.path for each in SAID[fake.vendor]}]
    try:
        yield sent
    finally:
        fake.rewrites = []


def identities(said: Said, body: Any) -> set[tuple[str, ...]]:
    """The rows of a reply that are objects and have what they are known by."""
    found = set()
    with suppress(KeyError, TypeError, AttributeError, ValueError):
        if isinstance(body, str) and said.path != "/leads/status$":
            body = json.loads(body.encode("utf-8", "surrogateescape").decode(errors="replace"))
        rows = said.rows(body)
        for row in rows if isinstance(rows, list) else ():
            values = [row.get(f) for f in said.fields] if isinstance(row, dict) else [None]
            if all(type(value) in (str, int) for value in values):
                found.add(tuple(map(str, values)))
    return found


def check(fake: Fake, path: str, change: Change | None) -> bool:
    """Whether the vendor was read to its end; then nothing that it sent is missing in silence."""
    with tempfile.TemporaryDirectory() as folder, changed(fake, path, change) as sent:
        try:
            found, told = read(fake, Path(folder))
        except VendorError as error:
            note(str(error))
            return False
    for said in SAID[fake.vendor]:
        here = {tuple(str(row[c]) for c in said.columns) for row in found[said.table]}
        bodies = [body for where, body in sent if where == said.path]
        there = set().union(*(identities(said, body) for body in bodies))
        assert there <= here or told, f"lost of {said.table}: {sorted(there - here)[:2]}"
    return True


def test_without_a_change_all_is_there(fake: Fake) -> None:
    assert check(fake, "^$", None)


def test_changed_replies_fail_in_the_vendors_words_or_lose_no_row(fake: Fake) -> None:
    paths = [said.path for said in SAID[fake.vendor]] + LOGINS.get(fake.vendor, [])

    @EXAMPLES
    @given(st.sampled_from(paths), changes)
    def changed_replies(path: str, change: Change) -> None:
        check(fake, path, change)

    changed_replies()
