"""Guards shared by the services about users. `by` is a User whose rights are looked at, or the system, which may."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import Group
from django.db.models import Q

from apps.core.events import Actor

from .. import errors, policy
from ..choices import Role
from ..models import Team, User


def lock_admins() -> None:
    """Everybody who might remove an administrator takes this row first, so two cannot remove each other at once."""
    list(Group.objects.select_for_update().filter(name=Role.ADMIN))


def check_not_last_admin(user: User) -> None:
    """Call after `lock_admins`. Raises LastAdmin."""
    admins = User.objects.filter(Q(groups__name=Role.ADMIN) | Q(is_superuser=True), is_active=True)
    if not admins.exclude(pk=user.pk).exists():
        raise errors.LastAdmin


def check_may_manage(user: User, *, by: Actor) -> None:
    """Raises AboveYourRole or NotYourTeam."""
    if not isinstance(by, User):
        return
    own, theirs = policy.highest(by.roles), policy.highest(user.roles)
    if not policy.may_manage(by=own, user=theirs, shares_team=True):
        raise errors.AboveYourRole
    if not policy.may_manage(by=own, user=theirs, shares_team=_share_a_team(by, user)):
        raise errors.NotYourTeam


def check_may_change_teams(*, by: Actor, changed: Iterable[int]) -> None:
    """Raises NotYourTeam."""
    if not isinstance(by, User):
        return
    own = set(by.teams.values_list("id", flat=True))
    if not policy.may_change_teams(by=policy.highest(by.roles), own=own, changed=set(changed)):
        raise errors.NotYourTeam


def _share_a_team(one: User, other: User) -> bool:
    return Team.objects.filter(members=one).filter(members=other).exists()
