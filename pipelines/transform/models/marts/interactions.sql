{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='interaction_id'
) }}

{% set of_changed -%}
{%- if is_incremental() -%}
where interaction_id in (
        select guid from {{ source('vonage', 'interactions') }}
        where _dlt_load_id > {{ since('vonage') }}
    )
{%- endif -%}
{%- endset %}
-- An agent connected is an answer where the person called us. Where we called, or within the house,
-- the agent waits connected for the other to pick up: then two parties must be.
with rows_of_interactions as (
    select
        interaction_id,
        'party' as event,
        channel_position,
        (coalesce(connected_after_seconds, 0) * 1000)::hugeint * 1000000000000
        + channel_position * 1000000 as moment,
        null as detail,
        null as skill,
        null as queue,
        0 as duration_ms,
        party_id,
        role,
        end_reason,
        is_connected,
        connected_seconds - pause_seconds as connected_seconds,
        hold_seconds,
        wrap_seconds,
        handle_seconds
    from {{ ref('interaction_parties') }}
    {{ of_changed }}
    union all by name
    select
        interaction_id,
        event,
        channel_position,
        moment,
        detail,
        duration_ms,
        if(event in ('queue', 'agentqueue'), properties ->> '$.presentedSkills[0]', null) as skill,
        if(
            event in ('queue', 'agentqueue'),
            coalesce(properties ->> '$.virtualQueues[0]', name),
            null
        ) as queue
    from {{ ref('stg_vonage__events') }}
    where event in (
        'queue', 'agentqueue', 'disposition', 'callrating', 'virtualassistant',
        'voicemailrecording', 'deliveryfailed'
    )
),

told as (
    select
        interaction_id,
        count(*) filter (where is_connected and role is distinct from 'monitor')
            as connected_parties,
        count(*) filter (where role = 'external') as people,
        count(*) filter (where role = 'external' and is_connected) as connected_people,
        count(*) filter (where role = 'agent') as agent_channels,
        count(distinct coalesce(party_id, channel_position::varchar)) filter (
            role = 'agent' and is_connected
        ) as agents,
        arg_min(party_id, moment) filter (role = 'agent' and is_connected) as agent_id,
        arg_max(end_reason, channel_position) filter (role = 'external') as end_reason,
        round(sum(connected_seconds) filter (role = 'agent'), 3) as connected_seconds,
        round(greatest(
            max(hold_seconds) filter (role is distinct from 'agent'),
            sum(hold_seconds) filter (role = 'agent'),
            0
        ), 3) as hold_seconds,
        round(sum(wrap_seconds) filter (role = 'agent'), 3) as wrap_seconds,
        round(sum(handle_seconds) filter (role = 'agent'), 3) as handle_seconds,
        arg_min(skill, moment) as first_skill,
        arg_min(queue, moment) as first_queue,
        arg_max(detail, moment) filter (event in ('queue', 'agentqueue')) as queue_result,
        count(*) filter (where event in ('queue', 'agentqueue') and lower(detail) = 'hangup') > 0
            as is_hung_up_queuing,
        sum(duration_ms) filter (event = 'queue') / 1000.0 as queue_wait_seconds,
        arg_max(detail, moment) filter (event = 'disposition') as disposition,
        arg_max(detail, moment) filter (
            event = 'callrating' and detail in ('1', '2', '3', '4', '5')
        ) as rating,
        count(*) filter (where event = 'virtualassistant' and lower(detail) = 'resolved') > 0
            as is_resolved_by_bot,
        sum(duration_ms) filter (event = 'virtualassistant') / 1000.0 as bot_seconds,
        count(*) filter (where event = 'voicemailrecording') > 0 as is_voicemail,
        count(*) filter (where event = 'deliveryfailed') > 0 as is_delivery_failed,
        arg_max(detail, moment) filter (event = 'deliveryfailed') as delivery_failure
    from rows_of_interactions
    group by interaction_id
),

joined as (
    select
        interactions.* exclude (talk_seconds, handle_seconds),
        told.* exclude (interaction_id, handle_seconds, rating),
        told.rating::integer as rating,
        numbers.e164 as phone,
        coalesce(
            interactions.talk_seconds,
            if(
                told.connected_seconds is null, -- no agent was
                null,
                round(greatest(0, told.connected_seconds - told.hold_seconds), 3)
            )
        ) as talk_seconds,
        coalesce(interactions.handle_seconds, told.handle_seconds) as handle_seconds,
        interactions.is_outbound and interactions.channel in ('sms', 'email')
            as is_message_of_ours,
        coalesce(told.agents > 0, false) and (
            coalesce(interactions.direction, 'inbound') = 'inbound'
            or told.connected_parties > 1
            or coalesce(interactions.talk_seconds > 0, false)
        ) as is_conversation,
        lower(replace(concat_ws(
            ' ', interactions.vendor_outcome, told.delivery_failure, told.end_reason
        ), ' ', '')) as words
    from {{ ref('stg_vonage__interactions') }} as interactions
    left join told using (interaction_id)
    left join {{ source('ops', 'phone_numbers') }} as numbers
        on numbers.vendor = 'vonage' and numbers.raw_number = interactions.address
),

outcomes as (
    select
        *,
        is_conversation and not is_message_of_ours as is_answered,
        case
            when is_ongoing then 'pending'
            when is_message_of_ours
                then if(is_internal_error or is_delivery_failed, 'failed', 'sent')
            when is_conversation then 'answered'
            when is_voicemail then 'voicemail'
            when is_hung_up_queuing then 'abandoned'
            when is_resolved_by_bot then 'answered'
            when contains(lower(vendor_outcome), 'abandon') then 'abandoned'
            when is_internal_error then 'failed'
            when is_outbound and coalesce(connected_people, 0) = 0 then case
                when contains(words, 'busy') then 'busy'
                when regexp_matches(words, 'noanswer|notanswered|unanswered') then 'no_answer'
                when is_delivery_failed or regexp_matches(words, 'fail|unavailable|invalid|reject')
                    then 'failed'
                when channel = 'voice' and people > 0 then 'no_answer'
                else 'unknown'
            end
            when not is_outbound and (queue_result is not null or agent_channels > 0)
                then 'no_answer'
            else 'unknown'
        end as outcome
    from joined
)

select
    interaction_id,
    conversation_id,
    started_at,
    ended_at,
    {{ local_day('started_at') }} as started_on,
    channel,
    medium,
    direction,
    status,
    service_name,
    interaction_plan,
    reporting_group,
    coalesce(phone, email) as contact_key,
    phone,
    email,
    agent_id,
    coalesce(agents, 0) as agents,
    first_skill,
    first_queue,
    queue_result,
    is_answered,
    outcome = 'abandoned' as is_abandoned,
    coalesce(
        outcome = 'abandoned' and queue_wait_seconds < {{ var('short_abandon_seconds') }}, false
    ) as is_short_abandon,
    outcome,
    nullif(concat_ws(
        ', ',
        vendor_outcome,
        if(is_internal_error, status, null),
        if(is_answered, null, queue_result),
        if(outcome = 'answered' and not is_answered, 'resolved by bot', null),
        delivery_failure,
        if(is_outbound and outcome not in ('pending', 'answered', 'sent'), end_reason, null)
    ), '') as outcome_detail,
    is_answered or outcome = 'answered' as reached,
    disposition,
    rating,
    queue_wait_seconds,
    duration_seconds,
    talk_seconds,
    hold_seconds,
    wrap_seconds,
    handle_seconds,
    bot_seconds,
    greatest(0, coalesce(agents, 0) - if(direction is not distinct from 'internal', 2, 1))
        as transfers
from outcomes
