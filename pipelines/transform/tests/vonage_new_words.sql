{{ config(severity='warn') }}

with words as (
    select 'status' as field, status as word, count(*) as times
    from {{ source('vonage', 'interactions') }}
    group by all
    union all
    select 'direction', direction, count(*)
    from {{ source('vonage', 'interactions') }}
    group by all
    union all
    select 'party role', party__role, count(*)
    from {{ source('vonage', 'interactions__channels') }}
    group by all
    union all
    select 'event type', type, count(*)
    from {{ source('vonage', 'interactions__channels__events') }}
    group by all
    union all
    select 'queue result', result, count(*)
    from {{ ref('queue_visits') }}
    group by all
)

select 'vonage' as vendor, field, word, times
from words
where
    word is not null
    and (field, lower(replace(word, ' ', ''))) not in (
        ('status', 'ongoing'), ('status', 'completed'), ('status', 'internalerror'),
        ('direction', 'inbound'), ('direction', 'outbound'), ('direction', 'internal'),
        ('party role', 'agent'), ('party role', 'external'), ('party role', 'monitor'),
        ('party role', 'bot'),
        ('event type', 'ringing'), ('event type', 'connected'), ('event type', 'wrap'),
        ('event type', 'held'), ('event type', 'queue'), ('event type', 'agentqueue'),
        ('event type', 'applet'), ('event type', 'interactionplan'),
        ('event type', 'callrecording'), ('event type', 'disposition'),
        ('event type', 'callrating'), ('event type', 'monitoring'),
        ('event type', 'virtualassistant'), ('event type', 'voicemailrecording'),
        ('event type', 'datasourcevalueacquired'), ('event type', 'deliveryfailed'),
        ('event type', 'audioproblemreported'),
        ('queue result', 'delivered'), ('queue result', 'hangup'),
        ('queue result', 'agentdeclinebreakout'), ('queue result', 'maxestimatedwaittime'),
        ('queue result', 'noagentsbreakout'), ('queue result', 'queuecapacitybreakout'),
        ('queue result', 'queuetimebreakout'), ('queue result', 'voluntarybreakout'),
        ('queue result', 'agentrecall'), ('queue result', 'agenttransfer')
    )
