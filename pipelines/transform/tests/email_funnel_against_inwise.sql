{{ config(severity='warn') }}

-- The vendor goes on counting while the lists are read: a twentieth, or ten, is no difference. A
-- campaign that began before the first day loaded is there in part, and so are its activities.
with fresh as (
    select *
    from {{ ref('email_funnel') }}
    where vendor_observed_on >= {{ today() }} - 7
        and timezone('UTC', first_sent_at)::date > (
            select timezone('UTC', min(first_sent_at))::date from {{ ref('email_funnel') }}
        )
),

figures as (
    {% for figure, ours, theirs in [
        ('sent', 'sent', 'vendor_sent'),
        ('undelivered', 'undelivered', 'vendor_undelivered'),
        ('opens', 'opens', 'vendor_opens'),
        ('clicks', 'clicks', 'vendor_clicks'),
        ('bounced', 'bounced', 'vendor_unique_bounces'),
        ('unsubscribes', 'unsubscribes', 'vendor_unsubscribes'),
    ] %}
    select
        campaign_id,
        vendor_observed_on,
        '{{ figure }}' as figure,
        {{ ours }} as ours,
        {{ theirs }} as theirs
    from fresh
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select 'inwise' as vendor, *, ours - theirs as difference
from figures
where abs(ours - theirs) > greatest(10, theirs / 20)
