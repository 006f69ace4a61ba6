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
