-- Times stay whole milliseconds here, so that sums do not depend on the order of their rows.
-- `moment` is the order of events as one number: an arg_max by several columns does not spill.
select
    interaction_guid as interaction_id,
    channel_position,
    position,
    coalesce("offset", 0) * 1000000000000::hugeint + channel_position * 1000000 + position as moment,
    "offset" as after_ms,
    duration as duration_ms,
    lower(trim(type)) as event,
    name,
    case lower(trim(type))
        when 'queue' then properties ->> 'result'
        when 'agentqueue' then properties ->> 'result'
        when 'virtualassistant' then properties ->> 'result'
        when 'held' then properties ->> 'type'
        when 'deliveryfailed' then properties ->> 'type'
        when 'disposition' then nullif(trim(properties ->> 'disposition'), '')
        when 'callrating' then properties ->> 'classification'
    end as detail,
    coalesce(lower(properties ->> 'type') in ('interrupted', 'parked'), false) as is_pause,
    properties
from {{ source('vonage', 'interactions__channels__events') }}
where _dlt_load_id > {{ since('vonage') }}
