with both_sides as (
    select guid as interaction_id, 1 as raw_rows, 0 as mart_rows
    from {{ source('vonage', 'interactions') }}
    union all
    select interaction_id, 0, 1
    from {{ ref('interactions') }}
)

select
    'vonage' as vendor,
    interaction_id,
    sum(raw_rows) as raw_rows,
    sum(mart_rows) as mart_rows
from both_sides
group by interaction_id
having sum(raw_rows) <> 1 or sum(mart_rows) <> 1
