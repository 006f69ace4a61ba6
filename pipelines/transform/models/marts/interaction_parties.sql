{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook="{{ forget_changed_interactions() }}"
) }}

-- Connected for no time is not connected.
with told as (
    select
        interaction_id,
        channel_position,
        min(coalesce(after_ms, 0)) filter (
            event = 'connected' and (duration_ms > 0 or duration_ms is null)
        ) as connected_after_ms,
        sum(duration_ms) filter (event = 'connected') as connected_ms,
        sum(duration_ms) filter (event = 'wrap') as wrap_ms,
        sum(duration_ms) filter (event = 'held' and is_pause) as pause_ms,
        sum(duration_ms) filter (event = 'held' and not is_pause) as hold_ms,
        arg_max(detail, moment) filter (event = 'disposition') as disposition,
        arg_max(detail, moment) filter (
            event = 'callrating' and detail in ('1', '2', '3', '4', '5')
        ) as rating
    from {{ ref('stg_vonage__events') }}
    where event in ('connected', 'wrap', 'held', 'disposition', 'callrating')
    group by all
)

select
    channels.interaction_guid as interaction_id,
    channels.position as channel_position,
    nullif(trim(channels.party__id), '') as party_id,
    lower(trim(channels.party__role)) as role,
    nullif(trim(channels.end_reason), '') as end_reason,
    told.connected_after_ms is not null as is_connected,
    told.disposition,
    told.rating::integer as rating,
    channels."offset" / 1000.0 as started_after_seconds,
    told.connected_after_ms / 1000.0 as connected_after_seconds,
    coalesce(told.connected_ms, 0) / 1000.0 as connected_seconds,
    coalesce(told.hold_ms, 0) / 1000.0 as hold_seconds,
    coalesce(told.pause_ms, 0) / 1000.0 as pause_seconds,
    coalesce(told.wrap_ms, 0) / 1000.0 as wrap_seconds,
    coalesce(
        channels.handle_time,
        -- a pause can be over where the connection goes on, and has no duration yet
        greatest(
            0,
            coalesce(told.connected_ms, 0) + coalesce(told.wrap_ms, 0) - coalesce(told.pause_ms, 0)
        )
    ) / 1000.0 as handle_seconds
from {{ source('vonage', 'interactions__channels') }} as channels
left join told
    on told.interaction_id = channels.interaction_guid
    and told.channel_position = channels.position
where channels._dlt_load_id > {{ since('vonage') }}
