-- A contact of a campaign is counted anew where a row of it is new, and where it has another number
-- of rows than before: one has gone to another contact or campaign. Campaigns are looked at first,
-- for most had no mail for a long time.
{% if flags.FULL_REFRESH %}
select campaign_id, contact_id from {{ ref('stg_inwise__sent_emails') }} where false
{% else %}
with raw_rows as not materialized (
    {% for table in ['sent_emails', 'activities', 'recent_activities'] %}
    select campaign_id, contact_id, load_id from {{ ref('stg_inwise__' ~ table) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

campaigns as (
    select campaign_id, count(*) as raw_rows, max(load_id) as load_id
    from raw_rows
    group by campaign_id
),

campaigns_before as (
    select campaign_id, sum(raw_rows) as raw_rows
    from {{ as_built('email_contacts') }}
    group by campaign_id
),

changed_campaigns as (
    select campaign_id
    from campaigns
    full join campaigns_before as before using (campaign_id)
    where load_id > {{ since('inwise') }} or campaigns.raw_rows is distinct from before.raw_rows
),

contacts as (
    select campaign_id, contact_id, count(*) as raw_rows, max(load_id) as load_id
    from raw_rows
    semi join changed_campaigns using (campaign_id)
    group by campaign_id, contact_id
),

contacts_before as (
    select campaign_id, contact_id, raw_rows
    from {{ as_built('email_contacts') }}
    semi join changed_campaigns using (campaign_id)
)

select campaign_id, contact_id
from contacts
full join contacts_before as before using (campaign_id, contact_id)
where load_id > {{ since('inwise') }} or contacts.raw_rows is distinct from before.raw_rows
{% endif %}
