{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='attempt_id') }}

{% set all, changed = ref('attempts'), ref('changed_attempts') %}
{% if flags.FULL_REFRESH %}
select * from {{ all }}
{% else %}
select * exclude (is_made) from {{ changed }} where is_made
{% endif %}
