with listed as (
    select
        'koreai' as vendor,
        id as campaign_id,
        name as campaign_name,
        'voice' as channel,
        status,
        created_at,
        _dlt_valid_to is not null as is_deleted
    from {{ source('koreai', 'campaigns') }}
    qualify row_number() over (partition by id order by _dlt_valid_from desc, row_version) = 1
    union all
    select 'dialer', id, name, 'voice', status, null, deleted_at is not null
    from {{ source('dialer', 'campaigns') }}
),

-- few rows of millions of attempts: what follows of the latest name is cheap then
named as (
    select
        vendor,
        coalesce(campaign_id, campaign_name) as campaign_id,
        campaign_name,
        channel,
        min(occurred_at) as first_activity_at,
        max(occurred_at) as last_activity_at,
        count(*) as attempts
    from {{ ref('contact_attempts') }}
    where campaign_id is not null or campaign_name is not null
    group by all
),

channels as (
    select vendor, campaign_id, arg_min(channel, (-attempts, channel)) as channel
    from (
        select vendor, campaign_id, channel, sum(attempts) as attempts from named group by all
    )
    group by all
),

seen as (
    select
        vendor,
        campaign_id,
        arg_max(campaign_name, (
            coalesce(last_activity_at, timestamptz '1970-01-01 00:00:00Z'), campaign_name
        )) as campaign_name,
        any_value(channels.channel) as channel,
        min(first_activity_at) as first_activity_at,
        max(last_activity_at) as last_activity_at,
        sum(attempts)::bigint as attempts
    from named
    join channels using (vendor, campaign_id)
    group by vendor, campaign_id
)

select
    vendor,
    campaign_id,
    listed.created_at,
    seen.first_activity_at,
    seen.last_activity_at,
    coalesce(listed.campaign_name, seen.campaign_name) as campaign_name,
    coalesce(listed.channel, seen.channel) as channel,
    listed.status,
    coalesce(listed.is_deleted, false) as is_deleted,
    coalesce(seen.attempts, 0) as attempts
from listed
full join seen using (vendor, campaign_id)
