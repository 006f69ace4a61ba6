-- An event is as many visits as it has queues: once each is enough here, the key tells of doubles.
with both_sides as (
    select
        'leg' as part,
        interaction_guid as interaction_id,
        position as channel_position,
        null as event_position,
        1 as raw_rows,
        0 as mart_rows
    from {{ source('vonage', 'interactions__channels') }}
    where lower(trim(party__role)) = 'agent'
    union all
    select 'leg', interaction_id, channel_position, null, 0, 1
    from {{ ref('agent_legs') }}
    union all
    select 'visit', interaction_guid, channel_position, position, 1, 0
    from {{ source('vonage', 'interactions__channels__events') }}
    where lower(trim(type)) in ('queue', 'agentqueue')
    union all
    select distinct 'visit', interaction_id, channel_position, event_position, 0, 1
    from {{ ref('queue_visits') }}
),

unequal as (
    select
        'vonage' as vendor,
        part,
        interaction_id,
        channel_position,
        event_position,
        sum(raw_rows) as raw_rows,
        sum(mart_rows) as mart_rows
    from both_sides
    group by all
    having sum(raw_rows) <> sum(mart_rows)
)

select *
from unequal
