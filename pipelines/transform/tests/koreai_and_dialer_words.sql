{{ config(severity='warn') }}

select 'koreai' as vendor, 'outcome of a call' as what, outcome_detail as word, count(*) as times
from {{ ref('contact_attempts') }}
where vendor = 'koreai' and outcome = 'unknown' and outcome_detail is not null
group by all
union all
select 'koreai', 'status of a campaign', status, count(*)
from {{ source('koreai', 'campaigns') }}
where
    _dlt_valid_to is null
    and lower(status) not in (
        'active', 'completed', 'ready', 'paused', 'preparing', 'stopped', 'scheduled',
        'rescheduled', 'rerun'
    )
group by all
union all
select 'dialer', 'status of a lead', status, count(*)
from {{ ref('leads') }}
where is_current and status not in ('new', 'success', 'failed', 'voicemail')
group by all
