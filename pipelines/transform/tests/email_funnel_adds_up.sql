-- To the activities the feed can only add: no fewer than they are, no more than both lists.
with mails as (
    select campaign_id, count(*) as mails
    from {{ source('inwise', 'sent_emails') }}
    group by campaign_id
),

held_back as (
    select campaign_id, count(*) as mails
    from {{ source('inwise', 'undelivered') }}
    group by campaign_id
),

opens as (
    select campaign_id, count(*) filter (where is_listed) as least, count(*) as most
    from (
        select campaign_id, true as is_listed
        from {{ ref('stg_inwise__activities') }}
        where activity = 'emailopened'
        union all
        select campaign_id, false
        from {{ ref('stg_inwise__recent_activities') }}
        where activity = 'emailopened'
    )
    group by campaign_id
)

select
    'inwise' as vendor,
    email_funnel.*,
    coalesce(mails.mails, 0) as mails_sent,
    coalesce(held_back.mails, 0) as mails_held_back,
    coalesce(least, 0) as least_opens,
    coalesce(most, 0) as most_opens
from {{ ref('email_funnel') }}
full join mails using (campaign_id)
full join held_back using (campaign_id)
full join opens using (campaign_id)
where
    sent is distinct from mails_sent
    or undelivered is distinct from mails_held_back
    or opens is null
    or opens not between least_opens and most_opens
    or undelivered_other < 0
    or delivered not between 0 and sent
    or adjusted_opens > opens
    or adjusted_unique_opens > unique_opens
