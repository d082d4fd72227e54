"""What customers are told while they wait, what they asked for instead of waiting, and how good the promises were."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.messaging.models import Conversation, stream

from ..choices import CallbackState, CallbackWay


class CallbackQuerySet(models.QuerySet):
    def open(self) -> CallbackQuerySet:
        return self.filter(state=CallbackState.REQUESTED)

    def expired(self, now: datetime) -> CallbackQuerySet:
        return self.open().filter(expires_at__lte=now)


class Callback(models.Model):
    """A customer does not wait at the screen: we call him, or write to him, when it is his turn.

    His place in line is that of his conversation's item; this row says how he is to be reached and how that went.
    """

    conversation = models.ForeignKey(
        Conversation, models.PROTECT, related_name="callbacks", verbose_name=_("conversation")
    )
    way = models.CharField(_("how"), max_length=10, choices=CallbackWay)
    phone = models.CharField(_("phone number"), max_length=20, blank=True)
    state = models.CharField(
        _("state"), max_length=15, choices=CallbackState, default=CallbackState.REQUESTED
    )
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    # Set while it rests after a try that reached nobody.
    due_at = models.DateTimeField(_("again at"), null=True)
    requested_at = models.DateTimeField(_("requested"), default=timezone.now)
    # None: its queue never opens for long enough.
    expires_at = models.DateTimeField(_("expires"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)

    objects = CallbackQuerySet.as_manager()

    class Meta:
        verbose_name = _("callback")
        verbose_name_plural = _("callbacks")
        constraints = [
            models.UniqueConstraint(
                fields=["conversation"], condition=Q(state="requested"), name="callback_one_open"
            ),
            models.CheckConstraint(
                condition=Q(way="write", phone="") | (Q(way="call") & ~Q(phone="")),
                name="callback_phone_if_called",
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(state="requested"), name="callback_expiry"),
            models.Index(fields=["-requested_at"], name="callback_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.get_way_display()} {self.phone}".strip()

    @property
    def stream(self) -> str:
        return stream(self.conversation_id)


class WaitTable(models.Model):
    """What a queue has learned about its waits: an `estimate.Table`, with its own error."""

    queue = models.OneToOneField("routing.Queue", models.CASCADE, primary_key=True, related_name="wait_table")
    table = models.JSONField(default=dict)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("wait table")
        verbose_name_plural = _("wait tables")

    def __str__(self) -> str:
        return f"waits of queue {self.queue_id}"


class Announcement(models.Model):
    """What somebody was told when he joined the line. Deleted as soon as his wait has taught the table."""

    item = models.OneToOneField("routing.Item", models.CASCADE, primary_key=True, related_name="announcement")
    queue = models.ForeignKey("routing.Queue", models.CASCADE, related_name="+")
    # How many waited before him.
    length = models.PositiveIntegerField()
    low = models.PositiveIntegerField()
    high = models.PositiveIntegerField()
    mean = models.FloatField()

    class Meta:
        verbose_name = _("announced wait")
        verbose_name_plural = _("announced waits")

    def __str__(self) -> str:
        return f"{self.low}–{self.high} s"
