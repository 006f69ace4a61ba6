-- A campaign whose status the vendor prints twice is compared by its total alone: one of the two
-- names is wrong.
{{ config(severity='warn') }}

with listed as (
    select id as campaign_id, name as campaign_name, total_leads
    from {{ source('dialer', 'campaigns') }}
    where deleted_at is null
),

latest as (
    select *
    from {{ source('dialer', 'campaign_lead_counts') }}
    semi join listed using (campaign_id)
    qualify observed_at = max(observed_at) over (partition by campaign_id)
),

theirs as (
    select campaign_id, 'all' as status, total_leads as leads
    from listed
    where total_leads is not null
    union all
    select campaign_id, lower(trim(status)), leads
    from latest
    qualify max(occurrence) over (partition by campaign_id) = 0
),

ours as (
    select campaign_id, 'all' as status, count(*) as leads
    from {{ ref('leads') }}
    where is_current
    group by campaign_id
    union all
    select campaign_id, status, count(*)
    from {{ ref('leads') }}
    where is_current
    group by all
)

select
    'dialer' as vendor,
    campaign_id,
    listed.campaign_name,
    status,
    theirs.leads as leads_by_vendor,
    coalesce(ours.leads, 0) as leads,
    coalesce(ours.leads, 0) - theirs.leads as difference
from theirs
join listed using (campaign_id)
left join ours using (campaign_id, status)
where coalesce(ours.leads, 0) <> theirs.leads
