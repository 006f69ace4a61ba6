{{ config(severity='warn') }}

select *
from {{ ref('contact_attempts') }}
where occurred_at > {{ as_of() }} + interval 1 day
