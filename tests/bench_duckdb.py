"""What `tests.bench` compares with: DuckDB's own `read_json` and `unnest` of the same interactions,
with all fields known beforehand, from a file that is there already: no request, no merge, no state.

`python tests/bench_duckdb.py write FOLDER COUNT` makes two files there: `replies`, the bytes that
come from the vendor, and `rows`, taken out of them beforehand. `... read FILE` loads one.
"""

import sys
from pathlib import Path

import duckdb

PAGE = 1000  # interactions of a reply, as a run asks for them
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
READ = (
    "create temp table $name as from read_json($file, format = 'newline_delimited', columns = $of)"
)
TAKE_OUT = "create temp table rows as select unnest(items, max_depth := 2) from replies"
LOAD = """
create table interactions as select * exclude (channels) from rows;
create temp table nested as select guid as interaction_guid, unnest(channels) as channel,
    generate_subscripts(channels, 1) - 1 as position from rows;
create table channels as
    select interaction_guid, position, channel.* exclude (events) from nested;
create table events as select interaction_guid, channel_position, position, event.*
from (select interaction_guid, position as channel_position, unnest(channel.events) as event,
    generate_subscripts(channel.events, 1) - 1 as position from nested);
"""


def write(folder: Path, count: int) -> None:
    import orjson

    from tests.fakes.vonage import VonageFake

    fake = VonageFake()
    fake.seed(count)
    rows = [row.body for row in fake.interactions.values()]
    replies = [{"items": rows[n : n + PAGE]} for n in range(0, count, PAGE)]
    for name, lines in {"rows": rows, "replies": replies}.items():
        (folder / name).write_bytes(b"\n".join(map(orjson.dumps, lines)))


def read(file: Path) -> None:
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items())
    if file.name == "replies":
        fields = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
        columns = f"items: 'struct({fields})[]'"
    query = READ.replace("$name", file.name).replace("$file", f"'{file}'")
    with duckdb.connect("loaded.duckdb") as connection:
        connection.execute(query.replace("$of", f"{{{columns}}}"))
        if file.name == "replies":
            connection.execute(TAKE_OUT)
        connection.execute(LOAD)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        read(Path(sys.argv[2]))
