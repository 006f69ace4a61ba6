{{ config(severity='warn') }}

select vendor, channel, outcome_detail, count(*) as attempts
from {{ ref('contact_attempts') }}
where outcome = 'unknown' and outcome_detail is not null and not is_observed
group by all
