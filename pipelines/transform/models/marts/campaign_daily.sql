{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook="{{ forget(
        ref('changed_campaign_days'), ['vendor', 'campaign_id', 'channel', 'occurred_on']
    ) }}"
) }}

{% set changed = ref('changed_campaign_days') %}
with counted as (
    select
        vendor,
        coalesce(campaign_id, campaign_name) as campaign_id,
        channel,
        occurred_on,
        count(*) as attempts,
        count(*) filter (where is_delivered) as delivered,
        count(*) filter (where reached) as reached,
        count(*) filter (where outcome = 'failed') as failed,
        count(*) filter (where outcome = 'bounced') as bounced,
        count(*) filter (where outcome = 'undelivered') as undelivered,
        count(*) filter (where outcome = 'skipped') as skipped,
        count(*) filter (where outcome = 'no_answer') as no_answer,
        count(*) filter (where outcome = 'busy') as busy,
        count(*) filter (where outcome = 'pending') as pending,
        count(*) filter (
            where outcome in ('sent', 'abandoned', 'voicemail', 'unknown') and not is_delivered
        ) as other_outcomes,
        count(distinct contact_key) as unique_contacts
    from {{ ref('contact_attempts') }} as attempts
    {% if is_incremental() -%}
    semi join {{ changed }} as changed
        on changed.vendor = attempts.vendor
        and changed.campaign_id = coalesce(attempts.campaign_id, attempts.campaign_name)
        and changed.channel = attempts.channel
        and changed.occurred_on is not distinct from attempts.occurred_on
    {%- endif %}
    where campaign_id is not null or campaign_name is not null
    group by all
)

select
    counted.vendor,
    counted.campaign_id,
    counted.occurred_on,
    campaigns.campaign_name,
    counted.channel,
    counted.attempts,
    counted.delivered,
    counted.reached,
    counted.failed,
    counted.bounced,
    counted.undelivered,
    counted.skipped,
    counted.no_answer,
    counted.busy,
    counted.pending,
    counted.other_outcomes,
    counted.unique_contacts,
    {{ pct('counted.delivered', 'counted.attempts') }} as delivered_rate_pct,
    {{ pct('counted.reached', 'counted.attempts') }} as reached_rate_pct,
    {{ pct('counted.failed + counted.bounced + counted.undelivered', 'counted.attempts') }}
        as failed_rate_pct
from counted
join {{ ref('campaigns') }} as campaigns using (vendor, campaign_id)
