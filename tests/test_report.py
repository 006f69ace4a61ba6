"""The report: its figures against SQL, hostile texts in it, and how it looks in a browser."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pipelines import catalog, report
from pipelines.report import queries, words
from pipelines.report.page import CAMPAIGNS
from sources._endpoints import REQUIRED
from tests import chromium
from tests.cases import CASES
from tests.house import House
from tests.report_house import AS_OF, TODAY, YESTERDAY, ReportHouse, attempts, lively, run_row

PROJECT = Path(__file__).parent.parent
NOW = AS_OF + timedelta(hours=5)


class Page(HTMLParser):
    """The texts of a page: the rows of each section's tables, and everything together."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.sections: dict[str, list[list[str]]] = {"": []}
        self.texts: list[str] = []
        self._section, self._cell, self._skips = "", False, False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "h2":
            self._section = given.get("id") or ""
            self.sections[self._section] = []
        elif tag == "tr":
            self.sections[self._section].append([])
        elif tag in ("td", "th"):
            self.sections[self._section][-1].append("")
            self._cell = True
        self._skips = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = False
        self._skips = False

    def handle_data(self, data: str) -> None:
        if self._skips:
            return
        text = " ".join(data.split())  # turns spaces that do not break into plain ones
        self.texts.append(text)
        if self._cell and text:
            row = self.sections[self._section][-1]
            row[-1] = f"{row[-1]} {text}".strip()

    @property
    def text(self) -> str:
        return " ".join(text for text in self.texts if text)


def render(home: ReportHouse, now: datetime = NOW) -> Page:
    path = report.write(home.config, now, home.root / "page.html")
    return Page(path.read_text())


