{{ config(severity='warn') }}

with words as (
    select 'action_type' as field, activity as word
    from {{ ref('stg_inwise__activities') }}
    union all
    select 'action_type', activity
    from {{ ref('stg_inwise__recent_activities') }}
    union all
    select 'reason', reason
    from {{ ref('stg_inwise__undelivered') }}
)

select 'inwise' as vendor, field, word, count(*) as raw_rows
from words
where word not in (
    'emailopened', 'emailclicked', 'emailbounced', 'emailunsubscribed', 'emailwebversion',
    'emailpublicwebversion', 'emailprinted', 'unsubscribed', 'frequency_limit', 'bounced', 'other'
)
group by all
