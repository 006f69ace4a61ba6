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

from pipelines import catalog, warehouse
from pipelines.show import print_table
from tests.cases import CASES
from tests.fakes._server import Fake

FOLDER = Path("demo")
WAREHOUSE = FOLDER / "warehouse.duckdb"
ROWS = 600

QUESTIONS = {
    "How many attempts did we make on each channel, and on how many days?": """
        with attempts as (
            select 'vonage' as vendor, lower(medium) as channel, start as happened_at
            from vonage.interactions
            union all
            select 'avaamo', delivery_channel, created_at from avaamo.campaign_insights
            union all
            select 'inwise', 'email', date_sent from inwise.sent_emails
            union all
            select 'dialer', 'voice', "timestamp" from dialer.lead_history
        )
        select vendor, channel, count(*) as attempts, count(distinct happened_at::date) as days,
            min(happened_at)::date as first_day,
            max(happened_at)::date as last_day
        from attempts group by all order by attempts desc
    """,
    "Which numbers do several systems contact?": """
        with touches as (
            select 'avaamo' as vendor, to_phone as phone from avaamo.campaign_insights
            union all
            select 'koreai', phone_number from koreai.campaign_contacts
            where _dlt_valid_to is null
            union all
            select 'dialer', number from dialer.leads where _dlt_valid_to is null
            union all
            select 'vonage', connect_from from vonage.interactions
        ), people as (
            select right(regexp_replace(phone, '[^0-9]', '', 'g'), 10) as digits, vendor
            from touches where length(phone) >= 7
        ), each as (
            select digits, count(distinct vendor) as systems, count(*) as touches
            from people group by digits
        )
        select systems, count(*) as people, sum(touches)::bigint as touches
        from each group by systems order by systems desc
    """,
    "How do the campaigns of all systems do?": """
        with results as (
            select 'avaamo' as vendor, campaign__name as campaign,
                delivery_status in ('delivered', 'sent') as good
            from avaamo.campaign_insights
            union all
            select 'koreai', c.name, k.dialer_outcome = 'completed'
            from koreai.campaign_contacts k
            join koreai.campaigns c on c.id = k.campaign_id and c._dlt_valid_to is null
            where k._dlt_valid_to is null
            union all
            select 'dialer', c.name, l.status = 'success'
            from dialer.leads l join dialer.campaigns c on c.id = l.campaign_id
            where l._dlt_valid_to is null
            union all
            select 'inwise', e.campaign_id, a.id is not null
            from inwise.sent_emails e
            left join (
                select contact_id, campaign_id, min(id) as id from inwise.activities
                where action_type = 'emailOpened' group by all
            ) a using (contact_id, campaign_id)
        )
        select vendor, campaign, count(*) as people,
            round(100 * avg(good::int), 1) as success_pct
        from results group by all order by people desc limit 12
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
    print(f"\nLook further: any DuckDB client opens {WAREHOUSE}")
    return max(first, second)


def _settings(fakes: list[Fake]) -> dict[str, str]:
    return {
        f"SOURCES__{fake.vendor}__{key}".upper(): str(value)
        for fake in fakes
        for key, value in fake.settings().items()
    }


def _outreach(environ: dict[str, str]) -> int:
    command = [sys.executable, "-m", "pipelines", "run"]
    return subprocess.run(command, cwd=FOLDER, env=environ, check=False).returncode


def _counts() -> dict[str, int]:
    tables = {name: [(t.name, None) for t in catalog.vendor(name).tables] for name in catalog.NAMES}
    with warehouse.reading(WAREHOUSE) as connection:
        found = warehouse.freshness(connection, tables)
    return {f"{row['vendor']}.{row['table']}": row["rows"] for row in found}


if __name__ == "__main__":
    raise SystemExit(main())
