-- Of a call, delivered means that it was taken: the vendor says failed where it was declined.
-- Teams has no delivered: sent is as far as a message gets there. E-mail has no open told here.
with messages as (
    select
        *,
        lower(trim(delivery_channel)) as sent_by,
        nullif(lower(trim(delivery_status)), '') as status
    from {{ source('avaamo', 'campaign_insights') }}
    where _dlt_load_id > {{ since('avaamo') }}
),

in_our_words as (
    select
        *,
        case
            when sent_by in ('sms', 'email') then sent_by
            when sent_by in ('voice', 'c-ivr', 'civr') then 'voice'
            when sent_by in ('ms_teams', 'teams') then 'teams'
            else 'other'
        end as channel,
        case
            when status in ('sent', 'delivered', 'undelivered', 'failed', 'skipped') then status
            when status in ('pending', 'queued', 'installed') then 'pending'
            else 'unknown'
        end as outcome
    from messages
)

select
    'avaamo:' || id as attempt_id,
    'avaamo' as vendor,
    channel,
    'outbound' as direction,
    nullif(campaign__id, '') as campaign_id,
    nullif(campaign__name, '') as campaign_name,
    numbers.e164 as phone,
    to_email as email,
    created_at as occurred_at,
    null::timestamptz as occurred_after,
    false as is_observed,
    outcome,
    if(outcome = 'unknown', status, coalesce(nullif(trim(error_code), ''), status))
        as outcome_detail,
    case channel
        when 'email' then false
        when 'teams' then outcome in ('sent', 'delivered')
        else outcome = 'delivered'
    end as reached,
    null::double as duration_seconds,
    null::varchar as agent_id,
    'avaamo.campaign_insights' as source_table,
    id as source_key
from in_our_words
left join {{ source('ops', 'phone_numbers') }} as numbers
    on numbers.vendor = 'avaamo' and numbers.raw_number = in_our_words.to_phone
