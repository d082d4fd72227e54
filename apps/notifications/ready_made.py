"""Purposes and templates that are there from the start. What somebody changed is never put back.

`automations`, alerts and the console name some of the templates by their keys: transcript, alert, missed-callback,
low-rating, long-wait, appointment-reminder, follow-up.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps as installed
from django.db import transaction
from django.utils import timezone

TRANSACTIONAL, MARKETING = "transactional", "marketing"

# slug: (name, description, kind, for staff only)
PURPOSES: dict[str, tuple[str, str, str, bool]] = {
    "service": (
        "Service messages",
        "News about something you asked us for, like a call we owe you.",
        TRANSACTIONAL,
        False,
    ),
    "appointments": (
        "Appointment reminders",
        "A reminder before an appointment you made with us.",
        TRANSACTIONAL,
        False,
    ),
    "follow-ups": ("Follow-ups", "We come back to you as we agreed.", TRANSACTIONAL, False),
    "transcripts": (
        "Transcripts",
        "What was said in a conversation, for you to keep.",
        TRANSACTIONAL,
        False,
    ),
    "feedback": ("Feedback requests", "We ask how we did.", TRANSACTIONAL, False),
    "newsletter": ("Newsletter", "News and offers, a few times a year.", MARKETING, False),
    "alerts": ("Alerts", "What the people on duty must know at once.", TRANSACTIONAL, True),
}

_FOOTER = "\n\nYou get this because you agreed to it. Choose what you get: {preferences.link}"
_FOOTER_DE = (
    "\n\nSie erhalten dies, weil Sie zugestimmt haben. Wählen Sie, was Sie erhalten: {preferences.link}"
)

# slug: (name, purpose, texts)
TEMPLATES: dict[str, tuple[str, str, dict[str, dict[str, dict[str, str]]]]] = {
    "service-message": (
        "Service message",
        "service",
        {
            "email": {
                "en": {
                    "subject": "News about your request",
                    "body": "Hello {customer.first_name},\n\n{reminder.note|there is news about your request.}\n\n"
                    "Kind regards\n{agent.name}",
                },
                "de": {
                    "subject": "Neues zu Ihrer Anfrage",
                    "body": "Guten Tag {customer.name|},\n\n{reminder.note|es gibt Neues zu Ihrer Anfrage.}\n\n"
                    "Freundliche Grüße\n{agent.name|Ihr Team}",
                },
            },
            "sms": {
                "en": {"body": "{reminder.note|There is news about your request.}"},
                "de": {"body": "{reminder.note|Es gibt Neues zu Ihrer Anfrage.}"},
            },
        },
    ),
    "appointment-reminder": (
        "Appointment reminder",
        "appointments",
        {
            "email": {
                "en": {
                    "subject": "{appointment.title} on {appointment.starts_at:date}, {appointment.starts_at:time}",
                    "body": "Hello {customer.first_name},\n\nthis is a reminder of {appointment.title} at "
                    "{appointment.starts_at:time} on {appointment.starts_at:weekday}, {appointment.starts_at:date}."
                    "\n\n{reminder.note|}\n\nWe look forward to seeing you.",
                },
                "de": {
                    "subject": "{appointment.title|Termin} am {appointment.starts_at:date}, "
                    "{appointment.starts_at:time} Uhr",
                    "body": "Guten Tag {customer.name|},\n\nwir erinnern Sie an {appointment.title|Ihren Termin} am "
                    "{appointment.starts_at:weekday}, {appointment.starts_at:date}, um {appointment.starts_at:time} "
                    "Uhr.\n\n{reminder.note|}\n\nWir freuen uns auf Sie.",
                },
            },
            "sms": {
                "en": {
                    "body": "Reminder: {appointment.title} at {appointment.starts_at:time} on "
                    "{appointment.starts_at:day}. Reply STOP to end SMS."
                },
                "de": {
                    "body": "Erinnerung: {appointment.title|Ihr Termin} am {appointment.starts_at:day} um "
                    "{appointment.starts_at:time} Uhr. Antworten Sie STOP, um keine SMS mehr zu erhalten."
                },
            },
        },
    ),
    "follow-up": (
        "Follow-up",
        "follow-ups",
        {
            "in_app": {
                "en": {"subject": "Follow-up: {customer.name|a customer}", "body": "{reminder.note|}"},
                "de": {"subject": "Wiedervorlage: {customer.name|ein Kunde}", "body": "{reminder.note|}"},
            },
            "email": {
                "en": {
                    "subject": "As we agreed",
                    "body": "Hello {recipient.first_name},\n\n{reminder.note|we are coming back to you as we agreed.}"
                    "\n\nKind regards\n{agent.name}",
                },
                "de": {
                    "subject": "Wie vereinbart",
                    "body": "Guten Tag {recipient.name|},\n\n{reminder.note|wir melden uns wie vereinbart.}\n\n"
                    "Freundliche Grüße\n{agent.name|Ihr Team}",
                },
            },
            "sms": {
                "en": {"body": "{reminder.note|We are coming back to you as we agreed.}"},
                "de": {"body": "{reminder.note|Wir melden uns wie vereinbart.}"},
            },
        },
    ),
    "transcript": (
        "Transcript of a conversation",
        "transcripts",
        {
            "email": {
                "en": {
                    "subject": "Your conversation with us on {conversation.opened_at:date}",
                    "body": "Hello {customer.first_name},\n\nthank you for writing to us. This is what was said:\n\n"
                    "{conversation.transcript|Nothing was written.}\n\nNo more transcripts? {unsubscribe.link}",
                },
                "de": {
                    "subject": "Ihr Gespräch mit uns am {conversation.opened_at:date}",
                    "body": "Guten Tag {customer.name|},\n\nvielen Dank für Ihre Nachricht. Das wurde geschrieben:\n\n"
                    "{conversation.transcript|Es wurde nichts geschrieben.}\n\n"
                    "Keine Mitschriften mehr? {unsubscribe.link}",
                },
            }
        },
    ),
    "feedback-request": (
        "Feedback request",
        "feedback",
        {
            "email": {
                "en": {
                    "subject": "How did we do?",
                    "body": "Hello {customer.first_name},\n\nyou spoke with {agent.first_name} on "
                    "{conversation.opened_at:date}. How did we do? Just answer this message: we read every word."
                    "\n\nNo more of these? {unsubscribe.link}",
                },
                "de": {
                    "subject": "Wie waren wir?",
                    "body": "Guten Tag {customer.name|},\n\nam {conversation.opened_at:date} haben Sie mit "
                    "{agent.first_name|uns} gesprochen. Wie waren wir? Antworten Sie einfach auf diese Nachricht: "
                    "wir lesen jedes Wort.\n\nKeine Nachfragen mehr? {unsubscribe.link}",
                },
            }
        },
    ),
    "newsletter": (
        "Newsletter",
        "newsletter",
        {
            "email": {
                "en": {
                    "subject": "What is new",
                    "body": "Hello {customer.first_name},\n\nhere is what is new." + _FOOTER,
                    "html": "<h1>What is new</h1><p>Hello {customer.first_name},</p><p>here is what is new.</p>"
                    '<p><small>You get this because you agreed to it. <a href="{preferences.link}">Choose what you '
                    'get</a> or <a href="{unsubscribe.link}">unsubscribe</a>.</small></p>',
                },
                "de": {
                    "subject": "Neuigkeiten",
                    "body": "Guten Tag {customer.name|},\n\ndas ist neu bei uns." + _FOOTER_DE,
                },
            }
        },
    ),
    "alert": (
        "Alert",
        "alerts",
        {
            "in_app": {"en": {"subject": "{alert.title|Something needs you}", "body": "{alert.text|}"}},
            "email": {
                "en": {
                    "subject": "[Alert] {alert.title|Something needs you}",
                    "body": "{alert.title|Something needs you}\n{alert.text|}\n\nSince {alert.at|just now}, "
                    "{alert.count|1} times.\n{alert.link|}",
                }
            },
            "sms": {"en": {"body": "Alert: {alert.title|something needs you}"}},
        },
    ),
    "missed-callback": (
        "Missed callback",
        "alerts",
        {
            "in_app": {
                "en": {
                    "subject": "{customer.name|A customer} was not reached",
                    "body": "{agent.name|An agent} called back and nobody answered.",
                }
            },
            "email": {
                "en": {
                    "subject": "{customer.name|A customer} was not reached",
                    "body": "{customer.name|A customer} asked for a call. {agent.name|An agent} called back and "
                    "nobody answered.\n\n{conversation.link|}",
                }
            },
        },
    ),
    "low-rating": (
        "Low rating",
        "alerts",
        {
            "in_app": {
                "en": {
                    "subject": "{customer.name|A customer} gave {conversation.rating|a low rating}",
                    "body": "{agent.name|Nobody} answered. {conversation.rating_comment|}",
                }
            },
            "email": {
                "en": {
                    "subject": "{customer.name|A customer} gave {conversation.rating|a low rating}",
                    "body": "Conversation {conversation.id} of {team.name}, answered by {agent.name|nobody}, was rated "
                    "{conversation.rating|low}.\n\n{conversation.rating_comment|No comment was left.}\n\n"
                    "{conversation.link|}",
                }
            },
        },
    ),
    "long-wait": (
        "Long wait",
        "alerts",
        {
            "in_app": {
                "en": {
                    "subject": "{customer.name|A customer} waits for a long time",
                    "body": "In {inbox.name}, since {conversation.opened_at:time}.",
                }
            },
            "email": {
                "en": {
                    "subject": "{customer.name|A customer} waits for a long time",
                    "body": "{customer.name|A customer} has been waiting in {inbox.name} since "
                    "{conversation.opened_at}.\n\n{conversation.link|}",
                }
            },
        },
    ),
}


# Made with their template, so that one that was deleted stays away. Only alerts are on from the start; supervisors
# switch on what they want. name: (template, event, fields)
AUTOMATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "Critical errors": (
        "alert",
        "core.incident.opened",
        {
            "ways": ["in_app", "email"],
            "audience": "on_duty",
            "repeat_seconds": 1800,
            "most_repeats": 8,
            "unless": ["core.incident.acknowledged"],
            "is_active": True,
        },
    ),
    "Transcript at the end": (
        "transcript",
        "messaging.conversation.closed",
        {"ways": ["email"], "audience": "customer"},
    ),
    "Missed callback": (
        "missed-callback",
        "routing.callback.missed",
        {"ways": ["in_app"], "audience": "supervisors", "conditions": {"is_last": "yes"}},
    ),
    "Low rating": (
        "low-rating",
        "messaging.conversation.rated",
        {"ways": ["in_app"], "audience": "supervisors", "conditions": {"rating__lte": 2}},
    ),
    "Long wait": (
        "long-wait",
        "routing.item.enqueued",
        {
            "ways": ["in_app"],
            "audience": "supervisors",
            "delay_seconds": 300,
            "unless": ["messaging.conversation.assigned", "messaging.conversation.closed"],
        },
    ),
}


def after_migrate(sender: Any = None, *, using: str, apps: Any = installed, **_: Any) -> None:
    """Receiver of post_migrate: makes what is missing. `migrate` sends the models as they are at that point."""
    try:
        models = [
            apps.get_model("notifications", name)
            for name in ("Purpose", "Template", "TemplateVersion", "Automation")
        ]
    except LookupError:
        return  # migrated back to nothing
    with transaction.atomic(using=using):
        _make(*models, using=using)


def _make(
    purpose_model: Any, template_model: Any, version_model: Any, automation_model: Any, *, using: str
) -> None:
    purposes = {}
    for slug, (name, description, kind, is_for_staff) in PURPOSES.items():
        defaults = {"name": name, "description": description, "kind": kind, "is_for_staff": is_for_staff}
        purposes[slug] = purpose_model.objects.using(using).get_or_create(slug=slug, defaults=defaults)[0]
    there = set(template_model.objects.using(using).values_list("slug", flat=True))
    now = timezone.now()
    for slug, (name, purpose, texts) in TEMPLATES.items():
        if slug in there:
            continue
        template = template_model.objects.using(using).create(
            slug=slug, name=name, purpose=purposes[purpose], version=1
        )
        version_model.objects.using(using).create(template=template, number=1, texts=texts, at=now)
        for title, (of, event_type, fields) in AUTOMATIONS.items():
            if of == slug:
                made = {"template": template, "event_type": event_type, "is_active": False} | fields
                automation_model.objects.using(using).get_or_create(name=title, defaults=made)
