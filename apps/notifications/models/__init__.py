"""What is said (texts), when (reminders), to whom it may be said (people), and what became of it (deliveries)."""

from __future__ import annotations

from .automation import Automation
from .campaigns import Campaign, CampaignRecipient, Segment
from .deliveries import Attempt, Delivery, Gateway, InboxGateway, OutboxMessage, Receipt, SendingQueue
from .people import Notice, Preference, Suppression
from .reminders import Appointment, Reminder
from .texts import Purpose, SendingRule, Template, TemplateVersion
from .webhooks import WebhookSubscription

__all__ = [
    "Appointment",
    "Attempt",
    "Automation",
    "Campaign",
    "CampaignRecipient",
    "Delivery",
    "Gateway",
    "InboxGateway",
    "Notice",
    "OutboxMessage",
    "Preference",
    "Purpose",
    "Receipt",
    "Reminder",
    "Segment",
    "SendingQueue",
    "SendingRule",
    "Suppression",
    "Template",
    "TemplateVersion",
    "WebhookSubscription",
]
