-- An activity names the contact and the campaign, not the mail: where a contact got a campaign more
-- than once it belongs to the latest mail before it, or to the first. Of mails, all that share
-- contact and campaign with a changed row are made anew: in a full build all, and the join would
-- only cost memory.
{% set changed = ref('changed_email_contacts') %}
{% set of_changed -%}
{%- if not flags.FULL_REFRESH -%} semi join {{ changed }} using (campaign_id, contact_id) {%- endif -%}
{%- endset %}
with acts as not materialized (
    select contact_id, campaign_id, acted_at, activity
    from {{ ref('stg_inwise__activities') }}
    union all
    select contact_id, campaign_id, acted_at, activity
    from {{ ref('stg_inwise__recent_activities') }}
),

rows_of_changed as (
    select contact_id, campaign_id, sent_at as occurred_at, transaction_id, email, null as activity
    from {{ ref('stg_inwise__sent_emails') }}
    {{ of_changed }}
    union all
    select
        contact_id,
        campaign_id,
        coalesce(acted_at, timestamptz '1970-01-01 00:00:00Z'),
        null,
        null,
        activity
    from acts
    {{ of_changed }}
    where activity in ('emailopened', 'emailclicked', 'emailbounced') and contact_id <> ''
),

numbered as (
    select
        *,
        greatest(1, count(transaction_id) over (
            partition by contact_id, campaign_id
            order by occurred_at nulls last, transaction_id nulls last
        )) as mail
    from rows_of_changed
),

mails as (
    select
        max(transaction_id) as transaction_id,
        contact_id,
        campaign_id,
        max(email) as email,
        max(occurred_at) filter (transaction_id is not null) as sent_at,
        bool_or(activity = 'emailbounced') as is_bounced,
        bool_or(activity = 'emailclicked') as is_clicked,
        bool_or(activity = 'emailopened') as is_opened
    from numbered
    group by contact_id, campaign_id, mail
    having count(transaction_id) > 0
),

attempts as (
    select
        'inwise.sent_emails' as source_table,
        concat_ws('|', transaction_id, contact_id, campaign_id) as source_key,
        campaign_id,
        email,
        sent_at as occurred_at,
        if(is_bounced, 'bounced', 'delivered') as outcome,
        case
            when is_bounced then 'emailBounced'
            when is_clicked then 'emailClicked'
            when is_opened then 'emailOpened'
        end as outcome_detail,
        coalesce(is_clicked or is_opened, false) as reached
    from mails
    union all
    -- the three reasons are inwise's own not to send; of any other it is not known how far it got
    select
        'inwise.undelivered',
        undelivered_id,
        campaign_id,
        email,
        recorded_at,
        if(reason in ('unsubscribed', 'frequency_limit', 'bounced'), 'skipped', 'undelivered'),
        nullif(reason, ''),
        false
    from {{ ref('stg_inwise__undelivered') }}
    where load_id > {{ since('inwise') }}
)

select
    'inwise:' || source_key as attempt_id,
    'inwise' as vendor,
    'email' as channel,
    'outbound' as direction,
    nullif(campaign_id, '') as campaign_id,
    null::varchar as campaign_name,
    null::varchar as phone,
    email,
    occurred_at,
    null::timestamptz as occurred_after,
    false as is_observed,
    outcome,
    outcome_detail,
    reached,
    null::double as duration_seconds,
    null::varchar as agent_id,
    source_table,
    source_key
from attempts
