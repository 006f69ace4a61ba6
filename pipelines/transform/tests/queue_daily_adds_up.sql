with visits as (
    select
        count(*) as offered,
        count(*) filter (where is_answered) as answered,
        count(*) filter (where is_abandoned) as abandoned
    from {{ ref('queue_visits') }}
),

days as (
    select
        coalesce(sum(offered), 0) as offered,
        coalesce(sum(answered), 0) as answered,
        coalesce(sum(abandoned), 0) as abandoned,
        coalesce(sum(answered + abandoned + other_exits + still_waiting), 0) as results
    from {{ ref('queue_daily') }}
)

select 'vonage' as vendor, visits.*, days.*
from visits, days
where
    visits.offered <> days.offered
    or visits.answered <> days.answered
    or visits.abandoned <> days.abandoned
    or days.results <> days.offered
