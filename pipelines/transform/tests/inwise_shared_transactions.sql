{{ config(severity='warn') }}

-- Only what came since the last build is looked at: it costs nothing and is said once.
with new_mails as (
    select distinct transaction_id
    from {{ source('inwise', 'sent_emails') }}
    where _dlt_load_id > {{ since('inwise') }}
)

select 'inwise' as vendor, transaction_id, count(*) as mails
from {{ source('inwise', 'sent_emails') }}
semi join new_mails using (transaction_id)
group by all
having count(*) > 1
order by mails desc, transaction_id
limit 1000
