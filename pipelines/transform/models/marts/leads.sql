-- Calls carry neither lead nor campaign id: those to a lead's number under the name that its
-- campaign bore then, between its making and its going, are taken as its own.
with latest as (
    select versions.*, coalesce(numbers.e164, trim(versions.number)) as dialled, numbers.e164
    from {{ ref('stg_dialer__lead_versions') }} as versions
    left join {{ source('ops', 'phone_numbers') }} as numbers
        on numbers.vendor = 'dialer' and numbers.raw_number = versions.number
    qualify row_number() over (partition by lead_id order by observed_from desc) = 1
),

states as (
    select
        lead_id,
        min(observed_from) as first_observed_at,
        max(observed_from) as status_since,
        min(observed_from) filter (status = 'success') as first_success_at
    from {{ ref('lead_status_history') }}
    group by lead_id
),

calls as (
    select
        latest.lead_id,
        count(*) as attempts,
        min(calls.called_at) as first_attempt_at,
        max(calls.called_at) as last_attempt_at
    from latest
    join {{ ref('stg_dialer__calls') }} as calls
        on calls.campaign_id = latest.campaign_id and calls.number = latest.dialled
    where
        (latest.created_at is null or calls.called_at >= latest.created_at)
        and (latest.observed_to is null or calls.called_at < latest.observed_to)
    group by latest.lead_id
)

select
    latest.lead_id,
    latest.created_at,
    states.status_since,
    states.first_observed_at,
    latest.observed_from as last_observed_at,
    latest.observed_to as gone_at,
    calls.first_attempt_at,
    calls.last_attempt_at,
    states.first_success_at,
    latest.campaign_id,
    campaigns.name as campaign_name,
    latest.e164 as contact_key,
    latest.status,
    latest.priority,
    latest.type,
    latest.retries,
    latest.observed_to is null as is_current,
    coalesce(calls.attempts, 0) as attempts,
    epoch(calls.first_attempt_at - latest.created_at) as seconds_to_first_attempt,
    epoch(states.first_success_at - latest.created_at) as seconds_to_success
from latest
join states using (lead_id)
left join calls using (lead_id)
left join {{ source('dialer', 'campaigns') }} as campaigns on campaigns.id = latest.campaign_id
