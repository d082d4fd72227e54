"""What happened (Event), what still follows from it (Handling), which API writes were already answered, what failed."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _


class Event(models.Model):
    """One fact, recorded in the transaction of its cause. Never changed, never deleted but by retention."""

    type = models.CharField(_("type"), max_length=80)
    stream = models.CharField(_("stream"), max_length=80)
    payload = models.JSONField(_("payload"), default=dict)
    actor = models.CharField(_("actor"), max_length=40)
    at = models.DateTimeField(_("at"))

    # The row it is about, only between recording and listening (see events.Entry).
    subject: Any = None

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("event log")
        indexes = [
            models.Index(fields=["stream", "id"], name="event_by_stream"),
            models.Index(fields=["type", "at"], name="event_by_type"),
        ]

    def __str__(self) -> str:
        return f"{self.type} #{self.pk}"


class HandlingQuerySet(models.QuerySet):
    def heads(self) -> HandlingQuerySet:
        """The oldest unfinished handling of each (subscriber, stream): only these may run, so order is kept."""
        earlier = Handling.objects.filter(
            subscriber=models.OuterRef("subscriber"),
            stream=models.OuterRef("stream"),
            is_dead=False,
            id__lt=models.OuterRef("id"),
        )
        return self.filter(~models.Exists(earlier), is_dead=False)

    def dead(self) -> HandlingQuerySet:
        return self.filter(is_dead=True)


class Handling(models.Model):
    """One durable follow-up still to do: a work list, so that a row disappears when its work is done."""

    event = models.ForeignKey(Event, models.CASCADE, related_name="handlings", verbose_name=_("event"))
    subscriber = models.CharField(_("subscriber"), max_length=120)
    stream = models.CharField(_("stream"), max_length=80)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    due_at = models.DateTimeField(_("due at"))
    is_dead = models.BooleanField(_("dead"), default=False)
    last_error = models.TextField(_("last error"), blank=True)

    objects = HandlingQuerySet.as_manager()

    class Meta:
        verbose_name = _("follow-up")
        verbose_name_plural = _("follow-ups")
        constraints = [models.UniqueConstraint(fields=["event", "subscriber"], name="handling_once")]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(is_dead=False), name="handling_due"),
            models.Index(
                fields=["subscriber", "stream", "id"],
                condition=models.Q(is_dead=False),
                name="handling_order",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscriber} ← {self.event_id}"


class IdempotencyKey(models.Model):
    """The stored answer to a creating API call, so that a retry is answered and not done again."""

    caller = models.CharField(max_length=80)
    key = models.CharField(max_length=200)
    body_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.JSONField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="idempotency_key_once")]
        indexes = [models.Index(fields=["created_at"], name="idempotency_key_age")]

    def __str__(self) -> str:
        return self.key


class ErrorGroupQuerySet(models.QuerySet):
    def alarming(self) -> ErrorGroupQuerySet:
        """Incidents nobody has acknowledged."""
        return self.filter(alarmed_at__isnull=False, acknowledged_at=None)


class ErrorGroup(models.Model):
    """Errors of one kind at one place: counted, without anything a person said or is. Critical ones are incidents."""

    fingerprint = models.CharField(max_length=64, unique=True, editable=False)
    level = models.CharField(_("level"), max_length=10)
    logger = models.CharField(_("logger"), max_length=100)
    title = models.CharField(_("what"), max_length=200)
    place = models.CharField(_("where"), max_length=200, blank=True)
    count = models.PositiveBigIntegerField(_("times"), default=0)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))
    request_id = models.CharField(_("last request"), max_length=64, blank=True)
    # An incident lasts from here to its acknowledgement; a later error begins the next one.
    alarmed_at = models.DateTimeField(_("incident since"), null=True)
    acknowledged_at = models.DateTimeField(_("acknowledged"), null=True)
    acknowledged_by = models.CharField(_("acknowledged by"), max_length=40, blank=True)

    objects = ErrorGroupQuerySet.as_manager()

    class Meta:
        verbose_name = _("error")
        verbose_name_plural = _("errors")
        indexes = [
            models.Index(fields=["-last_seen_at"], name="error_by_time"),
            models.Index(
                fields=["alarmed_at"], condition=models.Q(acknowledged_at=None), name="error_alarming"
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_alarming(self) -> bool:
        return self.alarmed_at is not None and self.acknowledged_at is None

    @property
    def stream(self) -> str:
        return f"error:{self.pk}"
