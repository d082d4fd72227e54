"""Z12: nobody rises by himself, nobody grants above his own role, and an administrator always remains."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import connection

from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.users import errors
from apps.users.choices import Role
from apps.users.models import User
from apps.users.services import people, roles
from tests.factories import make_team, make_user

pytestmark = pytest.mark.django_db


def test_a_granted_role_includes_the_lower_ones_and_opens_the_admin(admin):
    user = roles.grant(make_user(), Role.SUPERVISOR, by=admin)
    assert user.roles == {Role.AGENT, Role.SUPERVISOR}
    assert user.is_staff


def test_a_revoked_role_leaves_the_lower_one_and_closes_the_admin(admin):
    user = roles.grant(make_user(), Role.SUPERVISOR, by=admin)
    user = roles.revoke(user, Role.SUPERVISOR, by=admin)
    assert user.roles == {Role.AGENT}
    assert not user.is_staff


def test_z12_a_supervisor_cannot_grant_a_role_above_his_own():
    team = make_team()
    supervisor, agent = make_user(Role.SUPERVISOR, [team]), make_user(teams=[team])
    with pytest.raises(errors.AboveYourRole):
        roles.grant(agent, Role.ADMIN, by=supervisor)
    assert roles.grant(agent, Role.SUPERVISOR, by=supervisor).has_role(Role.SUPERVISOR)


def test_z12_a_supervisor_cannot_demote_an_administrator(admin):
    team = make_team()
    admin.teams.add(team)
    with pytest.raises(errors.AboveYourRole):
        roles.assign(admin, Role.AGENT, by=make_user(Role.SUPERVISOR, [team]))


def test_z12_a_supervisor_has_no_say_over_other_teams():
    supervisor = make_user(Role.SUPERVISOR, [make_team()])
    with pytest.raises(errors.NotYourTeam):
        roles.grant(make_user(teams=[make_team()]), Role.SUPERVISOR, by=supervisor)


def test_z12_an_agent_grants_nothing():
    team = make_team()
    with pytest.raises(errors.AboveYourRole):
        roles.grant(make_user(None, [team]), Role.AGENT, by=make_user(teams=[team]))


@pytest.mark.parametrize("role", [None, Role.AGENT, Role.ADMIN])
def test_z12_nobody_changes_his_own_role(admin, role):
    make_user(Role.ADMIN)
    with pytest.raises(errors.OwnRole):
        roles.assign(admin, role, by=admin)


def test_z12_the_last_administrator_stays(admin):
    with pytest.raises(errors.LastAdmin):
        roles.revoke(admin, Role.ADMIN, by=SYSTEM)
    with pytest.raises(errors.LastAdmin):
        people.deactivate(admin, by=SYSTEM)
    people.deactivate(make_user(Role.ADMIN), by=admin)
    with pytest.raises(errors.LastAdmin):  # the other one is switched off, so he does not count
        roles.revoke(admin, Role.ADMIN, by=SYSTEM)


def test_a_superuser_loses_his_flag_with_the_role(admin):
    boss = User.objects.create_superuser("boss@example.com", name="Boss")
    assert boss.has_role(Role.ADMIN)
    user = roles.assign(boss, Role.AGENT, by=admin)
    assert not user.is_superuser
    assert user.roles == {Role.AGENT}


def test_a_lower_role_changes_nothing_for_a_superuser(admin):
    boss = User.objects.create_superuser("boss@example.com", name="Boss")
    assert roles.grant(boss, Role.AGENT, by=admin).has_role(Role.ADMIN)


def test_a_role_change_is_written_down_once(admin):
    user = make_user()
    roles.grant(user, Role.SUPERVISOR, by=admin)
    roles.grant(user, Role.SUPERVISOR, by=admin)
    event = Event.objects.get(type="users.user.role_changed")
    assert event.payload == {"user": user.pk, "old": "agent", "new": "supervisor"}
    assert (event.stream, event.actor) == (f"user:{user.pk}", f"user:{admin.pk}")


def test_supervisors_configure_and_administrators_do_everything():
    names = {f"users.{action}_customer" for action in ("view", "add", "change")}
    supervisor, admin = make_user(Role.SUPERVISOR), make_user(Role.ADMIN)
    assert supervisor.has_perms(names)
    assert not supervisor.has_perm("users.delete_customer")
    assert not supervisor.has_perm("users.view_ticket")
    assert not supervisor.has_perm("core.change_event")
    assert admin.has_perms(f"{p.content_type.app_label}.{p.codename}" for p in Permission.objects.all()[:50])
    assert make_user(Role.AGENT).get_all_permissions() == set()


def test_permissions_come_back_with_the_next_migrate():
    supervisor = make_user(Role.SUPERVISOR)
    group = supervisor.groups.get()
    group.permissions.set(Permission.objects.filter(codename="delete_customer"))
    call_command("migrate", verbosity=0)
    codes = set(group.permissions.values_list("codename", flat=True))
    assert "change_customer" in codes
    assert "delete_customer" not in codes


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_z12_two_administrators_cannot_remove_each_other_at_once():
    pair = [make_user(Role.ADMIN), make_user(Role.ADMIN)]
    barrier, outcomes = threading.Barrier(2), []

    def remove(by: User, other: User) -> None:
        barrier.wait()
        try:
            roles.assign(other, Role.AGENT, by=by)
            outcomes.append("removed")
        except errors.EMLError as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=remove, args=args) for args in (pair, pair[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    # The slower one is no administrator any more by then, or must not take the last one.
    assert sorted(outcomes)[1] == "removed"
    assert sorted(outcomes)[0] in {"above_your_role", "last_admin"}
    assert User.objects.filter(groups__name=Role.ADMIN).count() == 1