def outreach(root: Path, environ: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines", *args],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> ReportHouse:
    """A month of figures, all vendors set up."""
    settings = {}
    for name in catalog.NAMES:
        vendor = catalog.vendor(name)
        needed = [key for key, value in vendor.defaults.items() if value is REQUIRED]
        for key in (*vendor.secrets, *needed):
            settings[f"sources__{name}__{key}"] = "https://x.example" if "url" in key else "x"
    made = ReportHouse(tmp_path_factory.mktemp("report"), **settings)
    runs = [run_row(name) for name in catalog.NAMES if name not in ("vonage", "dialer")]
    runs.append(run_row("vonage", "failed", error="503, three times"))
    runs.append(run_row("dialer", warnings=json.dumps(["3 leads without a number", "more"])))
    before = AS_OF - timedelta(days=2)
    runs.append(run_row("vonage", run_id="before", started_at=before, ended_at=before))
    audit = [
        {
            "test": "inwise_totals",
            "severity": "warn",
            "vendor": "inwise",
            "rows": 4,
            "description": "e-mails that inwise counts and we do not",
        }
    ]
    made.publish(lively(), runs, audit)
    return made


@pytest.fixture(scope="module")
def page(home: ReportHouse) -> Page:
    return render(home)


# --- the figures ---------------------------------------------------------------------------------


def test_the_days_of_each_channel_are_those_of_contact_attempts(
    home: ReportHouse, page: Page
) -> None:
    ways = home.sql(
        "select direction, channel from marts.contact_attempts where occurred_on is not null "
        f"and occurred_on >= date '{TODAY}' - 30 group by all "
        "order by max(direction = 'inbound'), count(*) desc"
    )
    expected = []
    for direction, channel in ways:
        expected.append(["Day", "Attempts", "Reached"])
        for on, made, reached in home.sql(
            "select day::date, count(attempt.vendor), count_if(attempt.reached) "
            f"from generate_series(date '{YESTERDAY}', date '{TODAY}' - 30, interval '-1 day') "
            "as days (day) left join marts.contact_attempts as attempt "
            f"on occurred_on = day and channel = '{channel}' and direction = '{direction}' "
            "group by day order by day desc"
        ):
            expected.append([words.short_day(on), f"{made:,}", f"{reached:,}"])
    assert page.sections["channels"] == expected
    headings = re.findall(r"<article class=\"card\">\s*<h3>(.*?)</h3>", page.source)
    assert headings == [words.channel(channel, direction) for direction, channel in ways]


def test_yesterday_is_held_against_the_same_weekday(home: ReportHouse, page: Page) -> None:
    same = "occurred_on in (" + ", ".join(f"date '{YESTERDAY}' - {n}" for n in (7, 14, 21, 28))
    ((made, reached, usual),) = home.sql(
        f"with sms as (select * from marts.contact_attempts where channel = 'sms' "
        f"and direction = 'outbound'), days as (select count(*) as made from sms where {same}) "
        f"group by occurred_on) select count(*), count_if(reached), "
        f"(select median(made) from days) from sms where occurred_on = date '{YESTERDAY}'"
    )
    below = round(100 * (1 - made / usual))
    assert f"SMS, outbound {made} attempts {100 * reached / made:.0f} % reached" in page.text
    assert f"SMS, outbound: attempts {below} % below usual." in page.text
    assert f"{below} % below usual ({words.count(usual)})" in page.text


def test_attempts_without_a_day_are_told_beside(page: Page) -> None:
    assert (
        "Kore.ai: 37 more attempts of the last 30 days cannot be laid to a day and are not in "
        "these figures (37 of them since yesterday)." in page.text
    )


def test_campaigns_are_those_of_the_marts(home: ReportHouse, page: Page) -> None:
    rows = home.sql(
        "select campaign_name || ' ' || status, vendor, channel, sum(attempts) as made, "
        "sum(delivered) / made, sum(reached) / made, sum(failed + bounced + undelivered) / made "
        "from marts.campaign_daily join marts.campaigns using (vendor, campaign_id) "
        f"where occurred_on >= date '{TODAY}' - 30 group by all order by made desc"
    )
    expected = [
        [name, words.vendor(vendor), words.channel(channel), f"{made:,.0f}"]
        + [f"{100 * rate:.0f} %" for rate in rates]
        for name, vendor, channel, made, *rates in rows
    ]
    told = [[c.replace("\xa0", " ") for c in row] for row in page.sections["campaigns"]]
    assert told[1:-1] == expected
    assert told[-1] == [
        "Kora Completed",
        "Kore.ai",
        "Voice",
        "37 37 without a day",
        "100 %",
        "32 %",
        "0 %",
    ]


def test_emails_queues_and_agents_are_those_of_the_marts(home: ReportHouse, page: Page) -> None:
    emails = home.sql(
        "select campaign_id, sent, bounced, adjusted_unique_opens, unique_clicks, "
        "unique_unsubscribes from marts.email_funnel order by sent desc"
    )
    assert page.sections["emails"][1:] == [[str(value) for value in row] for row in emails]
    (steps,) = home.sql(
        "select sum(sent), sum(delivered), sum(adjusted_unique_opens), sum(unique_clicks) "
        "from marts.email_funnel"
    )
    told = zip(("Sent", "Delivered", "Opened", "Clicked"), steps, strict=True)
    assert ", ".join(f"{step} {value:,}" for step, value in told) in page.text
    queues = home.sql(
        "select queue, days, sum(offered), "
        "sum(answered_within_target) / sum(offered - still_waiting), "
        "sum(abandoned - short_abandons) / sum(offered - still_waiting - short_abandons), "
        "max(longest_wait_seconds) from marts.queue_daily "
        f"join (values (7), (30)) as periods (days) on occurred_on >= date '{TODAY}' - days "
        "group by queue, days order by max(sum(offered)) over (partition by queue) desc, days"
    )
    got = [
        [row[n].replace("\xa0", " ") for n in (0, 1, 2, 3, 4, 6)] for row in _body(page, "queues")
    ]
    assert got == [
        [
            queue,
            f"{days} days",
            f"{offered:,}",
            f"{100 * in_time:.0f} %",
            f"{100 * abandoned:.1f} %",
            words.seconds(longest).replace("\xa0", " "),
        ]
        for queue, days, offered, in_time, abandoned, longest in queues
    ]
    agents = home.sql(
        f"select agent_id, sum(interactions) filter (occurred_on >= date '{TODAY}' - 7), "
        "sum(interactions) as month, sum(handle_seconds) / month from marts.agent_daily "
        "group by agent_id order by month desc"
    )
    assert [[row[n] for n in (0, 2, 3, 5)] for row in _body(page, "agents")] == [
        [agent, str(week), str(month), words.seconds(handling).replace("\xa0", " ")]
        for agent, week, month, handling in agents
    ]


def _body(page: Page, section: str) -> list[list[str]]:
    return [[cell.replace("\xa0", " ") for cell in row] for row in page.sections[section][1:]]


def test_best_hours_colour_only_what_can_be_judged(home: ReportHouse, page: Page) -> None:
    cells = home.sql("select reached_rate_pct, is_sample_large_enough from marts.best_hours")
    sure = [round(rate) for rate, is_sure in cells if is_sure]
    coloured = re.findall(r'<td class="h[0-4]">(\d+)</td>', page.source)
    assert sorted(map(int, coloured)) == sorted(sure)
    assert page.source.count('<td class="few">') == len(cells) - len(sure)
    ((weekday, hour, rate),) = home.sql(
        "select weekday, hour, reached_rate_pct from marts.best_hours where channel = 'voice' "
        "and is_sample_large_enough order by reached_rate_low_pct desc limit 1"
    )
    best = f"{words.WEEKDAYS[weekday - 1]} {hour:02}\u2013{hour + 1:02} ({rate:.0f} %)"
    assert f"Best: {best}" in page.text


def test_people_are_counted(page: Page) -> None:
    assert "9 in the last seven days 23 in any week" in page.text
    assert page.sections["over-contacted"][1:] == [
        ["email, sms, voice", "6", "12"],
        ["sms, voice", "3", "11"],
    ]


def test_the_pipeline_tells_what_is_stale_and_why(page: Page) -> None:
    assert "Vonage is not up to date; the other vendors are." in page.text
    assert "Vonage was last loaded 28 Feb 02:10: its yesterday is not whole." in page.text
    assert page.source.count("Not whole yet.") == 2  # Vonage's two channels
    rows = page.sections["pipeline"]
    assert rows[1] == [
        "Vonage",
        "stale",
        "28 Feb 02:10 53.0 h ago, target 26 h",
        words.NOTHING,
        "0",
        "503, three times",
    ]
    assert ["e-mails that inwise counts and we do not", "warning", "inwise", "4"] in rows
    last = next(row for row in rows if row[0] == "2 Mar 02:00")
    assert last[1:3] == ["2 Mar 02:09", "6,000"]
    assert "Vonage failed 503, three times" in last[3]
    assert "Dialer ok 3 leads without a number (and 1 more)" in last[3]
    assert "Published 2 Mar 02:13 by run run-1; figures as of 2 Mar 02:10" in page.text
    tables = [f"{name}.{t.name}" for name in catalog.NAMES for t in catalog.vendor(name).tables]
    assert [row[0] for row in rows if re.match(r"[a-z]+\.\w", row[0])] == tables


def test_yesterday_is_of_the_configured_zone(tmp_path: Path) -> None:
    home = ReportHouse(tmp_path, marts__timezone="America/New_York")
    day = YESTERDAY - timedelta(days=1)  # in New York it is still 1 March
    home.publish({"contact_attempts": attempts(day, 4, 3) + attempts(YESTERDAY, 9, 9)})
    page = render(home)
    assert "Saturday 28 February 2026" in page.text
    assert "SMS, outbound 4 attempts 75 % reached" in page.text


def test_old_figures_are_told_as_old(home: ReportHouse) -> None:
    page = render(home, NOW + timedelta(days=3))
    assert "These figures are old: they end on 2 Mar 02:10." in page.text


# --- what may be in the file ---------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\u202egnp.exe \u2066 turned",
    "x" * 10_000,
    "{{ 7 * 7 }}",
    "",
    None,
    "</style></svg>\x00\x07",
    "Dana +1 (555) 010-0199",
    "dana.lev@example.com",
    "Sale 2026-02-28 09:00",
]


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    home = ReportHouse(tmp_path)
    marts = lively()
    marts["campaigns"] = [
        {
            "vendor": "avaamo",
            "campaign_id": f"h{n}",
            "campaign_name": text,
            "status": text,
            "is_deleted": False,
        }
        for n, text in enumerate(HOSTILE)
    ]
    day = marts["campaign_daily"][0]
    marts["campaign_daily"] = [
        {**day, "vendor": "avaamo", "campaign_id": f"h{n}", "attempts": 90 - n}
        for n in range(len(HOSTILE))
    ]
    queue, agent = marts["queue_daily"][0], marts["agent_daily"][0]
    marts["queue_daily"] = [{**queue, "queue": text} for text in HOSTILE]
    marts["agent_daily"] = [{**agent, "agent_id": text} for text in HOSTILE]
    calls = marts["contact_attempts"]
    marts["contact_attempts"] = calls + attempts(YESTERDAY, 1, 1, channel=HOSTILE[0])
    told = "; ".join(filter(None, HOSTILE[:3] + HOSTILE[4:]))
    home.publish(marts, [run_row("avaamo", "failed", error=told, warnings=json.dumps([told]))])
    page = render(home)
    assert "<script" not in page.source
    assert "<img" not in page.source
    assert "onerror=alert(1)&gt;" in page.source
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069\x00\x07]", page.source)
    assert "49" not in page.sections["campaigns"][5][0]
    assert "x" * 100 not in page.source
    names = [row[0] for row in page.sections["campaigns"][1:]]
    assert names[0].startswith("<script>alert(1)</script>")
    assert names[5:7] == ["h5", "h6"]
    assert names[10].startswith("Sale 2026-02-28 09:00")
    for planted in ("0199", "dana.lev", "example.com"):
        assert planted not in page.source


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page.source
    links = re.findall(r"(?:src|href|action)\s*=\s*\"([^\"]*)|url\(([^)]*)|@import", page.source)
    assert [link for pair in links for link in pair if link] == ["data:,"]
    assert "<script" not in page.source
    assert page.source.count('role="img"') == page.source.count("<svg") == 7
    assert page.source.count("</desc>") == page.source.count("</title>") - 1 == 7


