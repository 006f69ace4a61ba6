select
    id as activity_id,
    contact_id,
    campaign_id,
    action_date as acted_at,
    lower(trim(action_type)) as activity,
    _dlt_load_id as load_id
from {{ source('inwise', 'activities') }}
