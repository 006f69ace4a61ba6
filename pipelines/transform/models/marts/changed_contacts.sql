-- Besides people with a changed attempt: those of whom one leaves the last 7 or 30 days, or comes
-- into them, and those whose e-mail address has unsubscribed since.
{% set before = counted_on() %}
{% if flags.FULL_REFRESH %}
select contact_key from {{ ref('changed_attempts') }} where false
{% else %}
select contact_key
from {{ ref('changed_attempts') }}
where contact_key is not null
union
select contact_key
from {{ ref('contact_attempts') }}
where contact_key is not null and (
    {% for days in (7, 30) %}
    earliest_on > least({{ before }}, {{ today() }}) - {{ days }}
    and earliest_on <= greatest({{ before }}, {{ today() }}) - {{ days }}
    {% if not loop.last %}or{% endif %}
    {% endfor %}
)
union
select built.contact_key
from {{ as_built('contacts') }} as built
left join {{ ref('email_unsubscribes') }} as unsubscribes on unsubscribes.contact_key = built.email
where built.is_unsubscribed <> (unsubscribes.contact_key is not null)
    or built.unsubscribed_at is distinct from unsubscribes.unsubscribed_at
{% endif %}
