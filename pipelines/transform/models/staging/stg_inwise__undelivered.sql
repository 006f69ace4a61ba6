select
    id as undelivered_id,
    contact_id,
    campaign_id,
    create_date as recorded_at,
    email,
    lower(trim(reason)) as reason,
    _dlt_load_id as load_id
from {{ source('inwise', 'undelivered') }}