@pytest.mark.parametrize("table", [None, *queries.NEEDS])
def test_a_missing_mart_is_told_and_the_rest_is_there(tmp_path: Path, table: str | None) -> None:
    home = ReportHouse(tmp_path)
    marts: dict[str, Any] = dict.fromkeys(queries.NEEDS, None)
    if table:
        marts = {**lively(), table: None}
    home.publish(marts)
    page = render(home)
    missing = [table] if table else sorted(queries.NEEDS)
    assert f"Not in this warehouse: {', '.join(missing)}." in page.text
    assert ("Spring renewal" in page.text) == (
        table not in (None, "campaigns", "campaign_daily", "contact_attempts")
    )


def test_an_empty_warehouse_says_what_is_not_there(tmp_path: Path) -> None:
    home = ReportHouse(tmp_path)
    home.publish()
    text = render(home).text
    for told in (
        "No attempt of a known day in the last 30 days.",
        "No campaign was active in the last 30 days.",
        "No e-mail was sent in the last 30 days.",
        "Nobody waited in a queue in the last 30 days.",
        "No agent was connected in the last 30 days.",
        "No outbound attempt with a known time yet.",
        "0 in the last seven days",
        "The last audit found nothing.",
        "No run is recorded.",
        "Avaamo has never been loaded.",
    ):
        assert told in text


