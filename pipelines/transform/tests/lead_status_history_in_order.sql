select
    'dialer' as vendor,
    *,
    lead(observed_from) over by_time as next_from,
    lead(status) over by_time as next_status
from {{ ref('lead_status_history') }}
window by_time as (partition by lead_id order by observed_from)
qualify
    lead_id is null
    or observed_from is null
    or observed_to < observed_from
    or next_from <= observed_from
    or coalesce(observed_to, 'infinity') > next_from
    or (observed_to = next_from and status is not distinct from next_status)
