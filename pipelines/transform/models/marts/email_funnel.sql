{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='campaign_id'
) }}

-- A campaign is counted anew where a row of it is new, and where one has gone to another campaign.
-- The vendor has two lists of what people did. A row of the read-once feed is the activity with its
-- id, type, contact and campaign; should the feed number its rows otherwise, the activity of that
-- contact, campaign, type and minute. Of several in one minute, as many as the longer list has.
with raw_rows as (
    {% for table in ['sent_emails', 'undelivered', 'activities', 'recent_activities',
                     'activities_summary'] %}
    select campaign_id, count(*) as raw_rows, max(_dlt_load_id) as load_id
    from {{ source('inwise', table) }}
    group by campaign_id
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

campaigns as (
    select campaign_id, sum(raw_rows)::bigint as raw_rows, max(load_id) as load_id
    from raw_rows
    group by campaign_id
),

touched as (
    select campaign_id, campaigns.raw_rows
    from campaigns
    {% if is_incremental() -%}
    full join {{ this }} as built using (campaign_id)
    where load_id > {{ since('inwise') }}
        or campaigns.raw_rows is distinct from built.raw_rows
    {%- endif %}
),

mails as (
    select campaign_id, contact_id, sent_at
    from {{ ref('stg_inwise__sent_emails') }}
    semi join touched using (campaign_id)
),

activities as (
    select *
    from {{ ref('stg_inwise__activities') }}
    semi join touched using (campaign_id)
),

feed as (
    select *
    from {{ ref('stg_inwise__recent_activities') }}
    semi join touched using (campaign_id)
),

feed_alone as (
    select
        *,
        row_number() over (
            partition by campaign_id, contact_id, activity, acted_at order by activity_id
        ) as position
    from feed
    anti join activities using (activity_id, activity, contact_id, campaign_id)
),

activities_alone as (
    select campaign_id, contact_id, activity, acted_at, count(*) as activities
    from activities
    semi join feed_alone using (campaign_id, contact_id, activity, acted_at)
    anti join feed using (activity_id, activity, contact_id, campaign_id)
    group by all
),

events as (
    select campaign_id, contact_id, activity, acted_at
    from activities
    union all
    select campaign_id, contact_id, activity, acted_at
    from feed_alone
    left join activities_alone using (campaign_id, contact_id, activity, acted_at)
    where position > coalesce(activities, 0)
),

machine_opens as (
    select distinct events.campaign_id, events.contact_id, events.acted_at
    from events
    join mails using (campaign_id, contact_id)
    where activity = 'emailopened'
        and acted_at >= date_trunc('minute', sent_at)
        and acted_at < date_trunc('minute', sent_at) + interval 2 minutes
),

contacts as (
    select
        campaign_id,
        contact_id,
        count(*) filter (where activity = 'emailopened') as opens,
        count(*) filter (where activity = 'emailopened' and machine_opens.acted_at is null) as adjusted_opens,
        count(*) filter (where activity = 'emailclicked') as clicks,
        count(*) filter (where activity = 'emailbounced') as bounces,
        count(*) filter (where activity = 'emailunsubscribed') as unsubscribes,
        count(*) filter (where activity in ('emailwebversion', 'emailpublicwebversion')) as web_versions
    from events
    left join machine_opens using (campaign_id, contact_id, acted_at)
    group by all
),

answered as (
    select
        campaign_id,
        sum(opens)::bigint as opens,
        count(*) filter (where opens > 0) as unique_opens,
        sum(adjusted_opens)::bigint as adjusted_opens,
        count(*) filter (where adjusted_opens > 0) as adjusted_unique_opens,
        sum(clicks)::bigint as clicks,
        count(*) filter (where clicks > 0) as unique_clicks,
        count(*) filter (where bounces > 0) as bounced,
        sum(unsubscribes)::bigint as unsubscribes,
        count(*) filter (where unsubscribes > 0) as unique_unsubscribes,
        sum(web_versions)::bigint as web_versions
    from contacts
    group by campaign_id
),

sent as (
    select
        campaign_id,
        count(*) as sent,
        min(sent_at) as first_sent_at,
        max(sent_at) as last_sent_at
    from mails
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
    semi join touched using (campaign_id)
    group by campaign_id
),

vendors as (
    select *
    from {{ source('inwise', 'activities_summary') }}
    semi join touched using (campaign_id)
    qualify row_number() over (partition by campaign_id order by observed_on desc) = 1
),

funnel as (
    select
        campaign_id,
        first_sent_at,
        last_sent_at,
        coalesce(sent.sent, 0) as sent,
        coalesce(undelivered.undelivered, 0) as undelivered,
        coalesce(undelivered.unsubscribed, 0) as undelivered_unsubscribed,
        coalesce(undelivered.frequency_limit, 0) as undelivered_frequency_limit,
        coalesce(undelivered.bounced, 0) as undelivered_bounced,
        coalesce(answered.bounced, 0) as bounced,
        coalesce(answered.opens, 0) as opens,
        coalesce(answered.unique_opens, 0) as unique_opens,
        coalesce(answered.adjusted_opens, 0) as adjusted_opens,
        coalesce(answered.adjusted_unique_opens, 0) as adjusted_unique_opens,
        coalesce(answered.clicks, 0) as clicks,
        coalesce(answered.unique_clicks, 0) as unique_clicks,
        coalesce(answered.unsubscribes, 0) as unsubscribes,
        coalesce(answered.unique_unsubscribes, 0) as unique_unsubscribes,
        coalesce(answered.web_versions, 0) as web_versions,
        coalesce(touched.raw_rows, 0) as raw_rows
    from touched
    left join sent using (campaign_id)
    left join undelivered using (campaign_id)
    left join answered using (campaign_id)
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
    funnel.sent - bounced as delivered,
    funnel.opens,
    unique_opens,
    adjusted_opens,
    adjusted_unique_opens,
    funnel.clicks,
    unique_clicks,
    funnel.unsubscribes,
    unique_unsubscribes,
    web_versions,
    {{ pct('funnel.sent - bounced', 'funnel.sent') }} as delivered_rate_pct,
    {{ pct('bounced', 'funnel.sent') }} as bounce_rate_pct,
    {{ pct('unique_opens', 'funnel.sent - bounced') }} as open_rate_pct,
    {{ pct('adjusted_unique_opens', 'funnel.sent - bounced') }} as adjusted_open_rate_pct,
    {{ pct('unique_clicks', 'funnel.sent - bounced') }} as click_rate_pct,
    {{ pct('unique_clicks', 'unique_opens') }} as click_to_open_rate_pct,
    {{ pct('unique_unsubscribes', 'funnel.sent - bounced') }} as unsubscribe_rate_pct,
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
