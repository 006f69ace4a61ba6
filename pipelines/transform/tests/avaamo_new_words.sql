{{ config(severity='warn') }}

with words as (
    select 'delivery_channel' as field, lower(trim(delivery_channel)) as word
    from {{ source('avaamo', 'campaign_insights') }}
    union all
    select 'delivery_status', lower(trim(delivery_status))
    from {{ source('avaamo', 'campaign_insights') }}
)

select 'avaamo' as vendor, field, word, count(*) as raw_rows
from words
where word not in (
    'sms', 'voice', 'ms_teams', 'sent', 'delivered', 'undelivered', 'failed', 'skipped', 'pending',
    'queued', 'installed'
)
group by all
