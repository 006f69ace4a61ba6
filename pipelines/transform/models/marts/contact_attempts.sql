{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='attempt_id') }}

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
)

select
    attempt_id,
    occurred_at,
    {{ local_day('occurred_at') }} as occurred_on,
    occurred_after,
    is_observed,
    vendor,
    channel,
    direction,
    campaign_id,
    campaign_name,
    coalesce(phone, lower(trim(email))) as contact_key,
    agent_id,
    outcome,
    outcome_detail,
    reached,
    duration_seconds,
    source_table,
    source_key
from attempts
