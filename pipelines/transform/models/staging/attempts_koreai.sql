select
    null::varchar as attempt_id, 'koreai' as vendor, null::varchar as channel, null::varchar as direction,
    null::varchar as campaign_id, null::varchar as campaign_name,
    null::varchar as phone, null::varchar as email,
    null::timestamptz as occurred_at, null::timestamptz as occurred_after, false as is_observed,
    null::varchar as outcome, null::varchar as outcome_detail, false as reached,
    null::double as duration_seconds, null::varchar as agent_id,
    null::varchar as source_table, null::varchar as source_key
where false
