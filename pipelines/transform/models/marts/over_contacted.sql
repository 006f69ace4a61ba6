{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook="{{ forget(ref('changed_contacts'), ['contact_key']) }}"
) }}

{% set ceiling = var('touch_ceiling_per_week') %}
{% set changed = ref('changed_contacts') %}
with touches as (
    select
        contact_key,
        earliest_on,
        occurred_on,
        channel,
        if(date_trunc('week', earliest_on) = date_trunc('week', latest_on),
            date_trunc('week', latest_on)::date, null) as week_starts_on
    from {{ ref('contact_attempts') }}
    {% if is_incremental() %}semi join {{ changed }} using (contact_key){% endif %}
    where is_touch and contact_key is not null and earliest_on is not null
),

weeks as (
    select contact_key, week_starts_on, count(*) as touches
    from touches
    where week_starts_on is not null
    group by all
    having count(*) > {{ ceiling }}
),

recent as (
    select contact_key, count(*) as touches
    from touches
    where earliest_on > {{ today() }} - 7
    group by all
    having count(*) > {{ ceiling }}
),

people as (
    select contact_key from weeks
    union
    select contact_key from recent
),

-- from here on only the touches of these people
theirs as (
    select * from touches semi join people using (contact_key)
),

busiest_days as (
    select contact_key, occurred_on, count(*) as touches
    from theirs
    where occurred_on is not null
    group by contact_key, occurred_on
    qualify row_number() over (partition by contact_key order by touches desc, occurred_on desc) = 1
),

busiest_weeks as (
    select contact_key, week_starts_on, count(*) as touches
    from theirs
    where week_starts_on is not null
    group by contact_key, week_starts_on
    qualify row_number()
        over (partition by contact_key order by touches desc, week_starts_on desc) = 1
),

all_of_them as (
    select
        contact_key,
        string_agg(distinct channel, ', ' order by channel) as channels,
        count(*) filter (where earliest_on > {{ today() }} - 7) as touches_last_7_days
    from theirs
    group by all
),

weeks_over as (
    select contact_key, count(*) as weeks from weeks group by all
)

select
    contact_key,
    busiest_weeks.week_starts_on,
    busiest_days.occurred_on as busiest_day_on,
    all_of_them.channels,
    coalesce(busiest_weeks.touches, 0) as touches,
    coalesce(busiest_days.touches, 0) as busiest_day_touches,
    all_of_them.touches_last_7_days,
    coalesce(weeks_over.weeks, 0) as weeks_over_ceiling,
    {{ ceiling }} as ceiling,
    all_of_them.touches_last_7_days > {{ ceiling }} as is_over_now
from all_of_them
left join busiest_weeks using (contact_key)
left join busiest_days using (contact_key)
left join weeks_over using (contact_key)
