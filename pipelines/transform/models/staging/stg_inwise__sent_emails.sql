select
    transaction_id,
    contact_id,
    campaign_id,
    date_sent as sent_at,
    email,
    _dlt_load_id as load_id
from {{ source('inwise', 'sent_emails') }}
