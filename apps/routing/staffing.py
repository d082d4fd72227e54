"""Whether anybody is there who may take something from a queue, now or later. Questions only, one query each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from .models import Agent, AgentSkill, Need, Queue, Step


def is_staffed(queue: Queue, *, now: datetime) -> bool:
    """Whether anybody is signed in whom one of its steps accepts, however long that takes to open."""
    return who_may(queue.team_id, Step.objects.filter(queue=queue), now=now).exists()


def unstaffed(queues: QuerySet[Queue], *, now: datetime) -> QuerySet[Queue]:
    """Those of them from which nobody who is signed in may ever take something."""
    steps = Step.objects.filter(queue=OuterRef(OuterRef("pk")))
    return queues.filter(~Exists(who_may(OuterRef("team"), steps, now=now)))


def who_may(team: Any, steps: QuerySet[Step], *, now: datetime) -> QuerySet[Agent]:
    """Of those signed in, as the policy sees it: members of the team, if a step accepts them.

    A queue without steps accepts them all.
    """
    here, steps = (
        Agent.objects.connected(now).filter(user__is_active=True, user__teams=team),
        steps.order_by(),
    )
    return here.filter(~Exists(steps) | Exists(steps.filter(~Exists(_unmet()))))


def _unmet() -> QuerySet[Need]:
    """What an agent (two queries out) lacks for a step (one query out)."""
    himself = OuterRef(OuterRef("pk"))
    has_it = AgentSkill.objects.filter(
        agent=OuterRef(himself), skill=OuterRef("skill"), level__gte=OuterRef("level")
    )
    return Need.objects.filter(~Exists(has_it), step=OuterRef("pk")).exclude(agent=himself, level=1)
