with marked as (
    select
        *,
        status is distinct from lag(status) over by_time
        or observed_from is distinct from lag(observed_to) over by_time as is_new
    from {{ ref('stg_dialer__lead_versions') }}
    window by_time as (partition by lead_id order by observed_from)
),

numbered as (
    select
        *,
        count(*) filter (where is_new) over (partition by lead_id order by observed_from) as stretch
    from marked
),

stretches as (
    select
        lead_id,
        min(observed_from) as observed_from,
        if(count(observed_to) = count(*), max(observed_to), null) as observed_to,
        any_value(status) as status,
        arg_max(campaign_id, observed_from) as campaign_id
    from numbered
    group by lead_id, stretch
)

select
    lead_id,
    observed_from,
    observed_to,
    campaign_id,
    status,
    epoch(observed_to - observed_from) as observed_seconds
from stretches
