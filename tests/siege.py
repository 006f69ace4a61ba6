"""A warehouse under attack: nights that are disturbed, and what must hold after each.

What must hold: a reader can open the published file, and each vendor in it is as it was before or
as the vendor holds it now; no reply of the read-once feed that arrived is lost; and one undisturbed
night ends with exactly what the vendors hold, its marts as if built from nothing.
"""

import json
import random
import shutil
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import orjson

from pipelines import catalog, config, files, marts, warehouse
from tests.cases import CASES
from tests.dying import Command, Ended
from tests.fakes._server import Fake, Fault, Row
from tests.fakes.inwise import InwiseFake
from tests.house import House, assert_holds, assert_table, canonical

Digest = dict[tuple[str, str], str]
Content = dict[str, Counter[str]]  # per table, its rows as texts
FEED = "recent_activities"


class Siege:
    """Fakes, a house, and what is known of it: `before` is the digest of the published file."""

    def __init__(
        self, root: Path, rng: random.Random, stack: ExitStack, vendors: Sequence[str], rows: int
    ) -> None:
        self.rng = rng
        self.fakes: list[Fake] = [stack.enter_context(CASES[name].fake()) for name in vendors]
        for fake in self.fakes:
            fake.seed(rows)
        settings = {f"{name}__requests_per_minute": 60_000 for name in vendors}
        root.mkdir(parents=True, exist_ok=True)
        self.house = House(root, *self.fakes, **settings)
        self.before: Digest = {}
        self.kept: set[str] = set()  # rows of the feed that reached us
        self.truths: dict[str, list[Content]] = defaultdict(list)  # since the last publish
        self.wanted_marts = False

    def night(self, *arguments: str, **how: Any) -> Ended:
        """`outreach run` in a process of its own. `how`: as `Command` takes it."""
        self.note_truth()
        ended = self.begin(*arguments, **how).wait()
        assert "Traceback" not in ended.output, ended.output[-3000:]
        assert ended.code not in (70, 999), (ended.code, ended.output[-3000:])
        assert ended.orphans == [], f"processes were left behind: {ended.orphans}"
        self.note_truth()
        return ended

    def begin(self, *arguments: str, **how: Any) -> Command:
        words = arguments or ("run", *(() if self.wanted_marts else ("--no-marts",)))
        return Command(self.house.root, self.house.environ, words, **how)

    def change(self) -> None:
        for fake in self.fakes:
            fake.change()

    def calm(self, *arguments: str, code: int = 0) -> Ended:
        """An undisturbed night, and all is right after it."""
        for fake in self.fakes:
            fake.faults.clear()
            fake.latency = 0.0
        ended = self.night(*arguments)
        assert ended.code == code, (ended.code, ended.output[-3000:])
        self.holds()
        if self.wanted_marts and not arguments:
            self.marts_are_as_from_nothing()
        return ended

    def marts_are_as_from_nothing(self) -> None:
        """However many nights they grew in, and whatever befell those."""
        with tempfile.TemporaryDirectory() as folder:
            copy = config.load(Path(folder), {})
            shutil.copyfile(self.house.config.published, copy.published)
            with closing(warehouse.open_work(copy, print)) as connection:
                ((as_of,),) = connection.execute("select as_of from ops.marts").fetchall()
                connection.execute("delete from ops.marts")
            marts.build(copy, as_of, threading.Event())
            rebuilt = _of(digest_of(files.work_path(copy)), "marts")
        grown = _of(self.before, "marts")
        assert {key: rebuilt[key] for key in grown} == grown

    def holds(self) -> None:
        """Published is what the vendors hold, each row once."""
        for fake in self.fakes:
            self._holds_all_of(fake)
        self.each_row_once()
        self._each_load_is_known()
        self._published_is_known()

    def _holds_all_of(self, fake: Fake) -> None:
        if not isinstance(fake, InwiseFake):
            assert_holds(self.house, fake)
            return
        for name, rows in fake.expected().items():
            if name != FEED:
                assert_table(self.house, fake.vendor, name, rows)
        published = set(self._published_feed())
        assert self.kept <= published, f"lost of the feed: {sorted(self.kept - published)[:3]}"
        self.kept |= published
        given = {_key(row) for row in fake.handed_out}
        assert published <= given, f"never given: {sorted(published - given)[:3]}"
        activities = {
            f"{i} {kind}"
            for i, kind in self.house.sql("select id, action_type from inwise.activities")
        }
        assert given - published <= activities, "lost on the wire, and not in activities either"

    def each_row_once(self) -> None:
        for name in catalog.NAMES:
            for table in catalog.vendor(name).tables:
                key = ", ".join(f'"{c}"' for c in table.key)
                if table.kept == "history":
                    key += ", _dlt_valid_from"
                twice = self.house.sql(
                    f'select {key} from "{name}"."{table.name}" group by all having count(*) > 1'
                )
                assert twice == [], f"twice in {name}.{table.name}: {twice[:3]}"
                if table.kept == "history":
                    self._no_overlaps(name, table.name, ", ".join(f'"{c}"' for c in table.key))

    def _each_load_is_known(self) -> None:
        for name in (fake.vendor for fake in self.fakes):
            for table in catalog.vendor(name).tables:
                unknown = self.house.sql(
                    f'select distinct _dlt_load_id from "{name}"."{table.name}" '
                    f'where _dlt_load_id not in (select load_id from "{name}"._dlt_loads)'
                )
                assert unknown == [], f"{name}.{table.name} has rows of unknown loads"

    def _no_overlaps(self, vendor: str, table: str, key: str) -> None:
        overlaps = self.house.sql(
            "select * from (select *, lead(_dlt_valid_from) over "
            f"(partition by {key} order by _dlt_valid_from) as following "
            f'from "{vendor}"."{table}") '
            "where _dlt_valid_from >= coalesce(_dlt_valid_to, 'infinity') "
            "or coalesce(_dlt_valid_to, 'infinity') > following"
        )
        assert overlaps == [], f"versions of {vendor}.{table} overlap: {overlaps[:2]}"

    # --- after a death -----------------------------------------------------------------------

    def note_truth(self) -> None:
        """What the vendors hold on this night, of which any part may have been loaded."""
        for fake in self.fakes:
            self.truths[fake.vendor].append(truth_of(fake))

    def readers_are_well(self) -> None:
        """What is published is made of whole loads: those of before, and some of later nights."""
        self._count_the_feed()
        if not self.house.config.published.exists():
            assert self.before == {}, "the published file is gone"
            return
        now = self.digest()
        if now == self.before:
            return
        for fake in self.fakes:
            self._is_made_of_whole_loads(fake)
        if self.wanted_marts and _of(now, "marts") != _of(self.before, "marts"):
            ((built,),) = self.house.sql("select built_from is not null from ops.marts")
            assert built, "marts were published that no audit accepted"
        self.each_row_once()
        self._published_is_known()

    def _published_is_known(self) -> None:
        self.before = self.digest()
        for fake in self.fakes:
            self.truths[fake.vendor] = [content_of(self.house, fake)]

    def _is_made_of_whole_loads(self, fake: Fake) -> None:
        held, truths = content_of(self.house, fake), self.truths[fake.vendor]
        for table, rows in held.items():
            if table == FEED:
                continue
            known: set[str] = set().union(*(truth[table] for truth in truths))
            strange = [row for row in rows if row not in known]
            assert not strange, f"{fake.vendor}.{table}: neither old nor new: {strange[:2]}"
        if fake.vendor == "vonage":
            whole = [families(truth) for truth in truths]
            for guid, family in families(held).items():
                assert any(w.get(guid) == family for w in whole), f"{guid} is half of a load"

    def _count_the_feed(self) -> None:
        """Rows of the read-once feed that were given out: here, or their request is on record."""
        inwise = next((fake for fake in self.fakes if isinstance(fake, InwiseFake)), None)
        if inwise is None:
            return
        folder = self.house.config.work_dir / "inwise_recent"
        replies = sorted(folder.glob("*.reply"))
        arrived = {_key(row) for path in replies for row in orjson.loads(path.read_bytes())}
        self.kept |= arrived | set(self._published_feed())
        missing = {_key(row) for row in inwise.handed_out} - self.kept
        lost = {p.stem for p in folder.glob("*.intent")} - {p.stem for p in replies}
        healed = {
            f"{i} {kind}"
            for i, kind in (
                self.house.sql("select id, action_type from inwise.activities")
                if self.house.config.published.exists()
                else []
            )
        }
        assert missing <= healed or lost, f"no trace of a lost reply: {sorted(missing)[:3]}"

    def _published_feed(self) -> Iterator[str]:
        if self.house.config.published.exists():
            for each, kind in self.house.sql(f"select id, action_type from inwise.{FEED}"):
                yield f"{each} {kind}"

    def digest(self) -> Digest:
        """A hash of the content of each published table but ours and dlt's."""
        return digest_of(self.house.config.published)

    # --- a vendor is down --------------------------------------------------------------------

    @contextmanager
    def down(self, *vendors: str) -> Iterator[None]:
        """Every request to these is answered by a 500."""
        for fake in self.fakes:
            if fake.vendor in vendors:
                fake.faults.insert(0, Fault("status", status=500, times=1_000_000))
        yield
        for fake in self.fakes:
            if fake.vendor in vendors:
                fake.faults.pop(0)

    def night_without(self, vendor: str, *arguments: str) -> Ended:
        """A night on which a vendor is down: it is published as it was last loaded as a whole."""
        with self.down(vendor):
            ended = self.night(*arguments)
        assert ended.code == 1, (ended.code, ended.output[-3000:])
        for fake in self.fakes:
            if fake.vendor == vendor:
                self._is_made_of_whole_loads(fake)
            else:
                self._holds_all_of(fake)
        self._count_the_feed()
        self._published_is_known()
        return ended

    def lose_work(self) -> None:
        """The work folder is lost, and with it the right to the feed's residue."""
        shutil.rmtree(self.house.config.work_dir, ignore_errors=True)
        self.kept = set()


