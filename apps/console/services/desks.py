"""What the agent's socket asks the database: may he be here, what does he see, what is new."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.contrib.sessions.models import Session
from django.db.models import Q

from apps.messaging import selectors as messaging
from apps.messaging.choices import Status
from apps.messaging.models import Conversation
from apps.messaging.selectors import Watched
from apps.routing.services import agents
from apps.users import selectors as people
from apps.users.choices import Role
from apps.users.models import User


def may_work(user: User) -> bool:
    return user.has_role(Role.AGENT) and not people.must_set_up_second_factor(user)


def open_desk(user: User, *, now: datetime) -> dict[str, Any]:
    """Renew the lease and tell the state, and the conversations in his hands."""
    agents.renew_leases([user.pk], now=now)
    own = (
        Conversation.objects.filter(agent=user, status=Status.ACTIVE).order_by("id").values("id", "last_seq")
    )
    return {"state": str(agents.state_of(agents.of(user), now=now)), "conversations": list(own)}


def may_watch(user: User, *, conversation_id: int) -> bool:
    """Asked of the database each time: the user object of a socket may be hours old."""
    fresh = User.objects.filter(pk=user.pk, is_active=True).first()
    return fresh is not None and messaging.conversations_visible_to(fresh).filter(id=conversation_id).exists()


def has(user: User, *, conversation_id: int) -> bool:
    """Whether it is in his hands, and still of one of his teams."""
    own = Conversation.objects.filter(id=conversation_id, agent=user, agent__is_active=True)
    return own.filter(team__members=user).exists()


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What holds for all open desks of a process at one moment."""

    epochs: Mapping[int, int]
    agents: Collection[int]
    admins: Collection[int]
    sessions: Collection[str]
    teams: Collection[tuple[int, int]]
    conversations: Mapping[int, Watched]

    def may_stay(self, user: User, *, session_key: str | None) -> bool:
        """His sign-in is still good: nobody switched him off or signed him out, here or everywhere."""
        is_same = self.epochs.get(user.pk) == user.sign_in_epoch and user.pk in self.agents
        return is_same and (session_key is None or session_key in self.sessions)

    def may_see(self, user: User, *, conversation_id: int) -> bool:
        found = self.conversations.get(conversation_id)
        return found is not None and (user.pk in self.admins or (user.pk, found.team_id) in self.teams)


def look_around(
    *,
    user_ids: Collection[int],
    session_keys: Collection[str],
    conversation_ids: Collection[int],
    now: datetime,
) -> Surroundings:
    """In six queries, however many desks are open."""
    active = User.objects.filter(id__in=user_ids, is_active=True)
    is_admin = Q(groups__name=Role.ADMIN) | Q(is_superuser=True)
    has_role = Q(groups__name__in=Role.values) | Q(is_superuser=True)
    live = Session.objects.filter(session_key__in=session_keys, expire_date__gt=now)
    return Surroundings(
        epochs=dict(active.values_list("id", "sign_in_epoch")),
        agents=set(active.filter(has_role).values_list("id", flat=True)),
        admins=set(active.filter(is_admin).values_list("id", flat=True)),
        sessions=set(live.values_list("session_key", flat=True)),
        teams=set(User.teams.through.objects.filter(user_id__in=user_ids).values_list("user_id", "team_id")),
        conversations=messaging.watched(conversation_ids),
    )
