"""Who may answer what: skills, queues with their steps and priorities, and which inbox leads where."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import BaseValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from apps.messaging.models import Inbox
from apps.users.models import Team

from ..choices import Otherwise
from .hours import Calendar

LEVELS = [MinValueValidator(0), MaxValueValidator(5)]


def between(lowest: int, highest: int, sentence: Any) -> list[BaseValidator]:
    return [MinValueValidator(lowest, sentence), MaxValueValidator(highest, sentence)]


WEIGHTS = between(-10_000, 10_000, _("A weight is -10000 to 10000 seconds."))


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


class Queue(models.Model):
    """A policy: which agents may take what waits here, and who of them is best. All weights are seconds of waiting."""

    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(_("key"), unique=True)
    team = models.ForeignKey(Team, models.PROTECT, verbose_name=_("team"), related_name="queues")
    rate = models.PositiveSmallIntegerField(
        _("rate"),
        default=1,
        validators=between(1, 100, _("The rate is 1 to 100.")),
        help_text=_("How fast waiting counts here: 2 means that each second of waiting counts as two."),
    )
    w_fit = models.SmallIntegerField(
        _("weight of fit"),
        default=0,
        validators=WEIGHTS,
        help_text=_("Seconds for each skill level above the minimum. Negative keeps the experts free."),
    )
    w_idle = models.SmallIntegerField(
        _("weight of idle time"),
        default=1,
        validators=WEIGHTS,
        help_text=_(
            "Idle: nothing new rang, no work ended. 1: the longest idle agent first. 0: it does not count."
        ),
    )
    w_last = models.SmallIntegerField(
        _("weight of the last agent"),
        default=0,
        validators=WEIGHTS,
        help_text=_(
            "Seconds for the agent the customer knows: his own (attribute “preferred_agent”), else the last one."
        ),
    )
    units = models.PositiveSmallIntegerField(
        _("units"),
        default=4,
        validators=between(1, 100, _("One contact takes 1 to 100 units.")),
        help_text=_(
            "How much of an agent's capacity (12 by default) one contact takes: a chat 4, an e-mail 2, a call 12."
        ),
    )
    offer_seconds = models.PositiveSmallIntegerField(
        _("ringing time"),
        default=20,
        validators=between(5, 300, _("Ringing takes 5 to 300 seconds.")),
        help_text=_("Seconds."),
    )
    wrap_up_seconds = models.PositiveSmallIntegerField(
        _("wrap-up time"),
        default=30,
        validators=between(0, 3600, _("Wrap-up takes 0 to 3600 seconds.")),
        help_text=_("Seconds after the end in which the agent keeps the contact's units. 0: none."),
    )
    service_target_seconds = models.PositiveSmallIntegerField(
        _("service target"), default=20, help_text=_("Answer within so many seconds …")
    )
    service_target_percent = models.PositiveSmallIntegerField(
        _("service level"),
        default=80,
        validators=between(0, 100, _("A service level is 0 to 100 percent.")),
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
        validators=between(1, 10, _("There are 1 to 10 tries.")),
        help_text=_("So often a customer who does not answer is called."),
    )
    callback_retry_minutes = models.PositiveSmallIntegerField(
        _("minutes between tries"),
        default=15,
        validators=between(1, 1440, _("Between two tries there are 1 to 1440 minutes.")),
    )
    callback_hours = models.PositiveSmallIntegerField(
        _("valid for (hours)"),
        default=24,
        validators=between(1, 336, _("A callback is valid for 1 to 336 hours.")),
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
        _("head start"), default=0, help_text=_("Seconds of waiting given at the start.")
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
