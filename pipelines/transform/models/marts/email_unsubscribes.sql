-- The latest unsubscription counts: an earlier one may have been taken back. Where none is told it is
-- the first mail that inwise held back for one. An activity names the contact only: the address is the
-- latest that a mail to the contact had.
with unsubscribed as (
    select contact_id, acted_at
    from {{ ref('stg_inwise__activities') }}
    where activity = 'emailunsubscribed' and contact_id <> ''
    union all
    select contact_id, acted_at
    from {{ ref('stg_inwise__recent_activities') }}
    where activity = 'emailunsubscribed' and contact_id <> ''
),

mails as (
    select contact_id, sent_at as mailed_at, email
    from {{ ref('stg_inwise__sent_emails') }}
    union all
    select contact_id, recorded_at, email
    from {{ ref('stg_inwise__undelivered') }}
),

addresses as (
    select
        contact_id,
        arg_max(email, (coalesce(mailed_at, timestamptz '1970-01-01 00:00:00Z'), email))
            filter (where trim(email) <> '') as email
    from mails
    semi join unsubscribed using (contact_id)
    group by contact_id
),

told as (
    select email, acted_at as unsubscribed_at, null::timestamptz as held_back_at
    from unsubscribed
    join addresses using (contact_id)
    where email is not null
    union all
    select email, null, recorded_at
    from {{ ref('stg_inwise__undelivered') }}
    where reason = 'unsubscribed' and trim(email) <> ''
)

select
    lower(trim(email)) as contact_key,
    coalesce(max(unsubscribed_at), min(held_back_at)) as unsubscribed_at
from told
group by all
