"""Who may answer what (skills, queues, steps), who is there (agents), what waits (items), who is rung (offers)."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from apps.messaging.models import Conversation, Inbox
from apps.users.models import Team

from .choices import HELD, Chosen, ItemState, OfferState, Otherwise, State
from .models_hours import Calendar, CalendarDay
from .models_policies import PolicyVersion
from .models_waits import Announcement, Callback, WaitTable

__all__ = ["Announcement", "Calendar", "CalendarDay", "Callback", "PolicyVersion", "WaitTable"]

LEVELS = [MinValueValidator(0), MaxValueValidator(5)]


class Skill(models.Model):
    """What an agent can do: a language, a product, a kind of work."""

    name = models.SlugField(_("name"), max_length=50, unique=True)
    description = models.CharField(_("description"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("skill")
        verbose_name_plural = _("skills")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class NotReadyReason(models.Model):
    """Why an agent takes nothing for a while: break, lunch, training."""

    name = models.CharField(_("name"), max_length=50, unique=True)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("not-ready reason")
        verbose_name_plural = _("not-ready reasons")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Queue(models.Model):
    """A policy: which agents may take what waits here, and who of them is best. All weights are seconds of waiting."""

    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(_("key"), unique=True)
    team = models.ForeignKey(Team, models.PROTECT, verbose_name=_("team"), related_name="queues")
    rate = models.PositiveSmallIntegerField(
        _("rate"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("How fast waiting counts here: 2 means that each second of waiting counts as two."),
    )
    w_fit = models.SmallIntegerField(
        _("weight of fit"),
        default=0,
        help_text=_("Seconds for each skill level above the minimum. Negative keeps the experts free."),
    )
    w_idle = models.SmallIntegerField(
        _("weight of idle time"),
        default=1,
        help_text=_("1: the longest idle agent first. 0: idle time does not count."),
    )
    w_last = models.SmallIntegerField(
        _("weight of the last agent"),
        default=0,
        help_text=_(
            "Seconds for the agent the customer knows: his own (attribute “preferred_agent”), else the last one."
        ),
    )
    units = models.PositiveSmallIntegerField(
        _("units"),
        default=4,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_(
            "How much of an agent's capacity (12 by default) one contact takes: a chat 4, an e-mail 2, a call 12."
        ),
    )
    offer_seconds = models.PositiveSmallIntegerField(
        _("ringing time"),
        default=20,
        validators=[MinValueValidator(5), MaxValueValidator(300)],
        help_text=_("Seconds."),
    )
    wrap_up_seconds = models.PositiveSmallIntegerField(
        _("wrap-up time"),
        default=30,
        validators=[MaxValueValidator(3600)],
        help_text=_("Seconds after the end in which the agent keeps the contact's units. 0: none."),
    )
    service_target_seconds = models.PositiveSmallIntegerField(
        _("service target"), default=20, help_text=_("Answer within so many seconds …")
    )
    service_target_percent = models.PositiveSmallIntegerField(
        _("service level"),
        default=80,
        validators=[MaxValueValidator(100)],
        help_text=_("… in so many percent of cases."),
    )
    calendar = models.ForeignKey(
        Calendar,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="queues",
        verbose_name=_("opening hours"),
        help_text=_(
            "While it is closed nobody is rung; what came before or comes meanwhile waits. Empty: always open."
        ),
    )
    when_closed = models.CharField(
        _("while it is closed"), max_length=10, choices=Otherwise, default=Otherwise.MESSAGE
    )
    when_unstaffed = models.CharField(
        _("while nobody is there"),
        max_length=10,
        choices=Otherwise,
        default=Otherwise.MESSAGE,
        help_text=_(
            "While it is open, but nobody is signed in who may ever take something from it. It takes effect as the "
            "last one leaves, also for those who wait."
        ),
    )
    most_waiting = models.PositiveIntegerField(
        _("most in line"),
        null=True,
        blank=True,
        help_text=_("With so many in line it is full. Empty: never."),
    )
    longest_wait_seconds = models.PositiveIntegerField(
        _("longest wait"),
        null=True,
        blank=True,
        help_text=_("Seconds. Whoever waits longer is treated as if it were full. Empty: any time."),
    )
    when_full = models.CharField(
        _("when it is full"), max_length=10, choices=Otherwise, default=Otherwise.MESSAGE
    )
    overflow_to = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="overflow_from",
        verbose_name=_("other queue"),
        help_text=_(
            "Taken if it is open, somebody is there and it is not full itself; contacts keep their place in line."
        ),
    )
    callback_tries = models.PositiveSmallIntegerField(
        _("tries"),
        default=3,
        validators=[MinValueValidator(1), MaxValueValidator(10)],
        help_text=_("So often a customer who does not answer is called."),
    )
    callback_retry_minutes = models.PositiveSmallIntegerField(
        _("minutes between tries"),
        default=15,
        validators=[MinValueValidator(1), MaxValueValidator(24 * 60)],
    )
    callback_hours = models.PositiveSmallIntegerField(
        _("valid for (hours)"),
        default=24,
        validators=[MinValueValidator(1), MaxValueValidator(24 * 14)],
        help_text=_("Opening hours. After them a wish to be called is an ordinary message again."),
    )
    # Raised with every change of the policy; each decision names the version it used.
    version = models.PositiveIntegerField(_("policy version"), default=1, editable=False)
    is_active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_(
            "Off: nothing new is sent here by inboxes or colleagues; what waits here is still answered."
        ),
    )
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Step(models.Model):
    """After so many seconds of waiting, agents with these minimum levels may take it too. Steps only ever add."""

    queue = models.ForeignKey(Queue, models.CASCADE, related_name="steps", verbose_name=_("queue"))
    after = models.PositiveIntegerField(_("after"), default=0, help_text=_("Seconds of waiting."))
    if_nobody = models.BooleanField(
        _("at once if nobody"),
        default=False,
        help_text=_("Open at once when no signed-in agent satisfies an earlier step."),
    )

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        ordering = ["after", "id"]

    def __str__(self) -> str:
        return _("after %(seconds)s s") % {"seconds": self.after}


class Need(models.Model):
    """One minimum level that a step asks for."""

    step = models.ForeignKey(Step, models.CASCADE, related_name="needs")
    skill = models.ForeignKey(Skill, models.PROTECT, null=True, related_name="+", verbose_name=_("skill"))
    # Instead of a skill one person: every agent is skilled at being himself.
    agent = models.ForeignKey("Agent", models.PROTECT, null=True, related_name="+", verbose_name=_("agent"))
    level = models.PositiveSmallIntegerField(
        _("minimum level"), default=1, validators=[MinValueValidator(1), MaxValueValidator(5)]
    )

    class Meta:
        verbose_name = _("need")
        verbose_name_plural = _("needs")
        constraints = [
            models.UniqueConstraint(fields=["step", "skill"], name="need_once"),
            models.UniqueConstraint(fields=["step", "agent"], name="need_agent_once"),
            models.CheckConstraint(
                condition=Q(skill=None, agent__isnull=False) | Q(skill__isnull=False, agent=None),
                name="need_skill_or_agent",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} ≥ {self.level}"

    @property
    def key(self) -> str:
        """The name of the skill, as the policy knows it."""
        return self.skill.name if self.skill else f"agent:{self.agent_id}"


class PriorityLevel(models.Model):
    """A named head start: `vip` = 90 s means a VIP is treated as if he had waited 90 s longer."""

    MOST = 16

    queue = models.ForeignKey(Queue, models.CASCADE, related_name="levels", verbose_name=_("queue"))
    name = models.SlugField(
        _("name"),
        max_length=50,
        help_text=_("For customers whose attribute “priority” says it."),
    )
    credit = models.PositiveIntegerField(
        _("credit"), default=0, help_text=_("Seconds of waiting given at the start.")
    )

    class Meta:
        verbose_name = _("priority level")
        verbose_name_plural = _("priority levels")
        ordering = ["credit"]
        constraints = [models.UniqueConstraint(fields=["queue", "name"], name="priority_level_once")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.queue_id and self.queue.levels.exclude(pk=self.pk).count() >= self.MOST:
            raise ValidationError(_("A queue has 16 priority levels at most."))


class InboxRoute(models.Model):
    """Which queue the conversations of an inbox wait in."""

    inbox = models.OneToOneField(Inbox, models.CASCADE, related_name="route", verbose_name=_("inbox"))
    queue = models.ForeignKey(Queue, models.PROTECT, related_name="routes", verbose_name=_("queue"))

    class Meta:
        verbose_name = _("inbox route")
        verbose_name_plural = _("inbox routes")

    def __str__(self) -> str:
        return f"{self.inbox} → {self.queue}"


class AgentQuerySet(models.QuerySet):
    def connected(self, now: datetime) -> AgentQuerySet:
        return self.exclude(chosen=Chosen.SIGNED_OUT).filter(present_until__gt=now)

    def lost(self, now: datetime) -> AgentQuerySet:
        """Signed in, but the heartbeat stopped."""
        return self.exclude(chosen=Chosen.SIGNED_OUT).filter(present_until__lte=now)


class Agent(models.Model):
    """A user at work. `load` is the sum of the units of his live offers, active work and wrap-ups."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="agent", verbose_name=_("user")
    )
    capacity = models.PositiveSmallIntegerField(
        _("capacity"),
        default=12,
        help_text=_("Units: a call takes 12, a chat 4, an e-mail 2, unless the queue says otherwise."),
    )
    load = models.PositiveSmallIntegerField(_("units taken"), default=0, editable=False)
    free_since = models.DateTimeField(_("free since"), default=timezone.now, editable=False)
    chosen = models.CharField(
        _("chosen"), max_length=20, choices=Chosen, default=Chosen.SIGNED_OUT, editable=False
    )
    reason = models.ForeignKey(
        NotReadyReason,
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("reason"),
    )
    # The lease of his connection: renewed by the heartbeat, over when the laptop is dead.
    present_until = models.DateTimeField(_("present until"), null=True, editable=False)
    is_not_responding = models.BooleanField(_("did not answer"), default=False, editable=False)
    skills = models.ManyToManyField(
        Skill, through="AgentSkill", related_name="agents", verbose_name=_("skills")
    )

    objects = AgentQuerySet.as_manager()

    class Meta:
        verbose_name = _("agent")
        verbose_name_plural = _("agents")
        constraints = [
            models.CheckConstraint(condition=Q(load__lte=F("capacity")), name="agent_load_within_capacity")
        ]
        indexes = [
            models.Index(fields=["present_until"], condition=~Q(chosen="signed_out"), name="agent_lease")
        ]

    def __str__(self) -> str:
        return str(self.user)

    @property
    def stream(self) -> str:
        return f"agent:{self.pk}"


