-- Millions of rows: their number and a fingerprint of their keys on either side, not the rows.
with parts as (
    select 'party' as part, true as is_raw, hash(interaction_guid, position) as key
    from {{ source('vonage', 'interactions__channels') }}
    union all
    select 'party', false, hash(interaction_id, channel_position)
    from {{ ref('interaction_parties') }}
    union all
    select 'leg', true, hash(interaction_guid, position)
    from {{ source('vonage', 'interactions__channels') }}
    where lower(trim(party__role)) = 'agent'
    union all
    select 'leg', false, hash(interaction_id, channel_position)
    from {{ ref('agent_legs') }}
    union all
    select 'queue event', true, hash(interaction_guid, channel_position, position)
    from {{ source('vonage', 'interactions__channels__events') }}
    where lower(trim(type)) in ('queue', 'agentqueue')
    union all
    select 'queue event', false, hash(interaction_id, channel_position, event_position)
    from {{ ref('queue_visits') }}
    where is_first_of_event
)

select
    'vonage' as vendor,
    part,
    count(*) filter (where is_raw) as raw_rows,
    count(*) filter (where not is_raw) as mart_rows
from parts
group by part
having raw_rows <> mart_rows or bit_xor(key) <> 0
