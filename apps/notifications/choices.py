from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Way(models.TextChoices):
    """How something reaches somebody. A new way brings its own gateway."""

    EMAIL = "email", _("E-mail")
    SMS = "sms", _("SMS")
    IN_APP = "in_app", _("In the console")
    WEBHOOK = "webhook", _("Webhook")


class Priority(models.IntegerChoices):
    """Lower goes first; each way has one sending queue per priority."""

    TRANSACTIONAL = 0, _("Transactional")
    NORMAL = 1, _("Normal")
    BULK = 2, _("Bulk")


class PurposeKind(models.TextChoices):
    """Marketing goes only to who asked for it; what belongs to a contract goes unless it was declined."""

    TRANSACTIONAL = "transactional", _("Belongs to a service the customer uses")
    MARKETING = "marketing", _("Marketing: only with consent")


class DeliveryState(models.TextChoices):
    """due → sending → sent → delivered; sending → due (retry) | dead | review; due → suppressed | cancelled."""

    DUE = "due", _("Waits for its time")
    SENDING = "sending", _("Being sent")
    SENT = "sent", _("Sent")
    DELIVERED = "delivered", _("Delivered")
    DEAD = "dead", _("Failed for good")
    REVIEW = "review", _("Outcome unknown, held for review")
    SUPPRESSED = "suppressed", _("Not sent")
    CANCELLED = "cancelled", _("Cancelled")


class Fate(models.TextChoices):
    """What became of something, or will; of what is over the value is the delivery's state."""

    GOES = "goes", _("Goes out")
    HELD = "held", _("Goes out later")
    WILL_NOT = "will_not", _("Will not go out")
    SENDING = "sending", _("Being sent")
    SENT = "sent", _("Sent")
    DELIVERED = "delivered", _("Delivered")
    DEAD = "dead", _("Failed for good")
    REVIEW = "review", _("Outcome unknown, held for review")
    SUPPRESSED = "suppressed", _("Was not sent")
    CANCELLED = "cancelled", _("Called off")


# What may still go out, or is on its way.
OPEN_STATES = (DeliveryState.DUE, DeliveryState.SENDING)


class Reason(models.TextChoices):
    """Why something waits, or did not go out."""

    QUIET_HOURS = "quiet_hours", _("held by quiet hours")
    CLOSED_DAY = "closed_day", _("held until an allowed day")
    OUT_OF_HOURS = "out_of_hours", _("held until the hours of the campaign")
    OPTED_OUT = "opted_out", _("the customer does not want it")
    NO_CONSENT = "no_consent", _("the customer never agreed to it")
    BOUNCED = "bounced", _("the address does not work any more")
    NO_ADDRESS = "no_address", _("there is no address for this way")
    NO_TEXT = "no_text", _("the template has no text for this way")
    DUPLICATE = "duplicate", _("it went out already")
    CAPPED = "capped", _("the customer had enough for now")
    EXPIRED = "expired", _("its time is over")
    MISSED = "missed", _("missed during an outage, and not to be caught up")
    GONE = "gone", _("the recipient is not active any more")
    NOT_NEEDED = "not_needed", _("what it was about is settled")
    DROPPED = "dropped", _("dropped by a supervisor")


class ErrorKind(models.TextChoices):
    """What a failed attempt tells about the next one."""

    TEMPORARY = "temporary", _("temporary")
    RATE_LIMITED = "rate_limited", _("the provider asks to slow down")
    UNREACHABLE = "unreachable", _("the provider is not reached")
    PERMANENT = "permanent", _("permanent")
    BAD_ADDRESS = "bad_address", _("the address is refused for good")
    UNKNOWN = "unknown", _("the outcome is unknown")


class UnknownOutcome(models.TextChoices):
    """After a crash in the middle of sending nobody knows whether it went out."""

    RESEND = "resend", _("Send again: better twice than never")
    REVIEW = "review", _("Hold for review: better late than twice")


class CatchUp(models.TextChoices):
    """What happens to occurrences missed during an outage."""

    SEND = "send", _("Send late")
    SKIP = "skip", _("Skip")


class ReminderState(models.TextChoices):
    ACTIVE = "active", _("Active")
    DONE = "done", _("Done")
    CANCELLED = "cancelled", _("Cancelled")


class CampaignState(models.TextChoices):
    """draft → scheduled → running ⇄ paused; running → done; scheduled, running, paused → stopped."""

    DRAFT = "draft", _("Draft")
    SCHEDULED = "scheduled", _("Scheduled")
    RUNNING = "running", _("Running")
    PAUSED = "paused", _("Paused")
    DONE = "done", _("Done")
    STOPPED = "stopped", _("Stopped")


class Audience(models.TextChoices):
    """Whom an automation writes to."""

    CUSTOMER = "customer", _("The customer of the conversation")
    AGENT = "agent", _("The agent of the conversation")
    SUPERVISORS = "supervisors", _("The supervisors of its team")
    ADMINS = "admins", _("The administrators")
    ON_DUTY = "on_duty", _("Supervisors and administrators who are signed in, or all of them when nobody is")


class ConsentSource(models.TextChoices):
    """Where a wish of the customer comes from."""

    PREFERENCE_PAGE = "preference_page", _("Preference page")
    ONE_CLICK = "one_click", _("One-click unsubscribe")
    SMS_KEYWORD = "sms_keyword", _("Answer by SMS (STOP, START)")
    COMPLAINT = "complaint", _("Marked as spam")
    STAFF = "staff", _("Told to staff")
    API = "api", _("Another system")
    IMPORT = "import", _("Import")
