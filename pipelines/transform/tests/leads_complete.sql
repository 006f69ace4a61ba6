with listed as (
    select
        id as lead_id,
        max_by(_dlt_valid_to is null, (_dlt_valid_from, campaign_id, row_version)) as is_current
    from {{ source('dialer', 'leads') }}
    group by id
),

made as (
    select lead_id, bool_or(is_current) as is_current, count(*) as times
    from {{ ref('leads') }}
    group by lead_id
),

stretches as (
    select lead_id, bool_or(observed_to is null) as is_current
    from {{ ref('lead_status_history') }}
    group by lead_id
)

select
    'dialer' as vendor,
    lead_id,
    made.times,
    listed.is_current as is_current_when_read,
    made.is_current,
    stretches.is_current as is_current_in_history
from listed
full join made using (lead_id)
full join stretches using (lead_id)
where
    lead_id is null
    or made.times is distinct from 1
    or made.is_current is distinct from listed.is_current
    or made.is_current is distinct from stretches.is_current
