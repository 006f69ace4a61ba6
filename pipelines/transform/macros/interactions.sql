{# Before rows of changed interactions are appended: theirs go, also where none come instead. #}
{% macro forget_changed_interactions() -%}
{%- if is_incremental() -%}
delete from {{ this }} where interaction_id in (
    select guid from {{ source('vonage', 'interactions') }}
    where _dlt_load_id > {{ since('vonage') }}
)
{%- endif -%}
{%- endmacro %}