class AgentSkill(models.Model):
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="levels", verbose_name=_("agent"))
    skill = models.ForeignKey(Skill, models.CASCADE, related_name="+", verbose_name=_("skill"))
    level = models.PositiveSmallIntegerField(
        _("level"), default=3, validators=LEVELS, help_text=_("0 none … 5 expert")
    )

    class Meta:
        verbose_name = _("skill")
        verbose_name_plural = _("skills")
        constraints = [models.UniqueConstraint(fields=["agent", "skill"], name="agent_skill_once")]

    def __str__(self) -> str:
        return f"{self.skill} {self.level}"


class PresenceInterval(models.Model):
    """How long an agent was in one state. Append-only; the open interval has no end."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="intervals")
    state = models.CharField(max_length=20, choices=State)
    reason = models.CharField(max_length=50, blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("presence interval")
        verbose_name_plural = _("presence intervals")
        constraints = [
            models.UniqueConstraint(
                fields=["agent"], condition=Q(ended_at=None), name="presence_one_open_interval"
            )
        ]
        indexes = [models.Index(fields=["agent", "started_at"], name="presence_by_agent")]

    def __str__(self) -> str:
        return f"{self.agent_id} {self.state}"


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
    credit = models.PositiveIntegerField(_("credit"), default=0)
    # rate·at − credit: while everybody ages alike the order of a queue is static, and this is it.
    line_key = models.BigIntegerField()
    agent = models.ForeignKey(Agent, models.PROTECT, null=True, blank=True, related_name="items")
    last_agent = models.ForeignKey(Agent, models.PROTECT, null=True, blank=True, related_name="+")
    # Who declined or let it lapse, and when (agent id → unix seconds).
    not_to = models.JSONField(default=dict)
    units = models.PositiveSmallIntegerField(default=0)
    # Raised with every change of hands: whoever holds an older number is too late.
    epoch = models.PositiveIntegerField(default=0)
    answered_at = models.DateTimeField(null=True)
    wrap_until = models.DateTimeField(null=True)
    # While it rests because its agent snoozed it: until when, for whom, and what had been said by then.
    snoozed_until = models.DateTimeField(_("snoozed until"), null=True)
    snoozed_for = models.ForeignKey(Agent, models.PROTECT, null=True, related_name="snoozed")
    snoozed_seq = models.PositiveIntegerField(default=0)

    objects = ItemQuerySet.as_manager()

    class Meta:
        verbose_name = _("waiting item")
        verbose_name_plural = _("waiting items")
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
        return f"{self.queue_id}/{self.conversation_id}"


class Decision(models.Model):
    """Why this agent: the score, its terms, and everybody else's reason."""

    item = models.ForeignKey(Item, models.CASCADE, related_name="decisions")
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="+")
    queue = models.ForeignKey(Queue, models.PROTECT, related_name="+")
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
