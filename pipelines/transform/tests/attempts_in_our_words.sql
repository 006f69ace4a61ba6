select *
from {{ ref('contact_attempts') }}
where
    channel not in ('voice', 'sms', 'email', 'chat', 'teams', 'other')
    or direction not in ('outbound', 'inbound', 'internal')
    or outcome not in (
        'answered', 'delivered', 'sent', 'pending', 'no_answer', 'busy', 'failed', 'bounced',
        'undelivered', 'skipped', 'abandoned', 'voicemail', 'unknown'
    )
