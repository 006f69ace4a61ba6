select
    'dialer' as vendor,
    agent_id,
    agent_name,
    {{ local_day('called_at') }} as occurred_on,
    call_key,
    talk_seconds,
    coalesce(agent_disposition, disposition) as disposition
from {{ ref('stg_dialer__calls') }}
where agent_id is not null
