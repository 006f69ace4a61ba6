select
    calls.call_key,
    calls.timestamp as called_at,
    names.campaign_id,
    nullif(calls.campaign_name, '') as campaign_name,
    numbers.e164 as phone,
    coalesce(numbers.e164, trim(calls.lead_number)) as number,
    nullif(trim(calls.agent_extension), '') as agent_id,
    nullif(trim(calls.agent_name), '') as agent_name,
    nullif(trim(calls.disposition), '') as disposition,
    nullif(trim(calls.lead_disposition), '') as lead_disposition,
    nullif(trim(calls.agent_disposition), '') as agent_disposition,
    nullif(trim(calls.hangup_cause), '') as hangup_cause,
    nullif(trim(calls.status), '') as status,
    if(calls.agent_talk_time >= 0, calls.agent_talk_time, null) as talk_seconds,
    calls.lead_history as steps,
    calls._dlt_load_id as load_id
from {{ source('dialer', 'lead_history') }} as calls
asof left join {{ ref('stg_dialer__campaign_names') }} as names
    on names.campaign_name = calls.campaign_name and names.until > calls.timestamp
left join {{ source('ops', 'phone_numbers') }} as numbers
    on numbers.vendor = 'dialer' and numbers.raw_number = calls.lead_number
