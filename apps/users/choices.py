from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What somebody may do; each is a Django group of the same name. Higher roles include the lower."""

    AGENT = "agent", _("Agent")
    SUPERVISOR = "supervisor", _("Supervisor")
    ADMIN = "admin", _("Administrator")


class ContactKind(models.TextChoices):
    EMAIL = "email", _("E-mail")
    PHONE = "phone", _("Phone")


class SignOutReason(models.TextChoices):
    """Why everything ended at once; told to the open sockets and kept in the event log."""

    ASKED = "asked", _("signed out everywhere")
    DEACTIVATED = "deactivated", _("deactivated")
    ROLE_CHANGED = "role_changed", _("role changed")
    PASSWORD_CHANGED = "password_changed", _("password changed")
    SECOND_FACTOR_CHANGED = "second_factor_changed", _("two-factor authentication changed")
    TOKEN_REUSED = "token_reused", _("a refresh token was used twice")
