"""`make demo`: the real pipeline against the five fake vendors, no account needed.

Serves the fakes, runs `outreach run` twice with changes in between, and prints what was loaded and
the answers to three questions that no vendor alone can answer.
"""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from pipelines import catalog, records, warehouse
from pipelines.show import print_table
from tests.cases import CASES
from tests.fakes._server import Fake

FOLDER = Path("demo")
WAREHOUSE = FOLDER / "warehouse.duckdb"
ROWS = 600

QUESTIONS = {
    "What did we do on each channel, and whom did we reach?": """
        select channel, direction, count(*) as attempts,
            count(*) filter (where reached) as reached,
            round(100 * avg(reached::int), 1) as reached_pct,
            count(distinct vendor) as systems, max(occurred_on) as last_day
        from marts.contact_attempts where direction <> 'internal'
        group by all order by attempts desc
    """,
    "How many people do several systems contact, and how many too often?": """
        select len(string_split(vendors, ',')) as systems, count(*) as people,
            sum(attempts)::bigint as attempts, count(o.contact_key) as over_the_weekly_ceiling
        from marts.contacts c left join marts.over_contacted o using (contact_key)
        group by systems order by systems desc
    """,
    "How do the campaigns of all systems do?": """
        select vendor, campaign_name, channel, sum(attempts)::bigint as attempts,
            round(100 * sum(reached) / sum(attempts), 1) as reached_pct,
            round(100 * sum(failed + bounced + undelivered) / sum(attempts), 1) as failed_pct
        from marts.campaign_daily group by all order by attempts desc limit 12
    """,
}


def main() -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with ExitStack() as stack:
        fakes = [stack.enter_context(CASES[name].fake()) for name in catalog.NAMES]
        for fake in fakes:
            fake.seed(ROWS)
        environ = os.environ | _settings(fakes)
        print("The first night: everything the vendors still hold.")
        first = _outreach(environ)
        before = _counts()
        for fake in fakes:
            fake.change()
        print("\nThe second night: what changed since.")
        second = _outreach(environ)
    print("\nThe warehouse:")
    after = _counts()
    print_table(
        ["table", "rows", "new in the second night"],
        [[name, rows, rows - before[name]] for name, rows in after.items()],
    )
    for question, sql in QUESTIONS.items():
        print(f"\n{question}")
        with warehouse.reading(WAREHOUSE) as connection:
            answer = connection.execute(sql)
            headings = [column[0] for column in answer.description or []]
            print_table(headings, [list(row) for row in answer.fetchall()])
    print(f"\nFor a manager: open {FOLDER / 'report.html'} in a browser")
    print(f"Look further: any DuckDB client opens {WAREHOUSE}")
    return max(first, second)


def _settings(fakes: list[Fake]) -> dict[str, str]:
    settings = {"MARTS__REPORT": "report.html"}
    for fake in fakes:
        for key, value in (fake.settings() | {"default_region": "US"}).items():
            settings[f"SOURCES__{fake.vendor}__{key}".upper()] = str(value)
    return settings


def _outreach(environ: dict[str, str]) -> int:
    command = [sys.executable, "-m", "pipelines", "run"]
    return subprocess.run(command, cwd=FOLDER, env=environ, check=False).returncode


def _counts() -> dict[str, int]:
    tables = {name: [(t.name, None) for t in catalog.vendor(name).tables] for name in catalog.NAMES}
    with warehouse.reading(WAREHOUSE) as connection:
        found = records.freshness(connection, tables)
    return {f"{row['vendor']}.{row['table']}": row["rows"] for row in found}


if __name__ == "__main__":
    raise SystemExit(main())
