-- Wilson's score interval: honest for few attempts and for rates near 0 and 100 %.
{% set z = 1.959964 %}
with hours as (
    select
        isodow(timezone('{{ var("timezone") }}', occurred_at)) as weekday,
        hour(timezone('{{ var("timezone") }}', occurred_at)) as hour,
        channel,
        count(*) as attempts,
        count(*) filter (where reached) as reached
    from {{ ref('contact_attempts') }}
    where direction = 'outbound' and not is_observed and occurred_at is not null
        and outcome not in ('pending', 'skipped')
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
