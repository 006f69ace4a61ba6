with facts as (
    select
        vendor,
        count(*) as attempts,
        count(*) filter (where reached) as reached
    from {{ ref('contact_attempts') }}
    where campaign_id is not null or campaign_name is not null
    group by vendor
),

days as (
    select
        vendor,
        sum(attempts) as attempts,
        sum(reached) as reached,
        sum(
            delivered + failed + bounced + undelivered + skipped
            + no_answer + busy + pending + other_outcomes
        ) as outcomes
    from {{ ref('campaign_daily') }}
    group by vendor
)

select vendor, facts.*, days.*
from facts
full join days using (vendor)
where
    facts.attempts is distinct from days.attempts
    or facts.reached is distinct from days.reached
    or days.outcomes is distinct from days.attempts