def test_more_campaigns_than_the_page_shows(tmp_path: Path) -> None:
    home = ReportHouse(tmp_path)
    marts = lively()
    day = marts["campaign_daily"][0]
    marts["campaign_daily"] = [{**day, "campaign_id": f"many {n}"} for n in range(40)]
    home.publish(marts)
    page = render(home)
    assert len(page.sections["campaigns"]) == CAMPAIGNS + 1
    assert f"The {CAMPAIGNS} largest; 16 more are in the warehouse." in page.text


# --- the command ---------------------------------------------------------------------------------


def test_the_command_writes_where_it_is_told(tmp_path: Path) -> None:
    home = ReportHouse(tmp_path)
    none = outreach(tmp_path, home.environ, "report")
    assert none.returncode == 2
    assert "there is no warehouse at" in none.stderr
    home.publish(lively())
    beside, set_up = tmp_path / "report.html", tmp_path / "set.html"
    for environ, arguments, path in (
        ({}, [], beside),
        ({"MARTS__REPORT": "set.html"}, [], set_up),
        ({}, ["--out", "out.html"], tmp_path / "out.html"),
    ):
        done = outreach(tmp_path, {**home.environ, **environ}, "report", *arguments)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"report: {path}\n"
        assert path.read_text().rstrip().endswith("</html>")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("no/page.html", "there is no folder"),
        (".", "is a folder"),
        ("warehouse.duckdb", "is a file but no HTML page"),
    ],
)
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, out: str, told: str) -> None:
    home = ReportHouse(tmp_path)
    home.publish()
    done = outreach(tmp_path, home.environ, "report", "--out", out)
    assert done.returncode == 2
    assert done.stderr.startswith("outreach: --out")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_page_that_fails_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = ReportHouse(tmp_path)
    home.publish()
    path = report.write(home.config, NOW)
    before = path.read_text()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(OSError, match="No space"):
        report.write(home.config, NOW)
    assert path.read_text() == before
    assert len(list(tmp_path.glob("*.html*")) + list(tmp_path.glob(".*html*"))) == 1


