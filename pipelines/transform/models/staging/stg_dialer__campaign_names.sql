-- Which campaign a name means: the one listed under it, else the one that was; none where several.
with candidates as (
    select id, name
    from {{ source('dialer', 'campaigns') }}
    where name <> ''
    qualify rank() over (partition by name order by deleted_at is not null) = 1
)

select
    name as campaign_name,
    if(count(*) = 1, min(id), null) as campaign_id
from candidates
group by name
