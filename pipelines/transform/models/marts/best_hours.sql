-- Wilson's score interval: honest for few attempts and for rates near 0 and 100 %.
{% set z = 1.959964 %}
-- Zones differ by whole quarters of an hour: local times of quarters, not of millions of attempts.
with quarters as (
    select
        time_bucket(interval 15 minutes, occurred_at) as quarter,
        channel,
        count(*) as attempts,
        count(*) filter (where reached) as reached
    from {{ ref('contact_attempts') }}
    where direction = 'outbound' and not is_observed and occurred_at is not null
        and outcome not in ('pending', 'skipped')
    group by all
),

local_quarters as (
    select *, timezone('{{ var("timezone") }}', quarter) as local_time
    from quarters
),

hours as (
    select
        isodow(local_time) as weekday,
        hour(local_time) as hour,
        channel,
        sum(attempts)::bigint as attempts,
        sum(reached)::bigint as reached
    from local_quarters
    group by all
),

bounds as (
    select
        *,
        reached / attempts as rate,
        1 + {{ z }} ^ 2 / attempts as scale,
        reached / attempts + {{ z }} ^ 2 / (2 * attempts) as centre,
        {{ z }} * sqrt(
            reached / attempts * (1 - reached / attempts) / attempts
            + {{ z }} ^ 2 / (4 * attempts ^ 2)
        ) as margin
    from hours
)

select
    weekday,
    hour,
    channel,
    attempts,
    reached,
    round(100 * rate, 2) as reached_rate_pct,
    round(100 * greatest(0, (centre - margin) / scale), 2) as reached_rate_low_pct,
    round(100 * least(1, (centre + margin) / scale), 2) as reached_rate_high_pct,
    attempts >= {{ var('minimum_sample') }} as is_sample_large_enough
from bounds
