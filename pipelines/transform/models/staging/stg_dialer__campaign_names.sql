-- Which campaign a name meant, up to each moment at which a campaign was seen to take or leave it,
-- or to be gone: the one listed then, else the one that was gone; none where several bore it. When
-- a campaign was first seen is told by its counts; one without any lead was never called.
with first_seen as (
    select campaign_id, min(observed_at) as seen_at
    from {{ source('dialer', 'campaign_lead_counts') }}
    group by campaign_id
),

earlier as (
    select
        id,
        unnest(
            from_json(earlier_names, '[{"name": "varchar", "until": "timestamptz"}]'),
            recursive := true
        )
    from {{ source('dialer', 'campaigns') }}
),

borne as (
    select id, name, until from earlier
    union all
    select id, name, 'infinity'::timestamptz
    from {{ source('dialer', 'campaigns') }}
    where name <> ''
),

dated as (
    select
        borne.*,
        lag(borne.until) over (partition by borne.id order by borne.until) as taken_at,
        coalesce(taken_at, first_seen.seen_at) as seen_at,
        if(isinf(borne.until), campaigns.deleted_at, null) as gone_at
    from borne
    join {{ source('dialer', 'campaigns') }} as campaigns using (id)
    left join first_seen on first_seen.campaign_id = borne.id
),

moments as (
    select name, until from dated
    union
    select name, seen_at from dated where seen_at is not null
    union
    select name, gone_at from dated where gone_at is not null
),

candidates as (
    select moments.name, moments.until, dated.id
    from moments
    join dated
        on dated.name = moments.name
        and dated.until >= moments.until
        and (dated.until = moments.until or dated.seen_at < moments.until)
    qualify
        rank() over (
            partition by moments.name, moments.until
            order by coalesce(dated.gone_at < moments.until, false), dated.seen_at is null
        ) = 1
)

select
    name as campaign_name,
    until,
    if(count(distinct id) = 1, min(id), null) as campaign_id
from candidates
group by name, until
