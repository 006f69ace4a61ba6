with interactions as (
    select
        *,
        coalesce(lower(medium), '') as medium_words,
        lower(trim(direction)) as direction_word,
        replace(lower(status), ' ', '') as status_word
    from {{ source('vonage', 'interactions') }}
    where _dlt_load_id > {{ since('vonage') }}
),

in_our_words as (
    select
        *,
        -- `medium` is free text; voice before email, for a voicemail holds both words
        case
            when contains(medium_words, 'sms') then 'sms'
            when regexp_matches(medium_words, 'phone|voice|call') then 'voice'
            when regexp_matches(medium_words, 'e-?mail') then 'email'
            when regexp_matches(medium_words, 'chat|messag|messenger|whatsapp') then 'chat'
            else 'other'
        end as channel,
        if(direction_word in ('inbound', 'outbound', 'internal'), direction_word, null)
            as direction_told,
        case direction_word
            when 'outbound' then connect_to
            when 'internal' then null
            else connect_from
        end as address
    from interactions
)

select
    guid as interaction_id,
    nullif(conversation_guid, '') as conversation_id,
    start as started_at,
    try(start + to_milliseconds(duration)) as ended_at,
    channel,
    medium,
    direction_told as direction,
    status,
    service_name,
    interaction_plan_mapping__interaction_plan_name as interaction_plan,
    interaction_plan_mapping__reporting_group as reporting_group,
    address,
    -- a SIP address has an @ too, and a colon
    if(contains(address, '@') and not contains(address, ':'), lower(trim(address)), null) as email,
    nullif(trim(outcome), '') as vendor_outcome,
    status_word is not distinct from 'ongoing' or (
        coalesce(status_word not in ('completed', 'internalerror'), true)
        and duration is null
        and outcome is null
    ) as is_ongoing,
    coalesce(status_word = 'internalerror', false) as is_internal_error,
    direction_told is not distinct from 'outbound' as is_outbound,
    duration / 1000.0 as duration_seconds,
    talk_time / 1000.0 as talk_seconds,
    handle_time / 1000.0 as handle_seconds
from in_our_words
