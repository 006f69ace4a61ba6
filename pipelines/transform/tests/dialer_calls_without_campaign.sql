{{ config(severity='warn') }}

select vendor, campaign_name, count(*) as attempts, max(occurred_at) as last_attempt_at
from {{ ref('contact_attempts') }}
where vendor = 'dialer' and campaign_id is null and occurred_at > {{ as_of() }} - interval 30 days
group by all
