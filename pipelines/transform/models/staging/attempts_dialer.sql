-- A call names its campaign and nothing more. Which one that is changes when campaigns come, go or
-- are renamed: calls that contact_attempts holds under another one are made anew.
{% set made = none %}
{% if execute and not flags.FULL_REFRESH %}
    {% set made = adapter.get_relation(target.database, target.schema, 'contact_attempts') %}
{% endif %}
with campaign_names as (
    from {{ ref('stg_dialer__campaign_names') }}
),

changed as (
    select call_key
    from {{ source('dialer', 'lead_history') }}
    where _dlt_load_id > {{ since('dialer') }}
    {% if made %}
    union
    select made.source_key
    from {{ made }} as made
    asof left join campaign_names as names
        on names.campaign_name = made.campaign_name and names.until > made.occurred_at
    where made.vendor = 'dialer' and made.campaign_id is distinct from names.campaign_id
    {% endif %}
),

-- the dialer's own words, and the switch's causes (Q.850, as words or as numbers)
words (word, outcome) as (
    values
    ('answered', 'answered'), ('answer', 'answered'), ('connected', 'answered'),
    ('completed', 'answered'), ('success', 'answered'),
    ('noanswer', 'no_answer'), ('notanswered', 'no_answer'), ('unanswered', 'no_answer'),
    ('missed', 'no_answer'), ('nouserresponse', 'no_answer'), ('progresstimeout', 'no_answer'),
    ('originatorcancel', 'no_answer'), ('18', 'no_answer'), ('19', 'no_answer'),
    ('busy', 'busy'), ('userbusy', 'busy'), ('linebusy', 'busy'), ('17', 'busy'),
    ('failed', 'failed'), ('failure', 'failed'), ('error', 'failed'), ('callrejected', 'failed'),
    ('invalidnumber', 'failed'), ('invalidnumberformat', 'failed'),
    ('unallocatednumber', 'failed'), ('noroutedestination', 'failed'),
    ('subscriberabsent', 'failed'), ('usernotregistered', 'failed'),
    ('destinationoutoforder', 'failed'), ('networkoutoforder', 'failed'),
    ('normaltemporaryfailure', 'failed'), ('recoveryontimerexpire', 'failed'),
    ('normalcircuitcongestion', 'failed'), ('switchcongestion', 'failed'),
    ('serviceunavailable', 'failed'), ('requestedchanunavail', 'failed'),
    ('incompatibledestination', 'failed'), ('outgoingcallbarred', 'failed'),
    ('1', 'failed'), ('3', 'failed'), ('20', 'failed'), ('21', 'failed'), ('27', 'failed'),
    ('28', 'failed'), ('34', 'failed'), ('38', 'failed'), ('41', 'failed'), ('42', 'failed'),
    ('voicemail', 'voicemail'), ('answeringmachine', 'voicemail'), ('machine', 'voicemail'),
    ('leftvoicemail', 'voicemail'),
    ('abandoned', 'abandoned'), ('dropped', 'abandoned'),
    ('dialing', 'pending'), ('ringing', 'pending'), ('inprogress', 'pending')
),

calls as (
    select
        *,
        regexp_replace(lower(agent_disposition), '[^a-z0-9]', '', 'g') as agent_word,
        regexp_replace(lower(disposition), '[^a-z0-9]', '', 'g') as call_word,
        regexp_replace(lower(lead_disposition), '[^a-z0-9]', '', 'g') as lead_word,
        regexp_replace(lower(hangup_cause), '[^a-z0-9]', '', 'g') as cause_word,
        regexp_replace(lower(status), '[^a-z0-9]', '', 'g') as status_word,
        -- the agent is rung first: that the agent answered says nothing of the lead
        list_has_any(
            json_extract_string(try_cast(lower(steps::varchar) as json), '$[*].event'),
            ['lead_hangup', 'hold_start', 'hold_stop', 'transfer', 'transfer_enter',
             'transfer_exit']
        ) as has_talked
    from {{ ref('stg_dialer__calls') }}
    {% if not flags.FULL_REFRESH %}semi join changed using (call_key){% endif %}
),

-- what a person or the dialer chose goes before what was measured, the lead's state comes last
told as (
    select
        calls.*,
        coalesce(
            by_agent.outcome,
            by_call.outcome,
            by_lead.outcome,
            if(talk_seconds > 0, 'answered', null),
            by_cause.outcome,
            if(has_talked, 'answered', null),
            by_status.outcome,
            'unknown'
        ) as outcome
    from calls
    left join words as by_agent on by_agent.word = agent_word
    left join words as by_call on by_call.word = call_word
    left join words as by_lead on by_lead.word = lead_word
    left join words as by_cause on by_cause.word = cause_word
    left join words as by_status on by_status.word = status_word
)

select
    'dialer:' || call_key as attempt_id,
    'dialer' as vendor,
    'voice' as channel,
    'outbound' as direction,
    campaign_id,
    campaign_name,
    phone,
    null::varchar as email,
    called_at as occurred_at,
    null::timestamptz as occurred_after,
    false as is_observed,
    outcome,
    coalesce(agent_disposition, disposition, lead_disposition, hangup_cause, status)
        as outcome_detail,
    outcome = 'answered' as reached,
    talk_seconds as duration_seconds,
    agent_id,
    'dialer.lead_history' as source_table,
    call_key as source_key
from told
