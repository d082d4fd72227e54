"""Teams: who shares conversations."""

from __future__ import annotations

from django.db import transaction

from apps.core import events
from apps.core.events import Actor

from .. import errors
from ..choices import Role
from ..events import UserTeamsChanged
from ..models import Team, User


def create(*, name: str, by: Actor) -> Team:
    """Make a team. A supervisor who makes one belongs to it, or he could not see it."""
    with transaction.atomic():
        if isinstance(by, User) and not by.has_role(Role.SUPERVISOR):
            raise errors.NotYourTeam
        team = Team.objects.create(name=name)
        if isinstance(by, User) and not by.has_role(Role.ADMIN):
            by.teams.add(team)
            fact = UserTeamsChanged(user=by.pk, added=[team.pk], removed=[])
            events.record(fact, stream=by.actor_ref, actor=by)
        return team
