"""Who is there: agents, what they can do, and how their time was spent."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..choices import Chosen, State
from .queues import LEVELS, Skill


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
