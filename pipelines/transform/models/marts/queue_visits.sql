{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook="{{ forget_changed_interactions() }}"
) }}

-- One event is a visit to each virtual queue in it; where it names none, to the queue it is named
-- by. An unknown way out is another exit, and so is one that is not told once the wait is over.
with queuing as (
    select
        *,
        list_sort(list_distinct(json_extract_string(properties, '$.virtualQueues[*]'))) as queues,
        json_transform(
            properties -> 'targets', '[{"virtualQueue":"VARCHAR","targetTimeToAnswer":"VARCHAR"}]'
        ) as targets
    from {{ ref('stg_vonage__events') }}
    where event in ('queue', 'agentqueue')
),

visits as (
    select *, unnest(if(len(queues) > 0, queues, [name])) as queue
    from queuing
),

visits_in_seconds as (
    select
        visits.*,
        try(interactions.started_at + to_milliseconds(after_ms)) as entered_at,
        lower(trim(detail)) as result_word,
        duration_ms / 1000.0 as wait_seconds,
        coalesce(
            try_cast(
                list_filter(targets, lambda target: target.virtualQueue = queue)[1]
                    .targetTimeToAnswer as double
            ) / 1000,
            {{ var('service_level_seconds') }}
        ) as target_seconds
    from visits
    join {{ ref('stg_vonage__interactions') }} as interactions using (interaction_id)
)

select
    interaction_id,
    row_number() over (partition by interaction_id order by moment, queue) as visit,
    entered_at,
    {{ local_day('entered_at') }} as entered_on,
    queue,
    if(event = 'queue', 'person', 'agent') as queued_party,
    detail as result,
    channel_position,
    position as event_position,
    wait_seconds,
    target_seconds,
    coalesce(result_word = 'delivered', false) as is_answered,
    coalesce(result_word = 'hangup', false) as is_abandoned,
    coalesce(result_word = 'hangup' and wait_seconds < {{ var('short_abandon_seconds') }}, false)
        as is_short_abandon,
    coalesce(result_word = 'delivered' and wait_seconds <= target_seconds, false)
        as is_within_target,
    coalesce(result_word not in ('delivered', 'hangup'), wait_seconds is not null) as is_other_exit
from visits_in_seconds
