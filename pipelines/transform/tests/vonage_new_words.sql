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
),

known as (
    select field, unnest(words) as word
    from (values
        ('status', ['ongoing', 'completed', 'internalerror']),
        ('direction', ['inbound', 'outbound', 'internal']),
        ('party role', ['agent', 'external', 'monitor', 'bot']),
        ('event type', [
            'ringing', 'connected', 'wrap', 'held', 'queue', 'agentqueue', 'applet',
            'interactionplan', 'callrecording', 'disposition', 'callrating', 'monitoring',
            'virtualassistant', 'voicemailrecording', 'datasourcevalueacquired',
            'deliveryfailed', 'audioproblemreported'
        ]),
        ('queue result', [
            'delivered', 'hangup', 'agentdeclinebreakout', 'maxestimatedwaittime',
            'noagentsbreakout', 'queuecapacitybreakout', 'queuetimebreakout',
            'voluntarybreakout', 'agentrecall', 'agenttransfer'
        ])
    ) as lists(field, words)
)

-- a join, not a filter: that would be moved below the counting, to millions of rows
select 'vonage' as vendor, words.field, words.word, words.times
from words
anti join known
    on known.field = words.field and known.word = lower(replace(words.word, ' ', ''))
where words.word is not null
