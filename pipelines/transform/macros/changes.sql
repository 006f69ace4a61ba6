{# What the marts were last built from stands in ops.marts; a full refresh begins from nothing. #}

{% macro since(vendor) -%}
{%- if flags.FULL_REFRESH -%} ''
{%- else -%} (select coalesce(max(loaded_through ->> '{{ vendor }}'), '') from ops.marts)
{%- endif -%}
{%- endmacro %}

{# The moment that "the last 7 days" count from: when the run began. #}
{% macro as_of() -%} (select max(as_of) from ops.marts) {%- endmacro %}

{% macro today() -%} (select max({{ local_day('as_of') }}) from ops.marts) {%- endmacro %}

{# The day of a time in the configured zone. #}
{% macro local_day(moment) -%} timezone('{{ var("timezone") }}', {{ moment }})::date {%- endmacro %}

{# The day that the marts were counted on when they were last built. #}
{% macro counted_on() -%} (select max(loaded_through ->> 'day')::date from ops.marts) {%- endmacro %}

{# A mart as the last build left it, for a model that the mart itself is made from. #}
{% macro as_built(mart) -%} {{ target.schema }}.{{ mart }} {%- endmacro %}

{# Before rows of changed keys are appended: theirs go, also where none come instead. #}
{% macro forget(changed, keys) -%}
{%- if is_incremental() -%}
delete from {{ this }} as built
using {{ changed }} as changed
where
    {% for key in keys -%}
    built.{{ key }} is not distinct from changed.{{ key }}{{ ' and ' if not loop.last }}
    {%- endfor %}
{%- endif -%}
{%- endmacro %}
