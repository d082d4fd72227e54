from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class InboxKind(models.TextChoices):
    """Where customers' messages arrive. A new kind brings its own gateway."""

    CHAT = "chat", _("Web chat")
    EMAIL = "email", _("E-mail")
    SMS = "sms", _("SMS")


# Their customers write from an address, and are answered there.
WRITTEN_KINDS = (InboxKind.EMAIL, InboxKind.SMS)


class Quarantined(models.TextChoices):
    """Why something that arrived is in no conversation."""

    FORGED = "forged", _("Its reply address is not one we gave out")
    AUTOMATIC = "automatic", _("Written by a machine, and nobody waits for it")
    UNKNOWN_INBOX = "unknown_inbox", _("No inbox has the address it was sent to")
    OVER_LIMITS = "over_limits", _("Too much from this sender within an hour")
    BROKEN = "broken", _("It could not be read, or names no sender")


class Status(models.TextChoices):
    """waiting → active → closed; active → waiting when the agent is lost or passes it on; waiting → closed."""

    WAITING = "waiting", _("Waiting")
    ACTIVE = "active", _("With an agent")
    CLOSED = "closed", _("Closed")


class CloseReason(models.TextChoices):
    RESOLVED = "resolved", _("Closed by an agent")
    ENDED_BY_CUSTOMER = "ended_by_customer", _("Ended by the customer")
    ABANDONED = "abandoned", _("Customer left before an answer")
    INACTIVE = "inactive", _("Nobody wrote for a long time")


class Sender(models.TextChoices):
    CUSTOMER = "customer", _("Customer")
    AGENT = "agent", _("Agent")
    SYSTEM = "system", _("System")
