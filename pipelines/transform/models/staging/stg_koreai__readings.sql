-- When all contacts of a campaign were read: in each good run while it was listed and not finished (a
-- finished one may be skipped). A run warns where a campaign is refused and its contacts stay.
select
    campaigns.id as campaign_id,
    runs.started_at as began_at,
    runs.ended_at
from {{ source('ops', 'runs') }} as runs
join {{ source('koreai', 'campaigns') }} as campaigns
    on campaigns._dlt_valid_from <= runs.ended_at
    and (campaigns._dlt_valid_to is null or campaigns._dlt_valid_to > runs.ended_at)
where
    runs.vendor = 'koreai'
    and runs.status = 'ok'
    and not contains(coalesce(runs.warnings::varchar, ''), 'they stay as they were')
    and coalesce(campaigns.status, '') not in ('Completed', 'Stopped')
