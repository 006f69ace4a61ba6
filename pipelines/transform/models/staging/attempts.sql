with attempts as (
    select * from {{ ref('attempts_vonage') }}
    union all by name
    select * from {{ ref('attempts_avaamo') }}
    union all by name
    select * from {{ ref('attempts_inwise') }}
    union all by name
    select * from {{ ref('attempts_koreai') }}
    union all by name
    select * from {{ ref('attempts_dialer') }}
),

days as (
    select
        *,
        {{ local_day('if(is_observed, occurred_after, occurred_at)') }} as earliest_on,
        {{ local_day('occurred_at') }} as latest_on
    from attempts
)

select
    attempt_id,
    occurred_at,
    if(earliest_on = latest_on, latest_on, null) as occurred_on,
    occurred_after,
    earliest_on,
    latest_on,
    is_observed,
    vendor,
    channel,
    direction,
    campaign_id,
    campaign_name,
    coalesce(phone, nullif(lower(trim(email)), '')) as contact_key,
    phone,
    nullif(lower(trim(email)), '') as email,
    agent_id,
    outcome,
    outcome_detail,
    outcome in ('answered', 'delivered') or (channel = 'teams' and outcome = 'sent')
        as is_delivered,
    reached,
    direction = 'outbound'
    and outcome in ('answered', 'delivered', 'sent', 'no_answer', 'voicemail', 'abandoned', 'unknown')
        as is_touch,
    duration_seconds,
    source_table,
    source_key
from days
