from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Chosen(models.TextChoices):
    """What the agent says about himself; one of the three axes of presence."""

    SIGNED_OUT = "signed_out", _("Signed out")
    AVAILABLE = "available", _("Available")
    NOT_READY = "not_ready", _("Not ready")


class State(models.TextChoices):
    """What is displayed and measured, computed from the three axes."""

    SIGNED_OUT = "signed_out", _("Signed out")
    DISCONNECTED = "disconnected", _("Connection lost")
    NOT_RESPONDING = "not_responding", _("Not responding")
    NOT_READY = "not_ready", _("Not ready")
    ON_CONTACT = "on_contact", _("On contact")
    OFFERED = "offered", _("Being rung")
    WRAP_UP = "wrap_up", _("Wrap-up")
    AVAILABLE = "available", _("Available")


# Nobody waits for whoever is in one of these.
AWAY = (State.SIGNED_OUT, State.DISCONNECTED)


class ItemState(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    OFFERED = "offered", _("Offered")
    ACTIVE = "active", _("With an agent")
    WRAP_UP = "wrap_up", _("Wrap-up")
    # A callback reached nobody, or its agent snoozed it; it waits again, at its old place, when its time comes.
    RESTING = "resting", _("Comes back later")
    DONE = "done", _("Done")


class OfferState(models.TextChoices):
    OFFERED = "offered", _("Ringing")
    ACCEPTED = "accepted", _("Accepted")
    DECLINED = "declined", _("Declined")
    LAPSED = "lapsed", _("Not answered")
    CANCELLED = "cancelled", _("Cancelled")


class Otherwise(models.TextChoices):
    """What a queue does with whoever comes while it is closed or full."""

    MESSAGE = "message", _("Leave a message")
    CALLBACK = "callback", _("Offer a callback")
    OVERFLOW = "overflow", _("Send to another queue")


class CallbackWay(models.TextChoices):
    CALL = "call", _("Call")
    WRITE = "write", _("Write")


class CallbackState(models.TextChoices):
    REQUESTED = "requested", _("Open")
    REACHED = "reached", _("Reached")
    NOT_REACHED = "not_reached", _("Not reached")
    EXPIRED = "expired", _("Expired")
    CANCELLED = "cancelled", _("Cancelled by the customer")
    ENDED = "ended", _("Ended without an outcome")


# What takes units of an agent, besides live offers.
HELD = (ItemState.ACTIVE, ItemState.WRAP_UP)


# What a score is made of, as the policy calls it and as people read it.
TERMS = {
    "waited": _("waited"),
    "credit": _("head start"),
    "fit": _("fit"),
    "idle": _("idle"),
    "last agent": _("last agent"),
}
