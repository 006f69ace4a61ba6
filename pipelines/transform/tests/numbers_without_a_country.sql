{{ config(severity='warn') }}

with shares as (
    select vendor, raw_number, e164, avg((e164 is null)::int) over (partition by vendor) as share
    from {{ source('ops', 'phone_numbers') }}
)

select vendor, raw_number
from shares
where e164 is null and share > 0.1
