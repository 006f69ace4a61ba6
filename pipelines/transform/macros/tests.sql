{# Every row has a key, and no two rows the same. A part of it may be null where `nullable` says;
   what is in `required` may not be, though it is no part of the key. `vendor`: whose rows all of
   them are, where the mart has no column that tells. Hashes first: keys of millions of rows are
   long texts, and the rows of equal hashes are few. `changed`: the keys of all rows that this build
   made, empty where it made all. Of two rows with one key, one was made last: where that was not
   by this build, the build that made it has looked at it with the same test. #}
{% test is_key(model, columns, nullable=[], required=[], vendor=none, changed=none) %}
{%- set key = (columns + nullable) | join(', ') %}
{%- set nulls = [] %}
{%- for column in columns + required %}{% do nulls.append(column ~ ' is null') %}{% endfor %}
{%- set lacking = '(' ~ (nulls | join(' or ') or 'false') ~ ')' %}
with doubtful as (
    select hash({{ key }}) as hashed
    from {{ model }}
    {% if changed -%}
    where {{ counted_on() }} is null or hash({{ key }}) in (select hash({{ key }}) from {{ changed }})
    {%- endif %}
    group by hashed
    having count(*) > 1
)

select {{ "'" ~ vendor ~ "' as vendor, " if vendor }}*
from {{ model }}
where hash({{ key }}) in (from doubtful) or {{ lacking }}
qualify count(*) over (partition by {{ key }}) > 1 or {{ lacking }}
{% endtest %}
