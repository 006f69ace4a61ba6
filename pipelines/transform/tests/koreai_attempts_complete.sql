-- What a counter came to before it fell, or by now, is what was made in that run of it.
with versions as (
    select
        *,
        lead(attempts_so_far) over (
            partition by campaign_id, phone_number, unique_id, contact order by observed_at
        ) as attempts_next
    from (
        select versions.*, coalesce(equal_contacts.contact, '') as contact
        from {{ ref('stg_koreai__contact_versions') }} as versions
        left join {{ ref('stg_koreai__equal_contacts') }} as equal_contacts
            using (campaign_id, phone_number, unique_id, occurrence, observed_at)
    )
),

counters as (
    select campaign_id, sum(attempts_so_far) as attempts
    from versions
    where attempts_next is null or attempts_next < attempts_so_far
    group by campaign_id
),

made as (
    select coalesce(campaign_id, '') as campaign_id, count(*) as attempts
    from {{ ref('contact_attempts') }}
    where vendor = 'koreai'
    group by all
)

select
    'koreai' as vendor,
    campaign_id,
    coalesce(counters.attempts, 0) as attempts_by_counters,
    coalesce(made.attempts, 0) as attempts
from counters
full join made using (campaign_id)
where coalesce(counters.attempts, 0) <> coalesce(made.attempts, 0)
