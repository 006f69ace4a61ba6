with handled as (
    select
        'vonage' as vendor,
        agent_id,
        null as agent_name,
        started_on as occurred_on,
        if(is_connected, interaction_id, null) as handled_key,
        talk_seconds,
        hold_seconds,
        wrap_seconds,
        handle_seconds,
        disposition,
        rating
    from {{ ref('agent_legs') }}
    union all
    select
        vendor,
        agent_id,
        agent_name,
        occurred_on,
        call_key,
        talk_seconds,
        null,
        null,
        null,
        disposition,
        null
    from {{ ref('agent_calls_dialer') }}
),

by_disposition as (
    select
        vendor,
        agent_id,
        agent_name,
        occurred_on,
        disposition,
        count(*) as legs
    from handled
    where disposition is not null
    group by all
),

dispositions as (
    select
        vendor,
        agent_id,
        agent_name,
        occurred_on,
        sum(legs)::bigint as dispositions,
        arg_min(disposition, (-legs, disposition)) as top_disposition
    from by_disposition
    group by all
),

days as (
    select
        vendor,
        agent_id,
        agent_name,
        occurred_on,
        count(distinct handled_key) as interactions,
        round(sum(talk_seconds), 3) as talk_seconds,
        round(sum(hold_seconds), 3) as hold_seconds,
        round(sum(wrap_seconds), 3) as wrap_seconds,
        round(sum(handle_seconds), 3) as handle_seconds,
        count(rating) as ratings,
        round(avg(rating), 3) as average_rating
    from handled
    group by all
)

select
    days.vendor,
    days.agent_id,
    days.agent_name,
    days.occurred_on,
    days.interactions,
    days.talk_seconds,
    days.hold_seconds,
    days.wrap_seconds,
    days.handle_seconds,
    round(days.handle_seconds / nullif(days.interactions, 0), 3) as average_handle_seconds,
    coalesce(dispositions.dispositions, 0) as dispositions,
    dispositions.top_disposition,
    days.ratings,
    days.average_rating
from days
left join dispositions
    on dispositions.vendor = days.vendor
    and dispositions.agent_id is not distinct from days.agent_id
    and dispositions.agent_name is not distinct from days.agent_name
    and dispositions.occurred_on is not distinct from days.occurred_on
