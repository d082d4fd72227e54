"""What goes out: gateways, the queues before them, one row for each thing to be sent, and every attempt."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from apps.core.secrets import SecretJSONField
from apps.messaging.models import Inbox
from apps.users.models import Customer

from ..choices import DeliveryState, ErrorKind, Priority, Reason, UnknownOutcome, Way
from .texts import Purpose, TemplateVersion


class Gateway(models.Model):
    """One provider that is set up: which kind it is, how to reach it, and how it is doing."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    way = models.CharField(_("way"), max_length=10, choices=Way)
    # A folder of apps.notifications.gateways: smtp, outbox, twilio, http …
    kind = models.CharField(_("kind"), max_length=20)
    options = models.JSONField(_("options"), default=dict, blank=True)
    secrets = SecretJSONField(_("secrets"), default=dict, blank=True)
    rank = models.PositiveSmallIntegerField(
        _("rank"), default=1, help_text=_("The lowest one that works is used.")
    )
    per_minute = models.PositiveIntegerField(
        _("most per minute"), null=True, blank=True, help_text=_("What the provider allows. Empty: no limit.")
    )
    unknown_outcome = models.CharField(
        _("when the outcome is unknown"), max_length=10, choices=UnknownOutcome, default=UnknownOutcome.RESEND
    )
    is_active = models.BooleanField(_("active"), default=True)
    # The breaker: failures in a row, and until when nothing is tried.
    failures = models.PositiveIntegerField(default=0, editable=False)
    broken_until = models.DateTimeField(_("resting until"), null=True, editable=False)
    # The pace: until when its tickets are given away (see pacing.py).
    given_until = models.DateTimeField(null=True, editable=False)
    history = HistoricalRecords(excluded_fields=["secrets", "failures", "broken_until", "given_until"])

    class Meta:
        verbose_name = _("gateway")
        verbose_name_plural = _("gateways")
        ordering = ["way", "rank", "id"]

    def __str__(self) -> str:
        return self.name


class InboxGateway(models.Model):
    """The gateway by which what agents answer in an inbox goes out; without one it is the first in rank that works."""

    inbox = models.OneToOneField(
        Inbox, models.CASCADE, related_name="gateway_of_its_own", verbose_name=_("inbox")
    )
    gateway = models.ForeignKey(
        Gateway, models.CASCADE, related_name="inbox_links", verbose_name=_("gateway")
    )

    class Meta:
        verbose_name = _("gateway of an inbox")
        verbose_name_plural = _("gateways of inboxes")

    def __str__(self) -> str:
        return f"{self.inbox} → {self.gateway}"


class SendingQueue(models.Model):
    """What waits for one way at one priority: may be paused and slowed down."""

    way = models.CharField(_("way"), max_length=10, choices=Way)
    priority = models.PositiveSmallIntegerField(_("priority"), choices=Priority)
    is_paused = models.BooleanField(_("paused"), default=False)
    per_minute = models.PositiveIntegerField(
        _("most per minute"), null=True, blank=True, help_text=_("Empty: as fast as the gateway takes it.")
    )
    given_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("sending queue")
        verbose_name_plural = _("sending queues")
        ordering = ["way", "priority"]
        constraints = [models.UniqueConstraint(fields=["way", "priority"], name="sending_queue_once")]

    def __str__(self) -> str:
        return f"{self.get_way_display()}, {self.get_priority_display()}"

    @property
    def stream(self) -> str:
        return f"sending:{self.way}.{self.priority}"


class DeliveryQuerySet(models.QuerySet):
    def due(self, now: datetime) -> DeliveryQuerySet:
        return self.filter(state=DeliveryState.DUE, due_at__lte=now)

    def dead(self) -> DeliveryQuerySet:
        return self.filter(state=DeliveryState.DEAD)


