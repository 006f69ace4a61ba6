-- A version without a counter tells nothing of attempts. The vendor allows 100 attempts a contact:
-- a counter beyond 1,000 is a slip, and is taken as 1,000.
select
    campaign_id,
    phone_number,
    unique_id,
    occurrence,
    _dlt_valid_from as observed_at,
    _dlt_valid_to as observed_to,
    least(greatest(number_of_attempts_so_far, 0), 1000) as attempts_so_far,
    nullif(trim(dialer_outcome), '') as dialer_outcome,
    nullif(trim(bot_outbound_status), '') as bot_status,
    nullif(trim(bot_outbound_status_detail), '') as bot_status_detail,
    nullif(agent_disposition_codes::varchar, '[]') as disposition_codes,
    _dlt_load_id as load_id
from {{ source('koreai', 'campaign_contacts') }}
where number_of_attempts_so_far is not null
