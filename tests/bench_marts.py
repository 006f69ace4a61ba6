"""The marts' share of a night on a large warehouse against an empty one, each with its changes.

`python -m tests.bench_marts [MILLIONS]` fills raw tables by SQL with that many million interactions
and insights and five times as many e-mail events, builds the marts once, and then times the night
after 1,000 interactions, 1,000 insights and 5,000 e-mail events have changed (half of them new):
the median of three, each on a copy, small and large in turn.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from operator import attrgetter
from pathlib import Path

from pipelines.show import print_table
from tests.bench import Measured
from tests.mart_house import NOW, MartHouse

CHANGED = 1_000
NIGHTS = 3
INTERACTIONS = """
insert into vonage.interactions by name
select
    'i' || n as guid, 'c' || n as conversation_guid, 'Completed' as status,
    timestamptz '2026-03-01 12:00:00Z' - to_seconds(n % 7000000) as start,
    'Phone' as medium, 'VCC' as medium_manager, 'Inbound' as direction,
    'Handled by agent' as outcome, '+1555' || lpad((n % 500000)::varchar, 7, '0') as connect_from,
    64000 as duration, 47000 as handle_time, 44000 as talk_time, '{load}' as _dlt_load_id
from range({first}, {last}) as numbers(n)
"""
CHANNELS = """
insert into vonage.interactions__channels by name
select
    'i' || n as interaction_guid, position, 'c' || n || position as guid,
    if(position = 1, 'a' || n % 300, null) as party__id,
    if(position = 1, 'Agent', 'External') as party__role, 'Released' as end_reason,
    position * 9000 as "offset", 54000 as duration, '{load}' as _dlt_load_id
from range({first}, {last}) as numbers(n), range(2) as channels(position)
"""
EVENTS = """
insert into vonage.interactions__channels__events by name
select
    'i' || n as interaction_guid, channel_position, position, type, "offset", duration, properties,
    '{load}' as _dlt_load_id
from range({first}, {last}) as numbers(n), (values
    (0, 0, 'Ringing', 0, 0, null), (0, 1, 'Connected', 0, 62000, null),
    (0, 2, 'InteractionPlan', 600, 62000, '{{"reportingGroup":"Gp 2"}}'),
    (0, 3, 'Queue', 8600, 8300, '{{"presentedSkills":["Billing"],"virtualQueues":["Billing Queue"],'
        '"targets":[{{"virtualQueue":"Billing Queue","targetTimeToAnswer":30000}}],'
        '"result":"Delivered"}}'),
    (1, 0, 'Ringing', 9600, 7300, null), (1, 1, 'Connected', 17000, 44000, null),
    (1, 2, 'Wrap', 61000, 3500, null),
    (1, 3, 'Disposition', 61000, 0, '{{"disposition":"CallBack"}}')
) as events(channel_position, position, type, "offset", duration, properties)
"""
INSIGHTS = """
insert into avaamo.campaign_insights by name
select
    'm' || n as id, timestamptz '2026-03-01 12:00:00Z' - to_seconds(n % 7000000) as created_at,
    'r' || n as recipient_uuid, if(n % 9 = 0, 'failed', 'delivered') as delivery_status,
    'sms' as delivery_channel, 'k' || n % 200 as campaign__id,
    'Campaign ' || n % 200 as campaign__name,
    '+1555' || lpad((n % 500000)::varchar, 7, '0') as to_phone, '{load}' as _dlt_load_id
from range({first}, {last}) as numbers(n)
"""
SENT = """
insert into inwise.sent_emails by name
select
    't' || n as transaction_id, (n % 400000)::varchar as contact_id,
    (n % 100)::varchar as campaign_id,
    timestamptz '2026-03-01 12:00:00Z' - to_minutes(n % 100000) as date_sent,
    'p' || n % 400000 || '@example.com' as email, '{load}' as _dlt_load_id
from range({first} * 2, {last} * 2) as numbers(n)
"""
ACTIVITIES = """
insert into inwise.activities by name
select
    'a' || n as id, if(n % 5 = 0, 'emailClicked', 'emailOpened') as action_type,
    (n % 400000)::varchar as contact_id, (n % 100)::varchar as campaign_id,
    timestamptz '2026-03-01 13:00:00Z' - to_minutes(n % 100000) as action_date,
    '{load}' as _dlt_load_id
