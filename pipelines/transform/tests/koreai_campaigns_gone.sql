{{ config(severity='warn') }}

select
    'koreai' as vendor,
    id as campaign_id,
    arg_max(name, _dlt_valid_from) as campaign_name,
    max(_dlt_valid_to) as gone_at
from {{ source('koreai', 'campaigns') }}
group by id
having
    bool_and(_dlt_valid_to is not null)
    and max(_dlt_valid_to) > {{ as_of() }} - interval 7 days
