"""The commands as a user, a schedule or a dashboard calls them."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines import catalog
from tests.cases import CASES
from tests.fakes._server import Fake, Fault
from tests.house import House, assert_holds, assert_table

MakeHouse = Callable[..., House]
PROJECT = Path(__file__).parent.parent


@pytest.fixture
def fakes() -> Iterator[list[Fake]]:
    """All five vendors."""
    with ExitStack() as stack:
        running = [stack.enter_context(CASES[name].fake()) for name in catalog.NAMES]
        for fake in running:
            fake.seed(60)
        yield running


def outreach(
    home: House, *arguments: str, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines", *arguments],
        cwd=home.root,
        env={**os.environ, "PYTHONPATH": str(PROJECT), **home.environ, **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_run_loads_all_vendors_and_says_so(house: MakeHouse, fakes: list[Fake]) -> None:
    home = house(*fakes)
    done = outreach(home, "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for fake in fakes:
        assert_holds(home, fake)
        assert any(line.startswith(f"{fake.vendor} ") for line in done.stdout.splitlines())
    assert f"published: {home.config.published}" in done.stdout
    rows = home.sql("select vendor, status, error from ops.runs order by vendor")
    assert rows == [(name, "ok", None) for name in sorted(catalog.NAMES)]


@pytest.mark.parametrize("where", ["> /dev/full", "| true", ">&-"])
def test_a_run_whose_output_nobody_can_take_is_a_run_all_the_same(
    house: MakeHouse, where: str
) -> None:
    with CASES["avaamo"].fake() as fake:
        fake.seed(60)
        home = house(fake)
        done = subprocess.run(
            [
                "bash",
                "-c",
                f"{sys.executable} -m pipelines run --no-marts {where}; exit $PIPESTATUS",
            ],
            cwd=home.root,
            env={**os.environ, "PYTHONPATH": str(PROJECT), **home.environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        assert_holds(home, fake)
        assert home.sql("select status from ops.runs") == [("ok",)]


def test_a_dry_run_touches_nothing(house: MakeHouse, fakes: list[Fake]) -> None:
    home = house(*fakes)
    for _ in range(2):
        before = {p: p.stat().st_mtime_ns for p in home.root.rglob("*")}
        with ExitStack() as stack:
            counts = [stack.enter_context(fake.counting()) for fake in fakes]
            done = outreach(home, "run", "--dry-run")
        assert done.returncode == 0, done.stderr
        assert all(len(count) == 0 for count in counts)
        assert {p: p.stat().st_mtime_ns for p in home.root.rglob("*")} == before
        assert "campaign_insights" in done.stdout
        home.run()
    assert "its last run made" in done.stdout


def test_check_is_well_and_never_calls_the_read_once_feed(
    house: MakeHouse, fakes: list[Fake]
) -> None:
    home = house(*fakes)
    done = outreach(home, "check")
    assert done.returncode == 0, done.stdout
    for name in catalog.NAMES:
        assert f" {name} " in done.stdout
    assert all(fake.asked("recentActivit") == [] for fake in fakes)
    assert list(home.root.iterdir()) == []


@pytest.mark.parametrize("name", catalog.NAMES)
def test_check_fails_for_a_wrong_credential_and_says_where_to_set_it(
    house: MakeHouse, name: str
) -> None:
    with CASES[name].fake() as fake:
        secret = catalog.vendor(name).secrets[-1]
        home = house(fake, **{f"{name}__{secret}": "planted-wrong-credential"})
        done = outreach(home, "check", name)
    assert done.returncode == 1
    assert "failure" in done.stdout
    assert f"[sources.{name}]" in done.stdout
    assert "planted-wrong-credential" not in done.stdout + done.stderr


def test_check_tells_a_clock_that_is_off(house: MakeHouse) -> None:
    with CASES["avaamo"].fake() as fake:
        fake.now = lambda: datetime.now(UTC) + timedelta(hours=1)
        done = outreach(house(fake), "check", "avaamo")
    assert "clock" in done.stdout
    assert "3600 s ahead" in done.stdout or "3599 s ahead" in done.stdout


def test_status_tells_what_is_fresh_stale_off_and_failed(
    house: MakeHouse, fakes: list[Fake]
) -> None:
    home = house(*fakes[:2])
    assert outreach(home, "status").returncode == 1
    nothing = outreach(home, "status", "--json")
    assert (nothing.returncode, json.loads(nothing.stdout)) == (1, [])
    assert "there is no warehouse" in nothing.stderr
    fakes[1].faults.append(Fault("status", status=400, times=1000))
    home.run()
    done = outreach(home, "status", "--json")
    assert done.returncode == 1
    rows = {(r["vendor"], r["table"]): r for r in json.loads(done.stdout)}
    assert set(rows) == {
        (name, t.name) for name in catalog.NAMES for t in catalog.vendor(name).tables
    }
    fresh = rows["vonage", "interactions"]
    assert fresh["state"] == "fresh"
    assert fresh["rows"] == len(home.rows("vonage", "interactions"))
    newest = max(row["start"] for row in home.rows("vonage", "interactions"))
    assert datetime.fromisoformat(fresh["newest"]) == newest
    failed = rows["avaamo", "campaign_insights"]
    assert failed["state"] == "never loaded"
    assert "HTTP 400" in failed["error"]
    assert rows["dialer", "leads"]["state"] == "off"
    fakes[1].faults.clear()
    home.run()
    assert outreach(home, "status").returncode == 0
    home.settings["vonage__freshness_hours"] = "0"
    done = outreach(home, "status")
    assert done.returncode == 1
    assert "stale" in done.stdout


def test_a_backfill_loads_a_span_again_and_leaves_the_cursor(house: MakeHouse) -> None:
    with CASES["avaamo"].fake() as fake:
        fake.seed(150)
        home = house(fake)
        home.run()
        records: Any = fake.records  # type: ignore[attr-defined]
        now = datetime.now(UTC)
        old = [r for r in records if now - timedelta(days=90) > at(r) > now - timedelta(days=150)]
        for record in old:
            record["content"] = "changed long ago"
        assert home.run() == 0
        changed = "select count(*) from avaamo.campaign_insights where content like 'changed%'"
        assert home.sql(changed) == [(0,)]
        cursor = outreach(home, "run", "--dry-run").stdout
        span = [f"{now - timedelta(days=d):%Y-%m-%d}" for d in (151, 89)]
        done = outreach(home, "backfill", "avaamo", "--since", span[0], "--until", span[1])
        assert done.returncode == 0, done.stdout + done.stderr
        assert home.sql(changed) == [(len(old),)]
        assert_holds(home, fake)
        assert windows(outreach(home, "run", "--dry-run").stdout) == windows(cursor)


def at(record: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(record["created_at"], UTC)


def windows(plan: str) -> str:
    """The windows' beginnings, which the cursor sets; their ends are now."""
    return next(line for line in plan.splitlines() if "campaign_insights" in line).split("Z")[0]