def truth_of(fake: Fake) -> Content:
    return {name: _texts(fake, name, rows, rows, set()) for name, rows in fake.expected().items()}


def content_of(house: House, fake: Fake) -> Content:
    """Of each published table what `truth_of` holds of the vendor's."""
    found = {}
    for name, rows in fake.expected().items():
        table = next(t for t in catalog.vendor(fake.vendor).tables if t.name == name)
        jsons = {c for c, kind in table.columns.items() if kind in ("list", "map", "json")}
        found[name] = _texts(fake, name, house.rows(fake.vendor, name), rows, jsons)
    return found


def _texts(
    fake: Fake, name: str, rows: Sequence[Row], model: Sequence[Row], jsons: set[str]
) -> Counter[str]:
    columns = COLUMNS.setdefault((fake.vendor, name), set())
    columns |= {column for row in model for column in row}
    return Counter(canonical(rows, sorted(columns), jsons))


COLUMNS: dict[tuple[str, str], set[str]] = {}


def families(content: Content) -> dict[str, list[str]]:
    """Vonage's interactions, each with its channels and events."""
    found: dict[str, list[str]] = {
        json.loads(text)["guid"]: [text] for text in content["interactions"]
    }
    for name in ("interactions__channels", "interactions__channels__events"):
        for text, count in sorted(content[name].items()):
            found.setdefault(json.loads(text)["interaction_guid"], []).extend([text] * count)
    return found


def _of(digest: Digest, schema: str) -> Digest:
    return {key: value for key, value in digest.items() if key[0] == schema}


def digest_of(path: Path) -> Digest:
    found: Digest = {}
    with warehouse.reading(path) as connection:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where schema_name <> 'ops' "
            "and not starts_with(table_name, '_dlt')"
        ).fetchall()
        for schema, table in tables:
            row = connection.execute(
                "select md5(coalesce(string_agg(h, '' order by h), '')) from "
                f'(select md5(t::varchar) as h from "{schema}"."{table}" t)'
            ).fetchone()
            found[schema, table] = str(row[0] if row else "")
    return found


def _key(row: dict[str, Any]) -> str:
    return f"{row['id']} {row['action_type']}"
