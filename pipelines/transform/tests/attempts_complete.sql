-- Raw rows without their attempt, and attempts without their raw row. Kore.ai, whose attempts are
-- steps of a counter, has a test of its own. Tables whose numbers and keys agree as a whole are not
-- compared row by row: that is cheap for millions of rows.
with raw_rows as (
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

attempts as (
    select vendor, source_table, source_key
    from {{ ref('contact_attempts') }}
    where vendor <> 'koreai'
),

differing as (
    select source_table
    from (
        select source_table, count(*) as keys, bit_xor(hash(source_key)) as together
        from raw_rows group by all
        union
        select source_table, count(*), bit_xor(hash(source_key)) from attempts group by all
    )
    group by source_table
    having count(*) > 1
    union
    (
        (select source_table from raw_rows union select source_table from attempts)
        except
        (select source_table from raw_rows intersect select source_table from attempts)
    )
)

select *, 'no attempt' as what
from (select * from raw_rows where source_table in (from differing))
anti join attempts using (source_table, source_key)
union all
select *, 'no raw row' as what
from (select * from attempts where source_table in (from differing))
anti join raw_rows using (source_table, source_key)
