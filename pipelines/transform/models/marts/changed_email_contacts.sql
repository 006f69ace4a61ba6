-- A contact of a campaign is counted anew where a row of it is new, and where it has another number
-- of rows than before: one has gone to another contact or campaign. There are millions of them, and
-- few change: they are looked at in bundles first.
{% set bundle = 'hash(campaign_id, contact_id) % 65536' %}
{% if flags.FULL_REFRESH %}
select campaign_id, contact_id from {{ source('inwise', 'sent_emails') }} where false
{% else %}
with raw_rows as not materialized (
    {% for table in ['sent_emails', 'activities', 'recent_activities'] %}
    select campaign_id, contact_id, {{ bundle }} as bundle, _dlt_load_id as load_id
    from {{ source('inwise', table) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

built as not materialized (
    select campaign_id, contact_id, {{ bundle }} as bundle, raw_rows
    from {{ as_built('email_contacts') }}
),

bundles as (
    select bundle, count(*) as raw_rows, max(load_id) as load_id from raw_rows group by bundle
),

bundles_before as (
    select bundle, sum(raw_rows) as raw_rows from built group by bundle
),

changed_bundles as (
    select bundle
    from bundles
    full join bundles_before as before using (bundle)
    where load_id > {{ since('inwise') }} or bundles.raw_rows is distinct from before.raw_rows
),

contacts as (
    select campaign_id, contact_id, count(*) as raw_rows, max(load_id) as load_id
    from raw_rows
    semi join changed_bundles using (bundle)
    group by campaign_id, contact_id
),

contacts_before as (
    select campaign_id, contact_id, raw_rows from built semi join changed_bundles using (bundle)
)

select campaign_id, contact_id
from contacts
full join contacts_before as before using (campaign_id, contact_id)
where load_id > {{ since('inwise') }} or contacts.raw_rows is distinct from before.raw_rows
{% endif %}
