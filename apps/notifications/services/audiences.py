"""Whom an automation writes to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q, QuerySet

from apps.messaging.models import Conversation
from apps.routing.models import Agent
from apps.users.choices import Role
from apps.users.models import Customer, User

from ..choices import Audience


def people(
    audience: Audience, *, conversation: Conversation | None, now: datetime
) -> Iterable[Customer | User]:
    """Nobody, when the event is about no conversation and the audience is one of its people."""
    match audience:
        case Audience.CUSTOMER:
            return [conversation.customer] if conversation else []
        case Audience.AGENT:
            return [conversation.agent] if conversation and conversation.agent else []
        case Audience.SUPERVISORS:
            return _supervisors(conversation.team_id) if conversation else _leaders()
        case Audience.ADMINS:
            return _with_role(Role.ADMIN)
        case Audience.ON_DUTY:
            return _on_duty(now)


def _with_role(*roles: Role) -> QuerySet[User]:
    held = Q(groups__name__in=roles)
    if Role.ADMIN in roles:
        held |= Q(is_superuser=True)
    return User.objects.filter(held, is_active=True).distinct().order_by("id")


def _leaders() -> QuerySet[User]:
    return _with_role(Role.SUPERVISOR, Role.ADMIN)


def _supervisors(team_id: int) -> QuerySet[User]:
    return _with_role(Role.SUPERVISOR).filter(teams=team_id)


def _on_duty(now: datetime) -> QuerySet[User]:
    """Whoever leads and is signed in; all of them when nobody is, because somebody must hear it."""
    here = _leaders().filter(agent__in=Agent.objects.connected(now))
    return here if here.exists() else _leaders()
