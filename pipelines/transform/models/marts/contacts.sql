{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook="{{ forget(ref('changed_contacts'), ['contact_key']) }}"
) }}

-- An attempt counts in the last n days only if all of the time in which it can have been lies there.
-- All that is kept of a person while millions of attempts are added up has a fixed size (numbers,
-- not texts), so that DuckDB can put it on the disk: channels are bits, the latest attempt a number;
-- of several at one time one whose outcome is known.
{% set changed = ref('changed_contacts') %}
{% set of_changed = 'semi join ' ~ changed ~ ' using (contact_key)' if is_incremental() else '' %}
{% set channels = ['chat', 'email', 'other', 'sms', 'teams', 'voice'] %}
{% set vendors = ['avaamo', 'dialer', 'inwise', 'koreai', 'vonage'] %}
{% set outcomes = [
    'unknown', 'abandoned', 'answered', 'bounced', 'busy', 'delivered', 'failed', 'no_answer',
    'pending', 'sent', 'skipped', 'undelivered', 'voicemail'
] %}
with attempts as (
    select
        contact_key,
        occurred_at,
        earliest_on,
        reached,
        is_touch,
        {{ number_of('channel', channels) }} as channel_number,
        {{ number_of('vendor', vendors) }} as vendor_number,
        {{ number_of('outcome', outcomes) }} as outcome_number
    from {{ ref('contact_attempts') }}
    {{ of_changed }}
    where contact_key is not null and direction <> 'internal'
),

people as (
    select
        contact_key,
        min(occurred_at) as first_contact_at,
        max(occurred_at) as last_contact_at,
        max(
            greatest(coalesce(epoch_us(occurred_at), 0), 0)::hugeint * 10000
            + outcome_number * 100 + channel_number
        ) as latest,
        bit_or(1 << channel_number) as channels,
        bit_or(1 << vendor_number) as vendors,
        count(*) as attempts,
        count(*) filter (where reached) as reached_attempts,
        count(*) filter (where earliest_on > {{ today() }} - 7) as attempts_last_7_days,
        count(*) filter (where earliest_on > {{ today() }} - 30) as attempts_last_30_days,
        count(*) filter (where is_touch and earliest_on > {{ today() }} - 7) as touches_last_7_days,
        count(*) filter (where is_touch and earliest_on > {{ today() }} - 30) as touches_last_30_days
    from attempts
    group by contact_key
),

-- texts for what the numbers mean: once for each combination that there is, not for each person
words as (
    select
        channels as channel_bits,
        vendors as vendor_bits,
        last_numbers,
        {{ words_of('channels', channels) }} as channels,
        {{ words_of('vendors', vendors) }} as vendors,
        ({{ channels }})[last_numbers % 100] as last_channel,
        ({{ outcomes }})[last_numbers // 100] as last_outcome
    from (select distinct channels, vendors, (latest % 10000)::int as last_numbers from people)
),

addresses as (
    select contact_key, arg_max(email, {{ recency() }}) as email
    from {{ ref('contact_attempts') }}
    {{ of_changed }}
    where phone is not null and email is not null
    group by contact_key
)

select
    people.contact_key,
    people.first_contact_at,
    people.last_contact_at,
    unsubscribes.unsubscribed_at,
    if(people.contact_key not like '%@%', people.contact_key, null) as phone,
    if(people.contact_key not like '%@%', addresses.email, people.contact_key) as email,
    words.channels,
    words.vendors,
    words.last_channel,
    words.last_outcome,
    unsubscribes.contact_key is not null as is_unsubscribed,
    people.attempts,
    people.reached_attempts,
    people.attempts_last_7_days,
    people.attempts_last_30_days,
    people.touches_last_7_days,
    people.touches_last_30_days
from people
join words
    on words.channel_bits = people.channels
    and words.vendor_bits = people.vendors
    and words.last_numbers = (people.latest % 10000)::int
left join addresses using (contact_key)
left join {{ ref('email_unsubscribes') }} as unsubscribes
    on unsubscribes.contact_key
        = if(people.contact_key not like '%@%', addresses.email, people.contact_key)