MISUSE = {
    ("run", "nobody"): "no vendor",
    ("run", "--accept-shrink", "nobody:1"): "no vendor",
    ("run", "dialer", "--accept-shrink", "vonage"): "off",
    ("run", "--accept-shrink", "koreai:"): "names no campaign",
    ("run", "--accept-shrink", "vonage"): "no list",
    ("run", "--dryrun"): "--dryrun",
    ("backfill", "koreai", "--since", "2026-01-01"): "no time filter",
    ("backfill", "avaamo", "--since", "2020-01-01"): "keeps",
    ("backfill", "vonage", "--since", "soon"): "must be a date",
    ("backfill", "vonage", "--since", "2999-01-01"): "not before",
    ("backfill", "vonage"): "--since",
    ("run", "--log-format", "xml"): "text or json",
    ("dance",): "dance",
}


@pytest.mark.parametrize("arguments", MISUSE, ids=" ".join)
def test_a_mistake_is_told_in_one_line(
    house: MakeHouse, fakes: list[Fake], arguments: tuple[str, ...]
) -> None:
    home = house(*(fakes[1:] if "dialer" in arguments else fakes))
    done = outreach(home, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert MISUSE[arguments] in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(home.root.iterdir()) == []
    assert all(fake.seen == [] for fake in fakes)


@pytest.mark.parametrize("command", ["run", "check"])
def test_without_any_credentials_the_place_for_them_is_told(command: str, house: MakeHouse) -> None:
    done = outreach(house(), command)
    assert done.returncode == 2
    assert "set credentials in .dlt/secrets.toml" in done.stderr


def test_for_machines_what_ends_a_command_is_json_too(house: MakeHouse) -> None:
    done = outreach(house(), "run", "--log-format", "json")
    (told,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (done.returncode, told["level"]) == (2, "error")
    assert "set credentials" in told["message"]


def test_for_machines_each_vendors_result_is_json(house: MakeHouse, fakes: list[Fake]) -> None:
    home = house(*fakes[:2])
    fakes[0].faults = [Fault("status", status=403, times=100)]
    done = outreach(home, "run", "--no-marts", "--log-format", "json")
    assert done.returncode == 1
    told = {line["vendor"]: line for line in map(json.loads, done.stderr.splitlines())}
    assert (told["vonage"]["level"], told["vonage"]["status"]) == ("error", "failed")
    assert "HTTP 403" in told["vonage"]["message"]
    assert (told["avaamo"]["level"], told["avaamo"]["rows"]) == ("info", 60)


@pytest.mark.parametrize("command", ["--help", "status"])
def test_what_only_looks_imports_nothing_slow(command: str, house: MakeHouse) -> None:
    """dlt takes a second, requests a tenth, Arrow and dbt more."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pipelines", command],
        cwd=house().root,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "pipelines.config" in imported
    assert not imported & {"dlt", "requests", "pyarrow", "dbt", "pandas", "numpy"}


def test_reset_reads_the_whole_span_again_and_deletes_nothing(house: MakeHouse) -> None:
    with CASES["vonage"].fake() as fake:
        fake.seed(40)
        home = house(fake)
        with fake.counting() as first:
            home.run()
        with fake.counting() as second:
            home.run()
        assert outreach(home, "reset", "vonage").returncode == 0
        assert_holds(home, fake)
        with fake.counting() as third:
            home.run()
        assert len(second) < len(third) == len(first)
        assert_holds(home, fake)


def test_secrets_stand_nowhere_even_when_everything_fails(
    house: MakeHouse, fakes: list[Fake]
) -> None:
    home = house(*fakes)
    secrets: set[str] = set()
    home.run()
    for fake in fakes:
        own = {str(fake.settings()[key]) for key in catalog.vendor(fake.vendor).secrets}
        secrets |= {secret for secret in own if len(secret) > 8}
        echo = {"message": f"you sent {' '.join(own)} and +15550100123 a@example.com"}
        fake.faults.append(Fault("status", status=400, times=1000, body=echo, skip=2))
        fake.expire_logins()
        fake.change()
    assert len(secrets) >= 5
    done = outreach(home, "run", "--log-format", "json")
    assert done.returncode == 1, done.stdout
    texts = [(done.stdout + done.stderr).encode()]
    texts += [path.read_bytes() for path in home.root.rglob("*") if path.is_file()]
    for secret in secrets:
        found = [n for n, text in enumerate(texts) if secret.encode() in text]
        assert found == [], (secret, found, texts[0] if 0 in found else "")
    assert "+15550100123" not in done.stdout
    assert "a@example.com" not in done.stdout


def test_a_whole_run_asks_nobody_but_the_vendors(house: MakeHouse, fakes: list[Fake]) -> None:
    home = house(*fakes)
    watched = home.root / "watched"
    (home.root / "sitecustomize.py").write_text(WATCH.format(path=str(watched)))
    path = os.pathsep.join([str(home.root), str(PROJECT)])
    done = outreach(home, "run", environ={"PYTHONPATH": path, "RUNTIME__DLTHUB_TELEMETRY": "true"})
    assert done.returncode == 0, done.stdout + done.stderr
    ports = {str(fake.url.rpartition(":")[2]) for fake in fakes}
    asked = {tuple(line.split()) for line in watched.read_text().splitlines()}
    assert {a for a in asked if a[0] == "socket.connect"} == {
        ("socket.connect", "127.0.0.1", port) for port in ports
    }
    assert {a[1] for a in asked if a[0] == "socket.getaddrinfo"} <= {"127.0.0.1"}


WATCH = """
import sys
def hook(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        found = f"{{event}} {{arguments[1][0]}} {{arguments[1][1]}}"
    elif event == "socket.getaddrinfo":
        found = f"{{event}} {{arguments[0]}}"
    else:
        return
    with open({path!r}, "a") as file:
        file.write(found + chr(10))
sys.addaudithook(hook)
"""


def test_killed_again_and_again_it_ends_with_what_the_vendors_hold(
    house: MakeHouse, fakes: list[Fake]
) -> None:
    home = house(*fakes)
    moments = random.Random(7)
    for fake in fakes:
        fake.latency = 0.02
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines", "run"],
            cwd=home.root,
            env={**os.environ, "PYTHONPATH": str(PROJECT), **home.environ},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = sum(len(fake.seen) for fake in fakes) + moments.randrange(2, 60)
        while process.poll() is None and sum(len(fake.seen) for fake in fakes) < until:
            time.sleep(0.002)
        process.kill()
        process.wait()
        for fake in fakes:
            fake.change()
    for fake in fakes:
        fake.latency = 0.0
    assert home.run() == 0, home.said
    for fake in fakes:
        for name, rows in fake.expected().items():
            if name != "recent_activities":  # a reply under way is made good from activities
                assert_table(home, fake.vendor, name, rows)
