{{ config(severity='warn') }}

-- handle time may well exceed the duration: it is that of all agents together
select 'vonage' as vendor, 'interaction' as part, interaction_id
from {{ ref('interactions') }}
where
    least(duration_seconds, talk_seconds, handle_seconds, hold_seconds, wrap_seconds) < 0
    or queue_wait_seconds < 0
    or talk_seconds > duration_seconds * greatest(agents, 1) + 1
union all
select 'vonage', 'visit', interaction_id
from {{ ref('queue_visits') }}
where wait_seconds < 0
union all
select 'vonage', 'leg', interaction_id
from {{ ref('agent_legs') }}
where least(hold_seconds, wrap_seconds, handle_seconds) < 0
