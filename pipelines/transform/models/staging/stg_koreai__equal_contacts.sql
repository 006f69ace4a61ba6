-- Which versions are one contact's, where a campaign has several with equal phone and unique id: they
-- are numbered by content, and one that moves can change all numbers. Where versions begin they are
-- matched with those that ended since others began: equal counters first, then from the highest down,
-- and contacts that were gone for a while last.
with recursive versions as (
    select
        *,
        concat_ws('|', campaign_id, phone_number, unique_id, occurrence, epoch_us(observed_at))
            as version
    from {{ ref('stg_koreai__contact_versions') }}
    semi join (
        select campaign_id, phone_number, unique_id
        from {{ ref('stg_koreai__contact_versions') }}
        where occurrence > 0
    ) using (campaign_id, phone_number, unique_id)
),

sides as (
    select *, observed_at as moment, true as is_new, true as is_there
    from versions
    union all
    select ended.*, begun.observed_at, false, ended.observed_to = begun.observed_at
    from versions as ended
    asof join (
        select distinct campaign_id, phone_number, unique_id, observed_at from versions
    ) as begun
        on begun.campaign_id = ended.campaign_id
        and begun.phone_number = ended.phone_number
        and begun.unique_id = ended.unique_id
        and begun.observed_at >= ended.observed_to
    where ended.observed_to is not null -- DuckDB's asof join of many rows matches nulls
),

numbered as (
    select
        *,
        row_number() over (
            partition by
                campaign_id, phone_number, unique_id, moment, is_new, is_there, attempts_so_far
            order by occurrence
        ) as number
    from sides
),

compared as (
    select
        *,
        count(*) over (
            partition by
                campaign_id, phone_number, unique_id, moment, is_there, attempts_so_far, number
        ) = 2 as is_equal
    from numbered
),

placed as (
    select
        *,
        row_number() over (
            partition by campaign_id, phone_number, unique_id, moment, is_new, is_equal
            order by is_there desc, attempts_so_far desc, occurrence
        ) as place
    from compared
),

followed as (
    select later.version, earlier.version as version_before
    from placed as later
    left join placed as earlier
        on earlier.campaign_id = later.campaign_id
        and earlier.phone_number = later.phone_number
        and earlier.unique_id = later.unique_id
        and earlier.moment = later.moment
        and earlier.is_equal = later.is_equal
        and earlier.place = later.place
        and not earlier.is_new
    where later.is_new
),

contacts as (
    select version, version as contact
    from followed
    where version_before is null
    union all
    select followed.version, contacts.contact
    from contacts
    join followed on followed.version_before = contacts.version
)

select
    versions.campaign_id,
    versions.phone_number,
    versions.unique_id,
    versions.occurrence,
    versions.observed_at,
    contacts.contact
from versions
join contacts using (version)
