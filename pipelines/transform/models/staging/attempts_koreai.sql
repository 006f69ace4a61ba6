-- One attempt per step of a contact's counter between two of its versions. A counter that falls
-- began anew: what it shows then was made since. What was there at the first sight has no time.
-- A run of the counter whose value was not lower at the next observation cannot be told apart.
with changed as (
    select campaign_id, phone_number, unique_id
    from {{ ref('stg_koreai__contact_versions') }}
    where load_id > {{ since('koreai') }}
    union
    select campaign_id, phone_number, unique_id
    from {{ ref('stg_koreai__contact_versions') }}
    semi join (
        from {{ ref('stg_koreai__campaign_names') }}
        where is_first and load_id > {{ since('koreai') }}
    ) using (campaign_id)
),

words (word, outcome) as (
    values
    ('completed', 'answered'), ('answered', 'answered'), ('connected', 'answered'),
    ('userhangup', 'answered'), ('agenthangup', 'answered'), ('bothangup', 'answered'),
    ('noanswer', 'no_answer'), ('notanswered', 'no_answer'), ('unanswered', 'no_answer'),
    ('busy', 'busy'), ('userbusy', 'busy'), ('linebusy', 'busy'),
    ('failed', 'failed'), ('failure', 'failed'), ('error', 'failed'), ('rejected', 'failed'),
    ('invalidnumber', 'failed'), ('unreachable', 'failed'),
    ('voicemail', 'voicemail'), ('machine', 'voicemail'), ('answeringmachine', 'voicemail'),
    ('machinedetected', 'voicemail'), ('voicemaildetected', 'voicemail'),
    ('dropoff', 'abandoned'), ('dropped', 'abandoned'), ('abandoned', 'abandoned'),
    ('inprogress', 'pending'), ('ringing', 'pending'), ('queued', 'pending')
),

versions as (
    select
        versions.*,
        concat_ws('|', campaign_id, phone_number, unique_id, occurrence) as key_of_contact,
        coalesce(equal_contacts.contact, key_of_contact) as contact,
        regexp_replace(lower(dialer_outcome), '[^a-z]', '', 'g') as dialer_word,
        regexp_replace(lower(bot_status), '[^a-z]', '', 'g') as bot_word,
        regexp_replace(lower(bot_status_detail), '[^a-z]', '', 'g') as detail_word,
        regexp_matches(lower(disposition_codes), '"(voice.?mail|answering.?machine)"')
            as is_voicemail
    from {{ ref('stg_koreai__contact_versions') }} as versions
    semi join changed using (campaign_id, phone_number, unique_id)
    left join {{ ref('stg_koreai__equal_contacts') }} as equal_contacts
        using (campaign_id, phone_number, unique_id, occurrence, observed_at)
),

-- "completed" only says that the call is over; an empty outcome does not say that it is not
told as (
    select
        versions.*,
        if(
            is_voicemail,
            'voicemail',
            coalesce(
                nullif(by_dialer.outcome, 'answered'),
                by_bot.outcome,
                by_detail.outcome,
                by_dialer.outcome,
                if(
                    coalesce(dialer_outcome, bot_status, bot_status_detail, disposition_codes)
                    is null,
                    'pending',
                    'unknown'
                )
            )
        ) as outcome,
        nullif(concat_ws(' / ', dialer_outcome, bot_status), '') as outcome_detail
    from versions
    left join words as by_dialer on by_dialer.word = dialer_word
    left join words as by_bot on by_bot.word = bot_word
    left join words as by_detail on by_detail.word = detail_word
),

counted as (
    select
        *,
        lag(observed_at) over by_time as observed_before,
        lag(observed_to) over by_time as stood_until,
        lag(attempts_so_far) over by_time as attempts_before
    from told
    window by_time as (partition by contact order by observed_at)
),

runs as (
    select
        *,
        if(attempts_so_far >= attempts_before, attempts_before, 0) as made_before,
        count(*) filter (attempts_so_far < attempts_before) over (
            partition by contact order by observed_at
        ) as run
    from counted
),

-- how an attempt ended stands in the last version that shows it
ended as (
    select
        * replace (
            last_value(outcome) over same_count as outcome,
            last_value(outcome_detail) over same_count as outcome_detail
        ),
        last_value(observed_at) over same_count = max(observed_at) over (partition by contact)
            as is_latest
    from runs
    window same_count as (
        partition by contact, run, attempts_so_far order by observed_at
        rows between unbounded preceding and unbounded following
    )
),

steps as (
    select *, unnest(range(made_before + 1, attempts_so_far + 1)) as number
    from ended
    where attempts_so_far > made_before
),

attempts as (
    select
        *,
        concat_ws('|', key_of_contact, epoch_us(observed_at)) as source_key,
        -- of all but the last of a step nothing is told; one that was overtaken is over
        number = attempts_so_far and (is_latest or outcome <> 'pending') as is_told
    from steps
)

select
    concat('koreai:', source_key, '|', number - made_before) as attempt_id,
    'koreai' as vendor,
    'voice' as channel,
    'outbound' as direction,
    nullif(attempts.campaign_id, '') as campaign_id,
    names.campaign_name,
    numbers.e164 as phone,
    null::varchar as email,
    if(observed_before is null, null, observed_at) as occurred_at,
    -- a version that stood until then was seen by each reading since it began
    if(stood_until = observed_at, greatest(observed_before, readings.began_at), observed_before)
        as occurred_after,
    true as is_observed,
    if(is_told, outcome, 'unknown') as outcome,
    if(is_told, outcome_detail, null) as outcome_detail,
    is_told and outcome = 'answered' as reached,
    null::double as duration_seconds,
    null::varchar as agent_id,
    'koreai.campaign_contacts' as source_table,
    source_key
from attempts
asof left join {{ ref('stg_koreai__campaign_names') }} as names
    on names.campaign_id = attempts.campaign_id and names.valid_from <= attempts.observed_at
asof left join {{ ref('stg_koreai__readings') }} as readings
    on readings.campaign_id = attempts.campaign_id and readings.ended_at < attempts.observed_at
left join {{ source('ops', 'phone_numbers') }} as numbers
    on numbers.vendor = 'koreai' and numbers.raw_number = attempts.phone_number
