-- The name of a campaign from a moment on; before the first observation the first one known.
with named as (
    select *, row_number() over (partition by id order by _dlt_valid_from, row_version) as version
    from {{ source('koreai', 'campaigns') }}
    where name <> ''
)

select
    id as campaign_id,
    if(version = 1, timestamptz '1970-01-01 00:00:00Z', _dlt_valid_from) as valid_from,
    name as campaign_name,
    version = 1 as is_first,
    _dlt_load_id as load_id
from named
