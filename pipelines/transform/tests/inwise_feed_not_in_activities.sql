{{ config(severity='warn') }}

-- The last two days are left out: activities may come later than the feed.
with feed as (
    select id, action_type
    from {{ source('inwise', 'recent_activities') }}
    where timezone('UTC', action_date)::date between {{ today() }} - 30 and {{ today() }} - 3
),

found as (
    select count(*) as found
    from feed
    semi join {{ source('inwise', 'activities') }} as activities using (id, action_type)
)

select 'inwise' as vendor, found.found, count(*) as feed_rows
from feed, found
group by all
having count(*) >= 20 and found.found < 0.95 * count(*)
