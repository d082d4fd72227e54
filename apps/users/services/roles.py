"""Roles: the groups behind them, and who may give them to whom."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.contrib.auth.models import Group
from django.db import transaction

from apps.core import events
from apps.core.events import Actor

from .. import errors, policy
from ..choices import Role, SignOutReason
from ..events import UserRoleChanged
from ..models import User
from . import rights, sign_ins

# What supervisors may do in the admin with the models of an app that does not say otherwise.
DEFAULT_ACTIONS = ("view", "add", "change")


def after_migrate(
    sender: Any = None, *, app_config: AppConfig, using: str, apps: Any = installed, **_: Any
) -> None:
    """Receiver of post_migrate: gives the roles their admin permissions for the models of `app_config`.

    `migrate` sends the models as they are at that point; `flush` sends none, so the installed ones are meant.
    May run any number of times. An app says in `supervisors_may` ({model name: actions}) what differs from
    DEFAULT_ACTIONS. Permissions of ours that somebody changed by hand are put back.
    """
    try:
        groups, permissions = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    except LookupError:
        return  # a partial migration: the groups have no table yet
    made = {role: groups.objects.using(using).get_or_create(name=role.value)[0] for role in Role}
    here = permissions.objects.using(using).filter(content_type__app_label=app_config.label)
    made[Role.ADMIN].permissions.add(*here)
    supervisor = made[Role.SUPERVISOR].permissions
    supervisor.remove(*here)
    supervisor.add(*here.filter(codename__in=_supervisor_codenames(app_config)))


def _supervisor_codenames(app_config: AppConfig) -> list[str]:
    if not app_config.name.startswith("apps."):
        return []
    may = getattr(app_config, "supervisors_may", {})
    names = [model._meta.model_name for model in app_config.get_models(include_auto_created=False)]
    return [f"{action}_{name}" for name in names for action in may.get(name, DEFAULT_ACTIONS)]


def grant(user: User, role: Role, *, by: Actor) -> User:
    """Add a role. The user is signed out everywhere if that changes what he may do."""
    return _change(user, by=by, add={role}, remove=set())


def revoke(user: User, role: Role, *, by: Actor) -> User:
    """Take a role away. LastAdmin when nobody would be left who may give it back."""
    return _change(user, by=by, add=set(), remove={role})


def assign(user: User, role: Role | None, *, by: Actor) -> User:
    """Make `role` the only one (None: no role at all)."""
    return _change(user, by=by, add={role} if role else set(), remove=set(Role) - {role})


def _change(user: User, *, by: Actor, add: set[Role], remove: set[Role]) -> User:
    with transaction.atomic():
        rights.lock_admins()
        user = User.objects.select_for_update().get(pk=user.pk)
        own = set(user.groups.filter(name__in=Role.values).values_list("name", flat=True))
        own |= {Role.ADMIN} if user.is_superuser else set()
        old, new = policy.highest(user.roles), policy.highest(own - remove | add)
        _check(user, by=by, old=old, new=new)
        user.groups.remove(*Group.objects.filter(name__in=remove))
        user.groups.add(*Group.objects.filter(name__in=add))
        if new == old:
            return user
        return _settle(user, by=by, old=old, new=new)


def _check(user: User, *, by: Actor, old: Role | None, new: Role | None) -> None:
    if isinstance(by, User):
        if by.pk == user.pk:
            raise errors.OwnRole
        rights.check_may_manage(user, by=by)
        if not policy.may_grant(by=policy.highest(by.roles), old=old, new=new):
            raise errors.AboveYourRole
    if old == Role.ADMIN and new != Role.ADMIN:
        rights.check_not_last_admin(user)


def _settle(user: User, *, by: Actor, old: Role | None, new: Role | None) -> User:
    user.is_staff = policy.rank(new) >= policy.rank(Role.SUPERVISOR)
    # Otherwise the flag would quietly keep the role that was taken away.
    user.is_superuser = user.is_superuser and new == Role.ADMIN
    user.save(update_fields=["is_staff", "is_superuser"])
    events.record(UserRoleChanged(user=user.pk, old=old, new=new), stream=user.actor_ref, actor=by)
    sign_ins.end_all(user, by=by, reason=SignOutReason.ROLE_CHANGED)
    user.__dict__.pop("roles", None)
    return user
