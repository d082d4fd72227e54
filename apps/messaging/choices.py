from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class InboxKind(models.TextChoices):
    """Where customers' messages arrive. A new kind brings its own gateway."""

    CHAT = "chat", _("Web chat")


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
