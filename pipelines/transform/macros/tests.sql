{# Every row has a key, and no two rows the same. #}
{% test is_key(model, columns) %}
select *
from (select *, count(*) over (partition by {{ columns | join(', ') }}) as rows_with_this_key from {{ model }})
where rows_with_this_key > 1 or {% for column in columns %}{{ column }} is null{{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}
