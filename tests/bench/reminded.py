"""People to be reminded, and what reminds them: rows by the hundred thousand, written by the database itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone

if TYPE_CHECKING:
    from apps.notifications.models import Campaign

_FUTURE = """
INSERT INTO notifications_delivery (cause, occurrence, recipient, way, customer_id, address, purpose_id,
    template_version_id, context, priority, state, reason, slot_at, due_at, tries, claim, provider_id, created_at)
SELECT 'future:' || n, '', recipient, way, customer_id, '', purpose_id, template_version_id, '{}', priority, 'due', '',
    now() + interval '1 day', now() + interval '1 day' + n * interval '1 second', 0, 0, '', now()
FROM (SELECT * FROM notifications_delivery LIMIT 1) one, generate_series(1, %s) n
"""
TEXTS = {
    "email": {
        "en": {
            "subject": "{customer.first_name|Hello}, your appointment",
            "body": "Dear {customer.first_name|customer},\n\nthis is to remind you: {reminder.note}\n\n"
            "Not needed any more? {unsubscribe.link}\n\nYours, the desk\n",
        }
    }
}
_CUSTOMERS = """
WITH made AS (
    INSERT INTO users_customer (name, time_zone, language, attributes, created_at, version)
    SELECT 'Name' || n || ' Family', (ARRAY['Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'UTC'])[1 + n %% 4],
        'en', '{}', now(), 1 FROM generate_series(1, %s) n
    RETURNING id
)
INSERT INTO users_contactpoint (customer_id, kind, value, is_verified)
SELECT id, 'email', 'customer' || id || '@example.org', true FROM made
"""
_REMINDERS = """
WITH people AS (SELECT id FROM users_customer ORDER BY id LIMIT %(count)s), made AS (
    INSERT INTO notifications_reminder (template_id, ways, customer_id, note, date, time, fold, zone, rrule, catch_up,
        state, round, next_slot, next_at, created_at)
    SELECT %(template)s, '["email"]', id, 'Bring the papers of case ' || id, %(date)s, %(time)s, 0, 'UTC', 'FREQ=DAILY',
        'send', 'active', 0, %(slot)s, %(at)s, now() FROM people
    RETURNING id, customer_id
)
INSERT INTO notifications_delivery (cause, occurrence, recipient, way, customer_id, address, purpose_id,
    template_version_id, context, priority, state, reason, slot_at, due_at, tries, claim, provider_id, created_at)
SELECT 'reminder:' || id, %(slot)s, 'customer:' || customer_id, 'email', customer_id, '', %(purpose)s, %(version)s,
    '{}', 1, 'due', '', %(at)s, %(at)s + id %% %(count)s * interval '1 millisecond' * %(step)s, 0, 0, '', now()
FROM made
"""


def make_template() -> None:
    from apps.notifications.models import Purpose, Template, TemplateVersion

    purpose = Purpose.objects.create(slug="bench", name="Appointments")
    template = Template.objects.create(slug="bench", name="Appointment", purpose=purpose, version=1)
    TemplateVersion.objects.create(template=template, number=1, texts=TEXTS)


def make_customers(count: int) -> None:
    _execute(_CUSTOMERS, [count])


def make_reminders(count: int, *, at: datetime, step: float = 0.0) -> None:
    """Daily ones with their delivery of `at`, one for each of the first `count` customers; `step` milliseconds between
    one delivery and the next, else all at the same moment."""
    from apps.notifications import wake
    from apps.notifications.models import TemplateVersion

    version = TemplateVersion.objects.select_related("template").get(template__slug="bench")
    at = at.astimezone(UTC)
    _execute(
        _REMINDERS,
        {
            "count": count,
            "template": version.template_id,
            "version": version.pk,
            "purpose": version.template.purpose_id,
            "date": at.date(),
            "time": at.time().replace(microsecond=0),
            "slot": at.strftime("%Y-%m-%dT%H:%M"),
            "at": at,
            "step": step,
        },
    )
    # As whatever makes deliveries does; notifiers that looked before would sleep for a minute.
    _execute(f"NOTIFY {wake.CHANNEL}", [])


def make_campaign() -> Campaign:
    """Of the same text, to all customers, as fast as a campaign may be."""
    from apps.core.events import SYSTEM
    from apps.notifications.models import Segment, Template
    from apps.notifications.models.campaigns import MOST_PER_MINUTE
    from apps.notifications.services import campaigns

    plan = campaigns.Plan(
        name="bench",
        template=Template.objects.get(slug="bench"),
        ways=["email"],
        team=None,
        segment=Segment.objects.create(name="everybody", filter={}),
        per_minute=MOST_PER_MINUTE,
    )
    return campaigns.create(plan, by=SYSTEM, now=timezone.now())


def start_campaign(row: Campaign) -> None:
    from apps.core.events import SYSTEM
    from apps.notifications.services import campaigns

    campaigns.start(row.pk, by=SYSTEM, now=timezone.now())


def is_over(row: Campaign) -> bool:
    row.refresh_from_db()
    return row.ended_at is not None


def make_future(count: int) -> None:
    """As many again that wait for another day: copies of what is there, under other names."""
    _execute(_FUTURE, [count])


def forget() -> None:
    """All of it but the customers, so that one measurement does not weigh on the next."""
    _execute("TRUNCATE notifications_attempt, notifications_delivery, notifications_reminder CASCADE", [])


def forget_due() -> None:
    """What is due or was claimed, but not what waits for another day."""
    _execute("TRUNCATE notifications_attempt", [])
    _execute("DELETE FROM notifications_delivery WHERE due_at <= now()", [])


def _execute(sql: str, values: Any) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        # A hundred thousand rows in one statement may take longer than a page may.
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(sql, values)
        cursor.execute("SET statement_timeout = '5s'")
    tidy()


def tidy() -> None:
    """What autovacuum would have done by now."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(
            "VACUUM ANALYZE users_customer, users_contactpoint, notifications_reminder, notifications_delivery"
        )
        cursor.execute("SET statement_timeout = '5s'")
