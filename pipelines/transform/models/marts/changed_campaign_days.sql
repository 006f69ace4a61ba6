-- Besides days with a changed attempt: all days of a campaign that has another name now.
{% if flags.FULL_REFRESH %}
select vendor, campaign_id, channel, occurred_on from {{ ref('changed_attempts') }} where false
{% else %}
select vendor, coalesce(campaign_id, campaign_name) as campaign_id, channel, occurred_on
from {{ ref('changed_attempts') }}
where campaign_id is not null or campaign_name is not null
union
select built.vendor, built.campaign_id, built.channel, built.occurred_on
from {{ as_built('campaign_daily') }} as built
join {{ ref('campaigns') }} as campaigns using (vendor, campaign_id)
where built.campaign_name is distinct from campaigns.campaign_name
{% endif %}
