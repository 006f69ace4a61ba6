{{ config(severity='warn') }}

-- Campaigns of the last 30 days of which no mail is missing: of others the activities came alone.
-- Some click in a mail whose images are blocked, without an open.
select 'inwise' as vendor, *
from {{ ref('email_funnel') }}
where timezone('UTC', last_sent_at)::date > {{ today() }} - 30
    and coalesce(sent_difference, 0) >= 0
    and (
        bounced > sent
        or unique_opens > delivered
        or unique_clicks > 1.05 * unique_opens + 10
        or unique_unsubscribes > delivered
    )
