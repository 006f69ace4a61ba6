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
-- A hold stands on the channel of the party that waits, and names the agent who began it: it is of
-- the agent's row that had begun last. Two parties in one hold wait at the same time: the longest
-- counts.
with agents as (
    select
        *,
        (coalesce(started_after_seconds, 0) * 1000)::hugeint * 1000000 + channel_position as began
    from {{ ref('interaction_parties') }}
    where role = 'agent' {{ of_changed }}
),

held as (
    select
        interaction_id,
        channel_position as held_position,
        position,
        duration_ms,
        coalesce(after_ms, 0) * 1000000::hugeint + 999999 as moment,
        properties ->> 'initiatingAgentId' as agent_id
    from {{ ref('stg_vonage__events') }}
    where event = 'held' and not is_pause
),

owned as (
    select
        held.interaction_id,
        held.held_position,
        held.duration_ms,
        coalesce(
            max(agents.began) filter (agents.began <= held.moment), min(agents.began)
        ) as began
    from held
    join agents
        on agents.interaction_id = held.interaction_id and agents.party_id = held.agent_id
    group by held.interaction_id, held.held_position, held.position, held.duration_ms
),

holds_of_channels as (
    select interaction_id, began, held_position, sum(duration_ms) / 1000.0 as hold_seconds
    from owned
    group by all
),

holds as (
    select interaction_id, began, max(hold_seconds) as hold_seconds
    from holds_of_channels
    group by all
),

times as (
    select
        agents.* exclude (hold_seconds),
        greatest(agents.hold_seconds, coalesce(holds.hold_seconds, 0)) as hold_seconds
    from agents
    left join holds using (interaction_id, began)
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
