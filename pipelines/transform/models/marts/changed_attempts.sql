-- Rows that say what they said before are no change: the vendors' rows are often read again.
{% if flags.FULL_REFRESH %}
select *, true as is_made from {{ ref('attempts') }} where false
{% else %}
with made as materialized (
    select * from {{ ref('attempts') }}
),

made_before as materialized (
    select *
    from {{ as_built('contact_attempts') }}
    semi join made using (attempt_id)
)

select *, true as is_made
from (select * from made except select * from made_before) as changed
union all
select *, false
from (select * from made_before except select * from made) as replaced
{% endif %}
