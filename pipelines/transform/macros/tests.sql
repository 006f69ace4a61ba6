{# Every row has a key, and no two rows the same. A part of it may be null where `nullable` says;
   what is in `required` may not be, though it is no part of the key. `vendor`: whose rows all of
   them are, where the mart has no column that tells. Hashes first: keys of millions of rows are
   long texts, and the rows of equal hashes are few. #}
{% test is_key(model, columns, nullable=[], required=[], vendor=none) %}
{%- set key = (columns + nullable) | join(', ') %}
{%- set nulls = [] %}
{%- for column in columns + required %}{% do nulls.append(column ~ ' is null') %}{% endfor %}
{%- set lacking = '(' ~ (nulls | join(' or ') or 'false') ~ ')' %}
with doubtful as (
    select hash({{ key }}) as hashed
    from {{ model }}
    group by hashed
    having count(*) > 1
)

select {{ "'" ~ vendor ~ "' as vendor, " if vendor }}*
from {{ model }}
where hash({{ key }}) in (from doubtful) or {{ lacking }}
qualify count(*) over (partition by {{ key }}) > 1 or {{ lacking }}
{% endtest %}
