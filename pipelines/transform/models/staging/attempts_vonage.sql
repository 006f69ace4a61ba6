select
    'vonage:' || interaction_id as attempt_id,
    'vonage' as vendor,
    channel,
    coalesce(direction, 'inbound') as direction, -- read as such: the number is the caller's
    null::varchar as campaign_id,
    null::varchar as campaign_name,
    phone,
    email,
    started_at as occurred_at,
    null::timestamptz as occurred_after,
    false as is_observed,
    outcome,
    outcome_detail,
    reached,
    case
        when channel in ('sms', 'email') then null
        when is_answered then talk_seconds
        when reached then bot_seconds
    end as duration_seconds,
    agent_id,
    'vonage.interactions' as source_table,
    interaction_id as source_key
from {{ ref('interactions') }}
semi join {{ ref('stg_vonage__interactions') }} using (interaction_id)
