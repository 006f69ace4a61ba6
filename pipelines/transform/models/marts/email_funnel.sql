-- Rates are of contacts whose mail is here: to mails from before the first day loaded only what
-- became of them came.
{% set acts = ['opens', 'adjusted_opens', 'clicks', 'unsubscribes'] %}
with mails as (
    select
        coalesce(campaign_id, '') as campaign_id,
        count(*) filter (where outcome = 'bounced') as bounced_mails
    from {{ ref('contact_attempts') }}
    where vendor = 'inwise' and source_table = 'inwise.sent_emails'
    group by all
),

mailed as (
    select
        campaign_id,
        min(first_sent_at) as first_sent_at,
        max(last_sent_at) as last_sent_at,
        sum(sent)::bigint as sent,
        sum(opens)::bigint as opens,
        count(*) filter (where opens > 0) as unique_opens,
        sum(adjusted_opens)::bigint as adjusted_opens,
        count(*) filter (where adjusted_opens > 0) as adjusted_unique_opens,
        sum(clicks)::bigint as clicks,
        count(*) filter (where clicks > 0) as unique_clicks,
        count(*) filter (where bounces > 0) as bounced,
        sum(unsubscribes)::bigint as unsubscribes,
        count(*) filter (where unsubscribes > 0) as unique_unsubscribes,
        sum(web_versions)::bigint as web_versions,
        {% for act in acts -%}
        count(*) filter (where {{ act }} > 0 and sent > 0) as mailed_{{ act }},
        {% endfor -%}
        sum(raw_rows)::bigint as raw_rows
    from {{ ref('email_contacts') }}
    group by campaign_id
),

undelivered as (
    select
        campaign_id,
        count(*) as undelivered,
        count(*) filter (where reason = 'unsubscribed') as unsubscribed,
        count(*) filter (where reason = 'frequency_limit') as frequency_limit,
        count(*) filter (where reason = 'bounced') as bounced
    from {{ ref('stg_inwise__undelivered') }}
    group by campaign_id
),

vendors as (
    select *, count(*) over (partition by campaign_id) as observations
    from {{ source('inwise', 'activities_summary') }}
    qualify row_number() over (partition by campaign_id order by observed_on desc) = 1
),

campaigns as (
    select campaign_id from mailed
    union
    select campaign_id from undelivered
    union
    select campaign_id from vendors
),

funnel as (
    select
        campaign_id,
        first_sent_at,
        last_sent_at,
        coalesce(mailed.sent, 0) as sent,
        coalesce(undelivered.undelivered, 0) as undelivered,
        coalesce(undelivered.unsubscribed, 0) as undelivered_unsubscribed,
        coalesce(undelivered.frequency_limit, 0) as undelivered_frequency_limit,
        coalesce(undelivered.bounced, 0) as undelivered_bounced,
        coalesce(mailed.bounced, 0) as bounced,
        coalesce(mails.bounced_mails, 0) as bounced_mails,
        coalesce(mailed.sent, 0) - coalesce(mails.bounced_mails, 0) as delivered,
        coalesce(mailed.opens, 0) as opens,
        coalesce(mailed.unique_opens, 0) as unique_opens,
        coalesce(mailed.adjusted_opens, 0) as adjusted_opens,
        coalesce(mailed.adjusted_unique_opens, 0) as adjusted_unique_opens,
        coalesce(mailed.clicks, 0) as clicks,
        coalesce(mailed.unique_clicks, 0) as unique_clicks,
        coalesce(mailed.unsubscribes, 0) as unsubscribes,
        coalesce(mailed.unique_unsubscribes, 0) as unique_unsubscribes,
        coalesce(mailed.web_versions, 0) as web_versions,
        {% for act in acts -%}
        coalesce(mailed_{{ act }}, 0) as mailed_{{ act }},
        {% endfor -%}
        coalesce(mailed.raw_rows, 0) + coalesce(undelivered.undelivered, 0)
        + coalesce(vendors.observations, 0) as raw_rows
    from campaigns
    left join mailed using (campaign_id)
    left join mails using (campaign_id)
    left join undelivered using (campaign_id)
    left join vendors using (campaign_id)
)

select
    campaign_id,
    first_sent_at,
    last_sent_at,
    vendors.observed_on as vendor_observed_on,
    funnel.sent,
    funnel.undelivered,
    undelivered_unsubscribed,
    undelivered_frequency_limit,
    undelivered_bounced,
    funnel.undelivered - undelivered_unsubscribed - undelivered_frequency_limit
        - undelivered_bounced as undelivered_other,
    bounced,
    bounced_mails,
    delivered,
    funnel.opens,
    unique_opens,
    adjusted_opens,
    adjusted_unique_opens,
    funnel.clicks,
    unique_clicks,
    funnel.unsubscribes,
    unique_unsubscribes,
    web_versions,
    {{ pct('delivered', 'funnel.sent') }} as delivered_rate_pct,
    {{ pct('bounced_mails', 'funnel.sent') }} as bounce_rate_pct,
    {{ pct('mailed_opens', 'delivered') }} as open_rate_pct,
    {{ pct('mailed_adjusted_opens', 'delivered') }} as adjusted_open_rate_pct,
    {{ pct('mailed_clicks', 'delivered') }} as click_rate_pct,
    {{ pct('unique_clicks', 'unique_opens') }} as click_to_open_rate_pct,
    {{ pct('mailed_unsubscribes', 'delivered') }} as unsubscribe_rate_pct,
    vendors.sent as vendor_sent,
    vendors.undelivered as vendor_undelivered,
    vendors.opens as vendor_opens,
    vendors.opens_unique as vendor_unique_opens,
    vendors.clicks as vendor_clicks,
    vendors.clicks_unique as vendor_unique_clicks,
    vendors.bounces as vendor_bounces,
    vendors.bounces_unique as vendor_unique_bounces,
    vendors.unsubscribes as vendor_unsubscribes,
    vendors.unsubscribes_unique as vendor_unique_unsubscribes,
    try(funnel.sent - vendors.sent) as sent_difference,
    try(funnel.undelivered - vendors.undelivered) as undelivered_difference,
    try(funnel.opens - vendors.opens) as opens_difference,
    try(funnel.clicks - vendors.clicks) as clicks_difference,
    try(bounced - vendors.bounces_unique) as bounces_difference,
    try(funnel.unsubscribes - vendors.unsubscribes) as unsubscribes_difference,
    raw_rows
from funnel
left join vendors using (campaign_id)
