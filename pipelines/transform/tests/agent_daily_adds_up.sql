-- Of the dialer its raw calls are counted: a model between could lose some on both sides.
with facts as (
    select
        'vonage' as vendor,
        count(distinct concat_ws('|', interaction_id, agent_id, started_on))
            filter (is_connected) as interactions,
        sum(talk_seconds) as talk_seconds,
        sum(handle_seconds) as handle_seconds,
        count(disposition) as dispositions,
        count(rating) as ratings
    from {{ ref('agent_legs') }}
    union all
    select
        'dialer',
        count(*),
        sum(agent_talk_time) filter (agent_talk_time >= 0),
        null,
        count(*) filter (trim(agent_disposition) <> '' or trim(disposition) <> ''),
        0
    from {{ source('dialer', 'lead_history') }}
    where trim(agent_extension) <> '' or trim(agent_name) <> ''
),

days as (
    select
        vendor,
        count(*) as agent_days,
        sum(interactions) as interactions,
        sum(talk_seconds) as talk_seconds,
        sum(handle_seconds) as handle_seconds,
        sum(dispositions) as dispositions,
        sum(ratings) as ratings
    from {{ ref('agent_daily') }}
    group by vendor
)

-- seconds are rounded per day; of huge sums the last digits depend on the order
select vendor, facts.* exclude (vendor), days.* exclude (vendor)
from facts
full join days using (vendor)
where
    coalesce(facts.interactions, 0) <> coalesce(days.interactions, 0)
    or coalesce(facts.dispositions, 0) <> coalesce(days.dispositions, 0)
    or coalesce(facts.ratings, 0) <> coalesce(days.ratings, 0)
    or abs(coalesce(facts.talk_seconds, 0) - coalesce(days.talk_seconds, 0))
    > 1 + 0.01 * coalesce(days.agent_days, 0) + 1e-9 * abs(coalesce(facts.talk_seconds, 0))
    or abs(coalesce(facts.handle_seconds, 0) - coalesce(days.handle_seconds, 0))
    > 1 + 0.01 * coalesce(days.agent_days, 0) + 1e-9 * abs(coalesce(facts.handle_seconds, 0))
