{# A part of a whole in per cent, null where there is no whole. #}
{% macro pct(part, whole) -%} round(100.0 * ({{ part }}) / nullif({{ whole }}, 0), 2) {%- endmacro %}

{# What makes one attempt later than another; undated ones come first. #}
{% macro recency() -%}
(coalesce(occurred_at, timestamptz '1970-01-01 00:00:00Z'), attempt_id)
{%- endmacro %}

{# The place of a word in a list, from 1; an enum is faster than looking through a list of texts. #}
{% macro number_of(word, words) -%}
enum_code({{ word }}::enum ('{{ words | join("', '") }}'))::int + 1
{%- endmacro %}

{# The words whose bits are set, comma-separated; bit 1 is the first word. #}
{% macro words_of(bits, words) -%}
array_to_string(
    list_filter({{ words }}, lambda word: {{ bits }} & (1 << list_position({{ words }}, word)) > 0),
    ', '
)
{%- endmacro %}
