-- Row by row only where the keys of the two do not agree as a whole: see attempts_complete.
with both_sides as not materialized (
    select guid as interaction_id, 1 as raw_rows, 0 as mart_rows
    from {{ source('vonage', 'interactions') }}
    union all
    select interaction_id, 0, 1
    from {{ ref('interactions') }}
),

as_a_whole as (
    select sum(raw_rows) <> sum(mart_rows) or bit_xor(hash(interaction_id)) <> 0 as is_different
    from both_sides
)

select
    'vonage' as vendor,
    interaction_id,
    sum(raw_rows) as raw_rows,
    sum(mart_rows) as mart_rows
from both_sides
where (select is_different from as_a_whole)
group by interaction_id
having sum(raw_rows) <> 1 or sum(mart_rows) <> 1