from range({first} * 3, {last} * 3) as numbers(n)
"""
KEYS = {
    "vonage.interactions": "guid",
    "vonage.interactions__channels": "interaction_guid",
    "vonage.interactions__channels__events": "interaction_guid",
    "avaamo.campaign_insights": "id",
    "inwise.sent_emails": "transaction_id",
    "inwise.activities": "id",
}


def fill(house: MartHouse, first: int, last: int) -> None:
    """Rows [first, last) of each kind, as one load; those that were there are replaced."""
    house.load += 1
    with house.open() as connection:
        connection.execute("set memory_limit = '2GB'")
        for vendor in ("vonage", "avaamo", "inwise"):
            connection.execute(f"insert into {vendor}._dlt_loads values ('{house.load}.0')")
        queries = (INTERACTIONS, CHANNELS, EVENTS, INSIGHTS, SENT, ACTIVITIES)
        for (table, key), query in zip(KEYS.items(), queries, strict=True):
            rows = query.format(first=first, last=last, load=f"{house.load}.0")
            connection.execute(f"create or replace temp table fresh as from {table} limit 0")
            connection.execute(rows.replace(f"insert into {table}", "insert into fresh"))
            connection.execute(f"delete from {table} where {key} in (select {key} from fresh)")
            connection.execute(f"insert into {table} by name select * from fresh")


def night(folder: Path, now: datetime) -> Measured:
    """A build of the marts in a process of its own, as a run does it after its loads."""
    command = [sys.executable, "-m", "tests.bench_marts", "--build", str(folder), now.isoformat()]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stderr}")
    seconds, (peak_mb, cpu) = time.monotonic() - started, json.loads(done.stdout)
    return Measured(seconds, peak_mb, cpu)


def build(folder: Path, now: datetime) -> None:
    """Prints the peak of its own memory: what the parent sees of a child includes the parent's."""
    MartHouse(folder).build(now)
    status = Path("/proc/self/status").read_text()
    [peak_kb] = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps([int(peak_kb) / 1024, time.process_time()]))


def first_build(folder: Path, rows: int) -> Measured:
    fill(MartHouse(folder), 0, rows)
    return night(folder, NOW)


def next_night(built: Path, rows: int, changed: int) -> Measured:
    """The night after so many changes of each kind, half of them new, on a copy."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(built, Path(folder) / "copy"))
        house = MartHouse(copy)
        house.load += 1  # that of the first build
        fill(house, max(0, rows - changed // 2), max(changed, rows + changed // 2))
        return night(copy, NOW + timedelta(days=1))


def middle(measured: list[Measured]) -> Measured:
    return sorted(measured, key=attrgetter("seconds"))[len(measured) // 2]


def main() -> None:
    if sys.argv[1:2] == ["--build"]:
        build(Path(sys.argv[2]), datetime.fromisoformat(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(prog="python -m tests.bench_marts", description=__doc__)
    parser.add_argument("millions", type=float, nargs="?", default=1.0)
    parser.add_argument("--changed", type=int, default=CHANGED)
    asked = parser.parse_args()
    measure(asked.millions, asked.changed)


def measure(millions: float, changed: int) -> None:
    rows = int(millions * 1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        first_build(small, 0)
        first = first_build(large, rows)
        pairs = [
            (next_night(small, 0, changed), next_night(large, rows, changed)) for _ in range(NIGHTS)
        ]
    on_small, on_large = (middle(list(nights)) for nights in zip(*pairs, strict=True))
    told = f"{millions:g} million interactions, as many insights, five times as many e-mail events"
    ratio = f"{on_large.seconds / on_small.seconds:.1f} times"
    print_table(
        ["marts and audit, whole processes", "seconds", "CPU seconds", "peak MB", "ratio"],
        [
            [f"first build of {told}", *figures(first), None],
            [
                f"a night with {changed:,} changes of each, empty warehouse",
                *figures(on_small),
                None,
            ],
            [f"the same on one of {told}", *figures(on_large), ratio],
        ],
    )


def figures(measured: Measured) -> list[object]:
    return [round(measured.seconds, 1), round(measured.cpu, 1), round(measured.peak_mb)]


if __name__ == "__main__":
    main()