class Delivery(models.Model):
    """One thing for one recipient by one way, once: (cause, occurrence, recipient, way) is unique.

    Written in the transaction of its cause. `cause` names it ("reminder:12", "campaign:3", "automation:5",
    "message:77", "alert:9"), `occurrence` tells its repetitions apart ("2026-10-25T02:30", an event's id, "").
    """

    cause = models.CharField(_("cause"), max_length=60)
    occurrence = models.CharField(_("occurrence"), max_length=60, blank=True)
    # "customer:7", "user:5", "webhook:3"; `address` is where it went, filled in when it is sent.
    recipient = models.CharField(_("recipient"), max_length=40)
    way = models.CharField(_("way"), max_length=10, choices=Way)
    # Every state it goes through is a new entry in each index of this table: only what is looked for has one.
    customer = models.ForeignKey(
        Customer,
        models.PROTECT,
        null=True,
        related_name="deliveries",
        verbose_name=_("customer"),
        db_index=False,
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="deliveries",
        verbose_name=_("user"),
        db_index=False,
    )
    address = models.CharField(_("address"), max_length=500, blank=True)
    purpose = models.ForeignKey(
        Purpose,
        models.PROTECT,
        null=True,
        related_name="deliveries",
        verbose_name=_("purpose"),
        db_index=False,
    )
    # Empty for what has no template: an agent's answer, a webhook. Those carry their text in `context`.
    template_version = models.ForeignKey(
        TemplateVersion,
        models.PROTECT,
        null=True,
        related_name="deliveries",
        verbose_name=_("template"),
        db_index=False,
    )
    # Ids and small values that the placeholders need; never more than the text shows.
    context = models.JSONField(_("context"), default=dict)
    priority = models.PositiveSmallIntegerField(_("priority"), choices=Priority, default=Priority.NORMAL)
    state = models.CharField(_("state"), max_length=12, choices=DeliveryState, default=DeliveryState.DUE)
    # Why it waits (quiet hours) or did not go out.
    reason = models.CharField(_("reason"), max_length=20, choices=Reason, blank=True)
    # When it was meant to go out, and when it is tried next.
    slot_at = models.DateTimeField(_("meant for"))
    due_at = models.DateTimeField(_("due at"))
    expires_at = models.DateTimeField(_("not after"), null=True)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    # While it is being sent: until when, and which claim; a later claim makes an older one worthless.
    leased_until = models.DateTimeField(null=True)
    claim = models.PositiveIntegerField(default=0)
    gateway = models.ForeignKey(
        Gateway,
        models.SET_NULL,
        null=True,
        related_name="deliveries",
        verbose_name=_("gateway"),
        db_index=False,
    )
    # By this gateway and no other, as long as it has inboxes of its own and is switched on.
    via = models.ForeignKey(
        Gateway, models.SET_NULL, null=True, related_name="+", verbose_name=_("only by"), db_index=False
    )
    provider_id = models.CharField(_("provider's id"), max_length=200, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints = [
            models.UniqueConstraint(fields=["cause", "occurrence", "recipient", "way"], name="delivery_once")
        ]
        indexes = [
            # The sending queues: what is next.
            models.Index(
                fields=["way", "priority", "due_at", "id"], condition=Q(state="due"), name="delivery_due"
            ),
            models.Index(fields=["leased_until"], condition=Q(state="sending"), name="delivery_leased"),
            models.Index(
                fields=["way", "priority"], condition=Q(state__in=["dead", "review"]), name="delivery_stuck"
            ),
            models.Index(fields=["customer", "-id"], name="delivery_by_customer"),
            models.Index(fields=["user", "-id"], condition=Q(user__isnull=False), name="delivery_by_user"),
            # What a new text of a template is for.
            models.Index(
                fields=["template_version"], condition=Q(state="due"), name="delivery_due_with_text"
            ),
            models.Index(
                fields=["provider_id"], condition=~Q(provider_id=""), name="delivery_by_provider_id"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.cause} {self.occurrence} → {self.recipient}"

    @property
    def stream(self) -> str:
        return f"delivery:{self.pk}"

    @property
    def key(self) -> str:
        """The same for every attempt: a provider's idempotency key, a mail's Message-ID."""
        return f"eml-{self.pk}"


class Attempt(models.Model):
    """One try to send a delivery, and how it ended."""

    # The index of `attempt_once` serves it too.
    delivery = models.ForeignKey(
        Delivery, models.CASCADE, related_name="attempts", verbose_name=_("delivery"), db_index=False
    )
    number = models.PositiveSmallIntegerField(_("number"))
    gateway = models.ForeignKey(
        Gateway, models.SET_NULL, null=True, related_name="+", verbose_name=_("gateway"), db_index=False
    )
    at = models.DateTimeField(_("at"))
    # Empty when it went out.
    error = models.CharField(_("error"), max_length=15, choices=ErrorKind, blank=True)
    detail = models.CharField(_("detail"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["delivery", "number"], name="attempt_once")]

    def __str__(self) -> str:
        return f"{self.delivery_id}/{self.number}"


class Receipt(models.Model):
    """Something a provider told us, once: delivered, bounced, complained, or a message that arrived."""

    # "twilio:3" (kind and gateway) and the provider's own id of the notice.
    source = models.CharField(max_length=60)
    source_id = models.CharField(max_length=200)
    delivery = models.ForeignKey(
        Delivery, models.SET_NULL, null=True, related_name="receipts", verbose_name=_("delivery")
    )
    kind = models.CharField(_("kind"), max_length=20)
    # What it is about, in the provider's words, and what he said: it may come before we know what it belongs to.
    provider_id = models.CharField(_("provider's id"), max_length=200, blank=True)
    detail = models.CharField(_("detail"), max_length=100, blank=True)
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        constraints = [models.UniqueConstraint(fields=["source", "source_id"], name="receipt_once")]
        indexes = [
            models.Index(
                fields=["at"],
                condition=Q(delivery=None) & ~Q(provider_id=""),
                name="receipt_without_delivery",
            )
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.source_id}"


class OutboxMessage(models.Model):
    """What went into the outbox of this installation instead of to a provider: it never left the machine."""

    # A repeated attempt finds it.
    delivery = models.OneToOneField(
        Delivery, models.CASCADE, related_name="outbox_message", verbose_name=_("delivery")
    )
    way = models.CharField(_("way"), max_length=10, choices=Way)
    sender = models.CharField(_("from"), max_length=320, blank=True)
    to = models.CharField(_("to"), max_length=500)
    subject = models.CharField(_("subject"), max_length=250, blank=True)
    text = models.TextField(_("text"), blank=True)
    html = models.TextField(_("HTML"), blank=True)
    headers = models.JSONField(_("headers"), default=dict)
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("outbox message")
        verbose_name_plural = _("outbox")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.subject or self.text[:60]
