-- A lead that moved can stand in two campaigns for a while: the later version takes over.
select
    id as lead_id,
    _dlt_valid_from as observed_from,
    least(_dlt_valid_to, lead(_dlt_valid_from) over later) as observed_to,
    created as created_at,
    campaign_id,
    number,
    nullif(lower(trim(status)), '') as status,
    priority,
    type,
    retries
from {{ source('dialer', 'leads') }}
window later as (partition by id order by _dlt_valid_from, campaign_id, row_version)
qualify lead(_dlt_valid_from) over later is distinct from _dlt_valid_from
