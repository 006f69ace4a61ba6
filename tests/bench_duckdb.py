"""What `tests.bench` compares with: DuckDB's own `read_json` and `unnest` of the same interactions,
with all fields known beforehand, from a file that is there already: no request, no merge, no state.

`python tests/bench_duckdb.py write FILE COUNT` makes the file, `... read FILE` loads it.
"""

import sys
from pathlib import Path

import duckdb

EVENT = 'struct(type varchar, name varchar, "offset" bigint, duration bigint, properties json)'
PARTY = "struct(id varchar, role varchar, touchpoint varchar, touchpointKey varchar)"
CHANNEL = (
    f'struct(guid varchar, party {PARTY}, endReason varchar, integrationType varchar, "offset" '
    f"bigint, duration bigint, handleTime bigint, events {EVENT}[])"
)
PLAN = (
    "struct(addressName varchar, mappingName varchar, interactionPlanName varchar, "
    "reportingGroup varchar)"
)
TEXTS = [
    "guid",
    "conversationGuid",
    "status",
    "medium",
    "mediumManager",
    "direction",
    "serviceName",
    "connectTo",
    "connectToKey",
    "connectFrom",
    "connectFromKey",
    "outcome",
]
COLUMNS = {
    **dict.fromkeys(TEXTS, "varchar"),
    **dict.fromkeys(("start", "categorizedAt"), "timestamptz"),
    **dict.fromkeys(("duration", "handleTime", "talkTime"), "bigint"),
    "interactionPlanMapping": PLAN,
    "channels": f"{CHANNEL}[]",
}
LOAD = """
create temp table replies as from read_json(
    $file, format = 'newline_delimited', columns = $columns
);
create table interactions as select * exclude (channels) from replies;
create temp table nested as select guid as interaction_guid, unnest(channels) as channel,
    generate_subscripts(channels, 1) - 1 as position from replies;
create table channels as
    select interaction_guid, position, channel.* exclude (events) from nested;
create table events as select interaction_guid, channel_position, position, event.*
from (select interaction_guid, position as channel_position, unnest(channel.events) as event,
    generate_subscripts(channel.events, 1) - 1 as position from nested);
"""


def write(file: Path, count: int) -> None:
    import orjson

    from tests.fakes.vonage import VonageFake

    fake = VonageFake()
    fake.seed(count)
    with file.open("wb") as out:
        for row in fake.interactions.values():
            out.write(orjson.dumps(row.body) + b"\n")


def read(file: Path) -> None:
    with duckdb.connect("loaded.duckdb") as connection:
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items())
        query = LOAD.replace("$file", f"'{file}'").replace("$columns", f"{{{columns}}}")
        connection.execute(query)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        read(Path(sys.argv[2]))
