{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook="{{ forget_changed_interactions() }}"
) }}

{% set of_changed -%}
{%- if is_incremental() -%}
and interaction_id in (
        select guid from {{ source('vonage', 'interactions') }}
        where _dlt_load_id > {{ since('vonage') }}
    )
{%- endif -%}
{%- endset %}
-- A hold stands on the channel of the party that waits, and names the agent who began it. Two
-- parties in one hold wait at the same time: the longest counts.
with holds_of_channels as (
    select
        interaction_id,
        properties ->> 'initiatingAgentId' as agent_id,
        channel_position,
        sum(duration_ms) / 1000.0 as hold_seconds
    from {{ ref('stg_vonage__events') }}
    where event = 'held' and not is_pause
    group by all
),

holds as (
    select interaction_id, agent_id, max(hold_seconds) as hold_seconds
    from holds_of_channels
    where agent_id is not null
    group by all
),

agents as (
    select
        *,
        min(channel_position) over (partition by interaction_id, party_id) as first_position
    from {{ ref('interaction_parties') }}
    where role = 'agent' {{ of_changed }}
),

times as (
    select
        agents.* exclude (hold_seconds),
        greatest(agents.hold_seconds, coalesce(holds.hold_seconds, 0)) as hold_seconds
    from agents
    left join holds
        on holds.interaction_id = agents.interaction_id
        and holds.agent_id = agents.party_id
        and agents.channel_position = agents.first_position
),

dated as (
    select
        times.*,
        try(interactions.start + to_microseconds((started_after_seconds * 1000000)::bigint))
            as started_at
    from times
    join {{ source('vonage', 'interactions') }} as interactions
        on interactions.guid = times.interaction_id
)

select
    interaction_id,
    channel_position,
    started_at,
    {{ local_day('started_at') }} as started_on,
    party_id as agent_id,
    is_connected,
    disposition,
    rating,
    connected_after_seconds,
    round(greatest(0, connected_seconds - hold_seconds - pause_seconds), 3) as talk_seconds,
    hold_seconds,
    wrap_seconds,
    handle_seconds
from dated
