"""Every table and column says what it means: in the file, and in the catalog that `docs` makes."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from html.parser import HTMLParser
from pathlib import Path
from typing import cast

import pytest

from pipelines import catalog, comments, config, files, marts, publishing, warehouse
from tests.cases import CASES
from tests.house import House

NO_COMMENT = (
    "select schema_name, table_name, null from duckdb_tables() "
    "where not internal and comment is null union all "
    "select schema_name, table_name, column_name from duckdb_columns() "
    "where not internal and comment is null"
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A warehouse loaded from all five fakes, with its marts."""
    with ExitStack() as stack:
        fakes = [stack.enter_context(case.fake()) for case in CASES.values()]
        for fake in fakes:
            fake.seed(60)
        house = House(tmp_path_factory.mktemp("published"), *fakes)
        assert house.run(marts=True) == 0, house.said
        yield house


def outreach(
    root: Path, *words: str, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines", *words],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def page(published: House) -> str:
    """The page that `outreach docs` makes of it."""
    done = outreach(published.root, "docs")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().endswith("catalog/index.html")
    return (published.root / "catalog" / "index.html").read_text()


# --- descriptions and comments -------------------------------------------------------------------


def places(connection: warehouse.Connection) -> set[comments.Place]:
    """All tables and columns."""
    return set(
        connection.execute(
            "select schema_name, table_name, column_name from duckdb_columns() "
            "where not internal union select schema_name, table_name, '' from duckdb_tables()"
        ).fetchall()
    )


def test_the_descriptions_are_of_the_columns_that_there_are(
    published: House, tmp_path: Path
) -> None:
    loaded = config.load(tmp_path, {})
    loaded.work_dir.mkdir()
    with warehouse.connect_work(loaded) as connection:
        for name in catalog.NAMES:
            warehouse.make_tables(connection, catalog.vendor(name))
        there = places(connection)
    with warehouse.reading(files.work_path(published.config)) as connection:
        there |= {place for place in places(connection) if place[0] == "marts"}
    told = comments.descriptions()
    assert (there - told.keys(), told.keys() - there) == (set(), set())
    assert [place for place, text in told.items() if not re.search(r"[.)]$", text)] == []


def test_a_published_file_explains_itself(published: House) -> None:
    assert published.sql(NO_COMMENT) == []
    query = "select comment from duckdb_columns() where schema_name = ? and column_name = ?"
    assert set(published.sql(query, ["vonage", "talk_time"])) == {
        (comments.descriptions()["vonage", "interactions", "talk_time"],)
    }
    unknown = published.sql(query, ["dialer", "answered_time"])  # the fake sends it, no page does
    assert unknown == [(comments.NOT_DOCUMENTED,)]


class Listening:
    """A connection that remembers what it was told."""

    def __init__(self, connection: warehouse.Connection) -> None:
        self.connection, self.told = connection, list[str]()

    def execute(self, query: str) -> warehouse.Connection:
        self.told.append(query)
        return self.connection.execute(query)


def written(connection: warehouse.Connection) -> list[str]:
    """The comments that `describe` changes."""
    listening = Listening(connection)
    comments.describe(cast(warehouse.Connection, listening))
    return [query.partition(" is ")[0] for query in listening.told if query[:7] == "comment"]


def test_only_what_differs_is_written(published: House, tmp_path: Path) -> None:
    loaded = config.load(tmp_path, {})
    shutil.copyfile(published.config.published, loaded.published)
    with closing(warehouse.open_work(loaded, print)) as connection:
        assert written(connection) == []
        connection.execute("comment on table avaamo.campaign_insights is 'something else'")
        connection.execute("comment on column ops.runs.error is null")
        connection.execute("alter table koreai.campaigns add column brand_new varchar")
        assert sorted(written(connection)) == [
            'comment on column "koreai"."campaigns"."brand_new"',
            'comment on column "ops"."runs"."error"',
            'comment on table "avaamo"."campaign_insights"',
        ]
        publishing.put_back(connection, loaded, "dialer")
        assert written(connection) == [], "what is put back brings its descriptions"


# --- the catalog ---------------------------------------------------------------------------------


def _json_in(page: str, key: str) -> dict[str, object]:
    """The object behind a key of dbt's data in the page."""
    start = page.index(f'"{key}": {{') + len(f'"{key}": ')
    found: dict[str, object] = json.JSONDecoder().raw_decode(page, start)[0]
    return found


def test_the_catalog_has_all_tables_and_their_lineage(page: str) -> None:
    parents = _json_in(page, "parent_map")
    built = {path.stem for path in (marts.PROJECT / "models" / "marts").glob("*.sql")}
    assert {f"model.outreach.{name}" for name in built} <= parents.keys()
    for vendor in catalog.NAMES:
        sources = {f"source.outreach.{vendor}.{t.name}" for t in catalog.vendor(vendor).tables}
        assert sources <= parents.keys()
        assert f"model.outreach.attempts_{vendor}" in str(parents["model.outreach.attempts"])
    assert "model.outreach.attempts" in str(parents["model.outreach.contact_attempts"])
    for description in comments.descriptions().values():
        assert json.dumps(description)[1:-1] in page, description


def test_the_first_page_leads_to_tables_that_there_are(page: str) -> None:
    text = (marts.PROJECT / "models" / "overview.md").read_text()
    linked = set(re.findall(r"#!/\w+/([\w.]+)", text))
    assert linked
    assert linked <= _json_in(page, "parent_map").keys()


class Resources(HTMLParser):
    """What a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"link": "href", "script": "src", "img": "src", "iframe": "src"}.get(tag)
        given = dict(attrs)
        if given.get(wanted or "") and given.get("rel") != "canonical":
            self.found.append(str(given[wanted or ""]))


def test_the_catalog_asks_nobody_for_anything(page: str) -> None:
    resources = Resources()
    resources.feed(page)
    assert [r for r in resources.found if not r.startswith("data:")] == []
    assert re.findall(r"url\([\"']?(?:\.\.|https?:|//)[^)]*\)", page) == []
    assert "cloudfront" not in page
    assert "default-src 'none'" in page[:1000]
    assert '"send_anonymous_usage_stats": false' in page


def test_the_catalog_holds_no_rows_and_no_places_of_this_machine(
    page: str, published: House
) -> None:
    values = published.sql(
        "select to_phone from avaamo.campaign_insights union select content from "
        "avaamo.campaign_insights union select email from inwise.sent_emails union "
        "select connect_from from vonage.interactions union select number from dialer.leads union "
        "select phone_number from koreai.campaign_contacts union select lead_name from "
        "dialer.lead_history union select contact_key from marts.contacts"
    )
    from dbt.task import docs

    dbts_own = Path(docs.__file__).with_name("index.html").read_text()
    known = [value for (value,) in values if value and len(value) > 6 and value not in dbts_own]
    assert len(known) > 100
    assert [value for value in known if value in page] == []
    assert "catalog/.part" not in page
    assert str(published.root) not in page
    assert str(Path.cwd()) not in page


def test_the_command_only_reads(published: House, tmp_path: Path) -> None:
    file = published.config.published
    folders = (published.root, published.config.work_dir, marts.PROJECT)
    listed = [sorted(p for p in folder.rglob("*")) for folder in folders]
    stood = (file.stat(), hashlib.sha256(file.read_bytes()).hexdigest())
    with warehouse.reading(file):
        done = outreach(
            published.root,
            "docs",
            "--out",
            str(tmp_path / "a" / "b"),
            environ={"TMPDIR": str(tmp_path)},
        )
    assert done.returncode == 0, done.stderr
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["index.html"]
    now = (file.stat(), hashlib.sha256(file.read_bytes()).hexdigest())
    assert (now[0].st_mtime_ns, now[0].st_ino, now[1]) == (
        stood[0].st_mtime_ns,
        stood[0].st_ino,
        stood[1],
    )
    assert [sorted(p for p in folder.rglob("*")) for folder in folders] == listed


def test_a_folder_is_named_from_where_one_stands(published: House) -> None:
    before = sorted(marts.PROJECT.rglob("*"))
    done = outreach(published.root, "docs", "--out", "site/catalog")
    assert done.returncode == 0, done.stderr
    made = published.root / "site"
    assert [p for p in made.rglob("*") if p.is_file()] == [made / "catalog" / "index.html"]
    assert sorted(marts.PROJECT.rglob("*")) == before
    shutil.rmtree(made)


def test_wrong_use_is_one_clear_line(published: House, tmp_path: Path) -> None:
    for root, words, said in (
        (tmp_path, [], "there is no warehouse at"),
        (published.root, ["--out", "warehouse.duckdb/x"], "cannot be written"),
    ):
        done = outreach(root, "docs", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium on this machine")
@pytest.mark.parametrize(
    ("place", "shows"),
    [
        ("", "outreach-warehouse"),
        ("#!/model/model.outreach.contact_attempts", "One row per attempt to reach a person"),
        ("#!/source/source.outreach.vonage.interactions", "Groups interactions that belong"),
    ],
)
def test_a_browser_shows_it_without_complaint(
    page: str, published: House, tmp_path: Path, place: str, shows: str
) -> None:
    assert page
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    flags += [f"--user-data-dir={tmp_path}", "--virtual-time-budget=8000", "--dump-dom"]
    address = (published.root / "catalog" / "index.html").as_uri() + place
    done = subprocess.run(
        ["chromium", *flags, address], capture_output=True, text=True, timeout=120, check=False
    )
    assert shows in re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
