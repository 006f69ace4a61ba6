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

seen as (
    select
        vendor,
        coalesce(campaign_id, campaign_name) as campaign_id,
        arg_max(campaign_name, {{ recency() }}) as campaign_name,
        mode(channel order by channel) as channel,
        min(occurred_at) as first_activity_at,
        max(occurred_at) as last_activity_at,
        count(*) as attempts
    from {{ ref('contact_attempts') }}
    where campaign_id is not null or campaign_name is not null
    group by all
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
