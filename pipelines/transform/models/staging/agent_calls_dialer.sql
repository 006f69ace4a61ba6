-- An extension is one agent on a day, though its calls may tell no name or several: the latest told.
with calls as (
    select *, {{ local_day('called_at') }} as occurred_on
    from {{ ref('stg_dialer__calls') }}
    where agent_id is not null or agent_name is not null
)

select
    'dialer' as vendor,
    agent_id,
    if(
        agent_id is null,
        agent_name,
        arg_max(agent_name, (called_at, call_key)) over (partition by agent_id, occurred_on)
    ) as agent_name,
    occurred_on,
    call_key,
    talk_seconds,
    coalesce(agent_disposition, disposition) as disposition
from calls
