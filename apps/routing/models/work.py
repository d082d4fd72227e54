"""What waits (items), who got it and why (decisions), who is rung (offers), and who decides (the lease)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.messaging.models import Conversation

from ..choices import HELD, ItemState, OfferState
from .agents import Agent
from .queues import Queue


class ItemQuerySet(models.QuerySet):
    def waiting(self) -> ItemQuerySet:
        return self.filter(state=ItemState.WAITING)

    def in_line(self) -> ItemQuerySet:
        """Waiting, or being offered: whoever is rung for may still decline, and then nobody has moved up."""
        return self.filter(state__in=[ItemState.WAITING, ItemState.OFFERED])

    def held(self) -> ItemQuerySet:
        """What takes units of an agent (besides live offers)."""
        return self.filter(state__in=HELD)


class Item(models.Model):
    """What waits: a conversation in a queue. `at` never changes, so the place in line is kept through everything."""

    conversation = models.OneToOneField(Conversation, models.PROTECT, related_name="item")
    queue = models.ForeignKey(Queue, models.PROTECT, related_name="items", verbose_name=_("queue"))
    state = models.CharField(_("state"), max_length=10, choices=ItemState, default=ItemState.WAITING)
    at = models.DateTimeField(_("in line since"))
    credit = models.PositiveIntegerField(_("head start"), default=0)
    # rate·at − credit: while everybody ages alike the order of a queue is static, and this is it.
    line_key = models.BigIntegerField()
    agent = models.ForeignKey(Agent, models.PROTECT, null=True, blank=True, related_name="items")
    last_agent = models.ForeignKey(
        Agent, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    # Who declined, did not answer, or had it (agent id → [unix seconds, how]).
    not_to = models.JSONField(default=dict)
    units = models.PositiveSmallIntegerField(default=0)
    # Raised with every change of hands: whoever holds an older number is too late.
    epoch = models.PositiveIntegerField(default=0)
    answered_at = models.DateTimeField(null=True)
    wrap_until = models.DateTimeField(null=True)
    # While it rests because its agent snoozed it: until when, for whom, and what had been said by then.
    snoozed_until = models.DateTimeField(_("snoozed until"), null=True)
    snoozed_for = models.ForeignKey(Agent, models.PROTECT, null=True, related_name="snoozed", db_index=False)
    snoozed_seq = models.PositiveIntegerField(default=0)

    objects = ItemQuerySet.as_manager()

    class Meta:
        verbose_name = _("waiting conversation")
        verbose_name_plural = _("waiting conversations")
        indexes = [
            models.Index(
                fields=["queue", "line_key", "id"],
                condition=Q(state__in=["waiting", "offered"]),
                name="item_line",
            ),
            # One lane: the items of a queue that age alike, oldest first.
            models.Index(
                fields=["queue", "credit", "at", "id"], condition=Q(state="waiting"), name="item_lane"
            ),
            models.Index(fields=["agent"], condition=Q(state__in=["active", "wrap_up"]), name="item_held"),
            models.Index(
                fields=["last_agent"],
                condition=Q(state="waiting", last_agent__isnull=False),
                name="item_knows_agent",
            ),
            models.Index(fields=["wrap_until"], condition=Q(state="wrap_up"), name="item_wrap_up_end"),
            models.Index(fields=["id"], condition=Q(state="resting"), name="item_resting"),
            models.Index(
                fields=["snoozed_for"], condition=Q(snoozed_for__isnull=False), name="item_snoozed_for"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(snoozed_until=None, snoozed_for=None)
                | Q(snoozed_until__isnull=False, snoozed_for__isnull=False, state="resting"),
                name="item_snoozed_rests",
            )
        ]

    def __str__(self) -> str:
        return f"#{self.conversation_id} {self.conversation.customer} ({self.queue})"


class Decision(models.Model):
    """Why this agent: the score, its terms, and everybody else's reason."""

    # One index for each of the few questions that are asked: these rows are written hundreds of times per second.
    item = models.ForeignKey(Item, models.CASCADE, related_name="decisions", db_index=False)
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="+", db_index=False)
    queue = models.ForeignKey(Queue, models.PROTECT, related_name="+", db_index=False)
    policy = models.PositiveIntegerField(_("policy version"))
    at = models.DateTimeField(_("at"))
    score = models.BigIntegerField(_("score"))
    step = models.PositiveSmallIntegerField(_("step"))
    terms = models.JSONField(_("terms"))
    others = models.JSONField(_("others"))

    class Meta:
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        indexes = [models.Index(fields=["item", "-id"], name="decision_by_item")]

    def __str__(self) -> str:
        return f"{self.item_id} → {self.agent_id}"


class OfferQuerySet(models.QuerySet):
    def live(self) -> OfferQuerySet:
        return self.filter(state=OfferState.OFFERED)


class Offer(models.Model):
    """A lease: this agent is rung for this item until `expires_at`. His units are reserved meanwhile."""

    item = models.ForeignKey(Item, models.CASCADE, related_name="offers")
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="offers")
    decision = models.OneToOneField(Decision, models.PROTECT, null=True, related_name="offer")
    state = models.CharField(_("state"), max_length=10, choices=OfferState, default=OfferState.OFFERED)
    epoch = models.PositiveIntegerField()
    units = models.PositiveSmallIntegerField()
    offered_at = models.DateTimeField(_("offered at"))
    expires_at = models.DateTimeField(_("expires at"))
    ended_at = models.DateTimeField(_("ended at"), null=True)

    objects = OfferQuerySet.as_manager()

    class Meta:
        verbose_name = _("offer")
        verbose_name_plural = _("offers")
        constraints = [
            models.UniqueConstraint(
                fields=["item"], condition=Q(state="offered"), name="offer_one_live_per_item"
            )
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(state="offered"), name="offer_expiry"),
            models.Index(fields=["agent"], condition=Q(state="offered"), name="offer_live_by_agent"),
            models.Index(fields=["offered_at"], name="offer_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.item_id} → {self.agent_id} {self.state}"


class RouterLease(models.Model):
    """One row: who may match for this installation, and until when. Its lock is the turn to write.

    `term` rises whenever the lease changes hands: whoever acts on an older one is too late.
    """

    holder = models.CharField(_("holder"), max_length=100, blank=True)
    term = models.PositiveBigIntegerField(_("term"), default=0)
    expires_at = models.DateTimeField(_("expires at"), null=True)
    # Since when somebody holds it without a gap; for the metric.
    taken_at = models.DateTimeField(_("taken at"), null=True)

    class Meta:
        verbose_name = _("router lease")
        verbose_name_plural = _("router leases")

    def __str__(self) -> str:
        return f"{self.holder or '–'} ({self.term})"
