{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook="{{ forget(ref('changed_email_contacts'), ['campaign_id', 'contact_id']) }}"
) }}

-- The vendor has two lists of what people did. A row of the read-once feed is the activity with its
-- id, type, contact and campaign; should the feed number its rows otherwise, the activity of that
-- contact, campaign, type and minute. Of several in one minute, as many as the longer list has.
{% set changed = ref('changed_email_contacts') %}
{% set of_changed -%}
{%- if is_incremental() -%} semi join {{ changed }} using (campaign_id, contact_id) {%- endif -%}
{%- endset %}
with mails as (
    select campaign_id, contact_id, sent_at
    from {{ ref('stg_inwise__sent_emails') }}
    {{ of_changed }}
),

activities as (
    select *
    from {{ ref('stg_inwise__activities') }}
    {{ of_changed }}
),

feed as (
    select *
    from {{ ref('stg_inwise__recent_activities') }}
    {{ of_changed }}
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

rows_of_contacts as (
    select
        campaign_id,
        contact_id,
        activity,
        activity = 'emailopened' and machine_opens.acted_at is null as is_adjusted_open,
        null::timestamptz as sent_at,
        0 as mails,
        0 as raw_rows
    from events
    left join machine_opens using (campaign_id, contact_id, acted_at)
    union all
    select campaign_id, contact_id, null, false, sent_at, 1, 1
    from mails
    union all
    select campaign_id, contact_id, null, false, null, 0, 1
    from activities
    union all
    select campaign_id, contact_id, null, false, null, 0, 1
    from feed
)

select
    campaign_id,
    contact_id,
    min(sent_at) as first_sent_at,
    max(sent_at) as last_sent_at,
    sum(mails)::bigint as sent,
    count(*) filter (where activity = 'emailopened') as opens,
    count(*) filter (where is_adjusted_open) as adjusted_opens,
    count(*) filter (where activity = 'emailclicked') as clicks,
    count(*) filter (where activity = 'emailbounced') as bounces,
    count(*) filter (where activity = 'emailunsubscribed') as unsubscribes,
    count(*) filter (where activity in ('emailwebversion', 'emailpublicwebversion'))
        as web_versions,
    sum(raw_rows)::bigint as raw_rows
from rows_of_contacts
group by campaign_id, contact_id
