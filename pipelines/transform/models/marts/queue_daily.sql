with counted as (
    select
        queue,
        entered_on as occurred_on,
        count(*) as offered,
        count(*) filter (where is_answered) as answered,
        count(*) filter (where is_abandoned) as abandoned,
        count(*) filter (where is_short_abandon) as short_abandons,
        count(*) filter (where is_other_exit) as other_exits,
        count(*) filter (where not (is_answered or is_abandoned or is_other_exit))
            as still_waiting,
        count(*) filter (where is_within_target) as answered_within_target,
        -- of whole numbers: an average of fractions depends on the order in which they are added
        round(avg(round(1000 * wait_seconds)::bigint) filter (is_answered) / 1000, 3)
            as average_speed_of_answer_seconds,
        max(wait_seconds) as longest_wait_seconds,
        max(target_seconds) as target_seconds
    from {{ ref('queue_visits') }}
    group by all
),

rates as (
    select
        *,
        {{ pct('answered_within_target', 'offered - still_waiting') }} as service_level_pct,
        {{ pct('abandoned - short_abandons', 'offered - still_waiting - short_abandons') }}
            as abandon_rate_offered_pct,
        {{ pct('abandoned', 'offered - still_waiting') }} as abandon_rate_ftc_pct,
        {{ pct('abandoned', 'abandoned + answered') }} as abandon_rate_ofcom_pct
    from counted
)

select
    queue,
    occurred_on,
    offered,
    answered,
    abandoned,
    short_abandons,
    other_exits,
    still_waiting,
    answered_within_target,
    service_level_pct,
    abandon_rate_{{ var('abandonment_rule') }}_pct as abandon_rate_pct,
    abandon_rate_offered_pct,
    abandon_rate_ftc_pct,
    abandon_rate_ofcom_pct,
    average_speed_of_answer_seconds,
    longest_wait_seconds,
    target_seconds
from rates
