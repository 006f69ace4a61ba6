-- Raw rows without their attempt, and attempts without their raw row. Kore.ai, whose attempts are
-- steps of a counter, has a test of its own. Tables whose numbers and keys agree as a whole are not
-- compared row by row: that is cheap for millions of rows.
with raw_rows as not materialized (
    select 'vonage' as vendor, 'vonage.interactions' as source_table, guid as source_key
    from {{ source('vonage', 'interactions') }}
    union all
    select 'avaamo', 'avaamo.campaign_insights', id
    from {{ source('avaamo', 'campaign_insights') }}
    union all
    select 'inwise', 'inwise.sent_emails', concat_ws('|', transaction_id, contact_id, campaign_id)
    from {{ source('inwise', 'sent_emails') }}
    union all
    select 'inwise', 'inwise.undelivered', id
    from {{ source('inwise', 'undelivered') }}
    union all
    select 'dialer', 'dialer.lead_history', call_key
    from {{ source('dialer', 'lead_history') }}
),

attempts as not materialized (
    select vendor, source_table, source_key
    from {{ ref('contact_attempts') }}
    where vendor <> 'koreai'
),

differing as (
    select source_table
    from (
        select source_table, count(*) as keys, bit_xor(hash(source_key)) as together
        from raw_rows group by all
    ) as theirs
    full join (
        select source_table, count(*) as keys, bit_xor(hash(source_key)) as together
        from attempts group by all
    ) as ours using (source_table)
    where (theirs.keys, theirs.together) is distinct from (ours.keys, ours.together)
)

select *, 'no attempt' as what
from (select * from raw_rows where source_table in (from differing)) as theirs
anti join (select * from attempts where source_table in (from differing)) as ours
    using (source_table, source_key)
union all
select *, 'no raw row' as what
from (select * from attempts where source_table in (from differing)) as ours
anti join (select * from raw_rows where source_table in (from differing)) as theirs
    using (source_table, source_key)