def test_commands_that_look_import_nothing_heavy(tmp_path: Path) -> None:
    home = ReportHouse(tmp_path)
    home.publish()
    script = (
        "import sys, pipelines.__main__ as main\n"
        "try: main.app(sys.argv[1:], standalone_mode=False)\n"
        "except BaseException: pass\n"
        "heavy = ('dlt', 'dbt', 'pyarrow', 'pygal', 'jinja2', 'jwt', 'pyrate_limiter')\n"
        "print('\\nIMPORTED', [m for m in heavy if m in sys.modules])"
    )
    for command in ("--help", "status"):
        done = subprocess.run(
            [sys.executable, "-c", script, command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(PROJECT), **home.environ},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.endswith("IMPORTED []\n")


# --- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Tab]:
    if not chromium.PROGRAM:
        pytest.skip("there is no chromium on this machine: the page is not looked at")
    with chromium.tab(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 768, 1280, 1920])
def test_the_page_fits_and_asks_for_nothing(
    home: ReportHouse, page: Page, tab: chromium.Tab, width: int, dark: bool
) -> None:
    path = home.root / "looked-at.html"
    path.write_text(page.source)
    tab.open(path, width, dark=dark)
    assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.value("innerWidth") == width
    assert tab.value("document.title").startswith("Outreach, Sunday 1 March 2026")
    background = tab.value("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 24, 28)" if dark else "rgb(251, 250, 247)")
    bars = "document.querySelector('svg .color-0 rect')"
    assert tab.value(f"getComputedStyle({bars}).fill") != "rgb(0, 0, 0)"
    assert tab.complaints() == []
    assert [url for url in tab.requests() if not url.startswith(("file:", "data:"))] == []
    assert json.loads(tab.value(f"JSON.stringify(({CONTRASTS})())")) == []


# Texts of which the colour stands out too little from what is behind them (WCAG AA: 4.5).
CONTRASTS = """() => {
  const parts = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => parts(c).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (parts(c).length < 4 || parts(c)[3] > 0) return c;
    }
    return 'rgb(255, 255, 255)';
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const weak = [];
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || e.closest('svg')) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) weak.push([e.className, walker.currentNode.data.trim(), ratio]);
  }
  return weak;
}"""


# --- over the real marts -------------------------------------------------------------------------


def test_the_real_marts_have_what_the_page_asks(house: Callable[..., House]) -> None:
    fakes = [CASES[name].fake() for name in catalog.NAMES]
    try:
        for fake in fakes:
            fake.__enter__()
            fake.seed(200)
        home = house(*fakes)
        assert home.run(marts=True) == 0
        made = Page(report.write(home.config, datetime.now(UTC)).read_text())
    finally:
        for fake in fakes:
            fake.__exit__(None, None, None)
    assert "Not in this warehouse" not in made.text
    assert "All 5 vendors are up to date." in made.text
    people = home.sql(
        "select distinct x from (select phone as x from marts.contacts union all "
        "select email from marts.contacts union all select phone_number from "
        "koreai.campaign_contacts) where length(x) > 6"
    )
    assert [person for (person,) in people if person in made.source] == []
