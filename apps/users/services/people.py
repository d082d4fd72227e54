"""The working life of a user: made, changed, moved between teams, signed out, switched off and on again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from apps.core import events
from apps.core.errors import Invalid
from apps.core.events import Actor

from .. import contacts, errors
from ..choices import Role, SignOutReason
from ..events import UserActivated, UserChanged, UserCreated, UserDeactivated, UserTeamsChanged
from ..models import Team, User
from . import rights, roles, sign_ins

# What people may say about themselves; the e-mail address is what they sign in with, and their supervisor's matter.
OWN_FIELDS = frozenset({"name", "language", "time_zone"})
FIELDS = OWN_FIELDS | {"email"}


def create(
    *,
    email: str,
    name: str,
    by: Actor,
    password: str | None = None,
    role: Role | None = Role.AGENT,
    teams: Iterable[Team] = (),
    **fields: Any,
) -> User:
    """Make a user. Without a password he sets one himself by "forgot password".

    Raises EmailTaken, NotYourTeam, AboveYourRole.
    """
    with transaction.atomic():
        user = _save_new(email=contacts.email(email), name=name, password=password, **_checked(fields))
        events.record(UserCreated(user=user.pk), stream=user.actor_ref, actor=by)
        _set_teams(user, teams=list(teams), by=by)
        return roles.assign(user, role, by=by) if role else user


def _save_new(*, email: str, password: str | None, **fields: Any) -> User:
    if User.objects.filter(email__iexact=email).exists():
        raise errors.EmailTaken
    try:
        with transaction.atomic():
            return User.objects.create_user(email, password, **fields)
    except IntegrityError:
        raise errors.EmailTaken from None


def update(user: User, *, by: Actor, **changes: Any) -> User:
    """Change name, language, time zone or e-mail; users may change all but the e-mail for themselves."""
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        if by != user or not changes.keys() <= OWN_FIELDS:
            rights.check_may_manage(user, by=by)
        changed = {name: value for name, value in _checked(changes).items() if getattr(user, name) != value}
        if not changed:
            return user
        for name, value in changed.items():
            setattr(user, name, value)
        _save(user, fields=list(changed))
        events.record(UserChanged(user=user.pk, fields=sorted(changed)), stream=user.actor_ref, actor=by)
        return user


def _checked(changes: dict[str, Any]) -> dict[str, Any]:
    if unknown := changes.keys() - FIELDS:
        raise TypeError(f"users have no {', '.join(sorted(unknown))} to change")
    if "email" in changes:
        changes = changes | {"email": contacts.email(changes["email"])}
    if "language" in changes and changes["language"] not in dict(settings.LANGUAGES):
        raise Invalid(fields={"language": ["unknown"]})
    return changes


def _save(user: User, *, fields: list[str]) -> None:
    try:
        user.clean_fields(exclude={field.name for field in User._meta.fields} - set(fields))
        with transaction.atomic():
            user.save(update_fields=fields)
    except ValidationError as error:
        raise Invalid(fields=error.message_dict) from None
    except IntegrityError:
        raise errors.EmailTaken from None


def set_teams(user: User, *, teams: Iterable[Team], by: Actor) -> User:
    """Make these the user's teams. His open sockets close, so that they see only what they may from now on."""
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        rights.check_may_manage(user, by=by)
        _set_teams(user, teams=list(teams), by=by)
        return user


def _set_teams(user: User, *, teams: list[Team], by: Actor) -> None:
    old, new = set(user.teams.values_list("id", flat=True)), {team.pk for team in teams}
    added, removed = sorted(new - old), sorted(old - new)
    rights.check_may_change_teams(by=by, changed=old ^ new)
    if not added and not removed:
        return
    user.teams.set(teams)
    fact = UserTeamsChanged(user=user.pk, added=added, removed=removed)
    events.record(fact, stream=user.actor_ref, actor=by)


def set_password(user: User, password: str, *, by: Actor) -> User:
    """Set a new password; everything signed in with the old one ends."""
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        if by != user:
            rights.check_may_manage(user, by=by)
        user.set_password(password)
        user.save(update_fields=["password"])
        sign_ins.end_all(user, by=by, reason=SignOutReason.PASSWORD_CHANGED)
        return user


def sign_out_everywhere(user: User, *, by: Actor, reason: SignOutReason = SignOutReason.ASKED) -> User:
    """End all sessions, tokens and tickets at once; everybody may do it to himself."""
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        if by != user:
            rights.check_may_manage(user, by=by)
        sign_ins.end_all(user, by=by, reason=reason)
        return user


def remove_second_factor(user: User, *, by: Actor) -> User:
    """For somebody who lost his phone: he signs in with his password and sets up a new one."""
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        if by == user:
            raise errors.OwnRole
        rights.check_may_manage(user, by=by)
        if Authenticator.objects.filter(user=user).delete()[0]:
            sign_ins.end_all(user, by=by, reason=SignOutReason.SECOND_FACTOR_CHANGED)
        return user


def deactivate(user: User, *, by: Actor) -> User:
    """Switch a user off: nothing he was signed in with works from now on. No-op when he is off already."""
    with transaction.atomic():
        rights.lock_admins()
        user = User.objects.select_for_update().get(pk=user.pk)
        if by == user:
            raise errors.OwnRole
        rights.check_may_manage(user, by=by)
        if not user.is_active:
            return user
        if Role.ADMIN in user.roles:
            rights.check_not_last_admin(user)
        user.is_active = False
        user.save(update_fields=["is_active"])
        events.record(UserDeactivated(user=user.pk), stream=user.actor_ref, actor=by)
        sign_ins.end_all(user, by=by, reason=SignOutReason.DEACTIVATED)
        return user


def activate(user: User, *, by: Actor) -> User:
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user.pk)
        rights.check_may_manage(user, by=by)
        if user.is_active:
            return user
        user.is_active = True
        user.save(update_fields=["is_active"])
        events.record(UserActivated(user=user.pk), stream=user.actor_ref, actor=by)
        return user
