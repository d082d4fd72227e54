"""Users: made, changed, moved, signed out, switched off; who may do it, and what it ends (Z06, Z27, Z29)."""

from __future__ import annotations

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken

from apps.core import realtime
from apps.core.errors import Invalid
from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.users import errors
from apps.users.admin.forms import CustomerForm
from apps.users.choices import Role
from apps.users.forms import ProfileForm
from apps.users.models import Ticket, User
from apps.users.services import people, roles, teams, tickets, tokens
from tests.factories import make_customer, make_team, make_user
from tests.users.conftest import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def frames(monkeypatch) -> list[tuple[str, dict]]:
    published: list[tuple[str, dict]] = []
    monkeypatch.setattr(realtime, "publish", lambda group, frame: published.append((group, frame)))
    return published


def signed_in(user: User) -> Client:
    client = Client()
    client.post("/account/login/", {"login": user.email, "password": PASSWORD})
    assert "_auth_user_id" in client.session
    return client


def is_signed_in(client: Client) -> bool:
    return client.get("/account/profile/").status_code == 200


def test_a_new_user_has_what_he_was_given(admin):
    team = make_team()
    user = people.create(
        email=" Ana@Example.com ", name="Ana", password=PASSWORD, role=Role.SUPERVISOR, teams=[team], by=admin
    )
    assert user.email == "ana@example.com"
    assert user.check_password(PASSWORD)
    assert user.has_role(Role.SUPERVISOR)
    assert list(user.teams.all()) == [team]
    assert Event.objects.filter(
        type="users.user.created", stream=f"user:{user.pk}", actor=f"user:{admin.pk}"
    ).exists()


def test_an_address_is_taken_whatever_its_case(admin):
    make_user(email="ana@example.com")
    with pytest.raises(errors.EmailTaken):
        people.create(email="ANA@example.com", name="Ana", by=admin)


def test_z12_a_supervisor_makes_users_for_his_own_teams_only():
    own, foreign = make_team(), make_team()
    supervisor = make_user(Role.SUPERVISOR, [own])
    with pytest.raises(errors.NotYourTeam):
        people.create(email="a@example.com", name="A", teams=[own, foreign], by=supervisor)
    with pytest.raises(errors.NotYourTeam):
        people.create(email="a@example.com", name="A", by=supervisor)
    with pytest.raises(errors.AboveYourRole):
        people.create(email="a@example.com", name="A", teams=[own], role=Role.ADMIN, by=supervisor)
    assert not User.objects.filter(email="a@example.com").exists()
    assert people.create(email="a@example.com", name="A", teams=[own], by=supervisor).has_role(Role.AGENT)


def test_users_change_their_own_profile_but_not_their_address():
    user = make_user()
    assert people.update(user, by=user, time_zone="Europe/Berlin").time_zone == "Europe/Berlin"
    with pytest.raises(errors.AboveYourRole):
        people.update(user, by=user, email="other@example.com")


@pytest.mark.parametrize("changes", [{"time_zone": "Europe/Foo"}, {"language": "tlh"}, {"name": "x" * 101}])
def test_b35_a_wrong_profile_is_refused(changes):
    user = make_user()
    with pytest.raises(Invalid) as caught:
        people.update(user, by=user, **changes)
    assert list(caught.value.fields) == list(changes)


def test_an_unchanged_profile_is_no_event():
    user = make_user(name="Ana")
    people.update(user, by=user, name="Ana")
    assert not Event.objects.filter(type="users.user.changed").exists()


def test_a_row_read_before_a_sign_out_does_not_undo_it(admin):
    user = make_user()
    stale = User.objects.get(pk=user.pk)
    people.sign_out_everywhere(user, by=admin)
    stale.name = "Other"
    stale.save()
    fresh = User.objects.get(pk=user.pk)
    assert (fresh.name, fresh.sign_in_epoch) == ("Other", 1)


ENDINGS = {
    "sign_out": lambda user, admin: people.sign_out_everywhere(user, by=admin),
    "deactivate": lambda user, admin: people.deactivate(user, by=admin),
    "role": lambda user, admin: roles.grant(user, Role.SUPERVISOR, by=admin),
    "password": lambda user, admin: people.set_password(user, "another one 123", by=admin),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
def test_z27_z29_everything_a_user_was_signed_in_with_ends_at_once(ending, admin, api_as):
    user = make_user(password=PASSWORD)
    browser, api, refresh = signed_in(user), api_as(user), tokens.issue(user).refresh
    tickets.issue(user, now=timezone.now())
    assert is_signed_in(browser)
    assert api.get("/api/v1/me/").status_code == 200
    ending(user, admin)
    assert not is_signed_in(browser)
    assert api.get("/api/v1/me/").status_code == 401
    with pytest.raises(errors.TokenInvalid):
        tokens.rotate(refresh)
    assert not Ticket.objects.filter(user=user).exists()
    assert not UserSession.objects.filter(user=user).exists()
    assert BlacklistedToken.objects.filter(token__user=user).count() == 2


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
def test_z27_z29_open_sockets_are_told(ending, admin, frames, django_capture_on_commit_callbacks):
    user = make_user()
    with django_capture_on_commit_callbacks(execute=True):
        ending(user, admin)
    assert (f"user.{user.pk}", "reauth") in [(group, frame["type"]) for group, frame in frames]
    assert {group for group, _ in frames} == {f"user.{user.pk}"}


def test_z27_a_user_who_is_switched_off_cannot_come_back(admin):
    user = make_user(password=PASSWORD)
    people.deactivate(user, by=admin)
    client = Client()
    client.post("/account/login/", {"login": user.email, "password": PASSWORD})
    assert "_auth_user_id" not in client.session
    assert not User.objects.get(pk=user.pk).has_role(Role.AGENT)
    people.activate(user, by=admin)
    assert User.objects.get(pk=user.pk).has_role(Role.AGENT)


def test_switching_off_twice_is_one_event(admin):
    user = make_user()
    people.deactivate(user, by=admin)
    people.deactivate(user, by=admin)
    assert Event.objects.filter(type="users.user.deactivated").count() == 1


def test_nobody_switches_himself_off(admin):
    make_user(Role.ADMIN)
    with pytest.raises(errors.OwnRole):
        people.deactivate(admin, by=admin)


def test_everybody_may_sign_himself_out_but_agents_nobody_else():
    team = make_team()
    one, other = make_user(teams=[team]), make_user(teams=[team])
    assert people.sign_out_everywhere(one, by=one).sign_in_epoch == 1
    with pytest.raises(errors.AboveYourRole):
        people.sign_out_everywhere(other, by=one)


def test_z06_a_team_change_is_written_down_and_closes_sockets(
    admin, frames, django_capture_on_commit_callbacks
):
    old, new = make_team(), make_team()
    user = make_user(teams=[old])
    with django_capture_on_commit_callbacks(execute=True):
        people.set_teams(user, teams=[new], by=admin)
    event = Event.objects.get(type="users.user.teams_changed")
    assert event.payload == {"user": user.pk, "added": [new.pk], "removed": [old.pk]}
    assert frames == [(f"user.{user.pk}", {"type": "reauth", "reason": "teams_changed"})]


def test_z12_a_supervisor_cannot_take_people_into_or_out_of_foreign_teams():
    own, foreign = make_team(), make_team()
    supervisor, agent = make_user(Role.SUPERVISOR, [own]), make_user(teams=[own, foreign])
    with pytest.raises(errors.NotYourTeam):
        people.set_teams(agent, teams=[own], by=supervisor)
    assert agent.teams.count() == 2
    people.set_teams(agent, teams=[foreign], by=supervisor)
    assert list(agent.teams.all()) == [foreign]


def test_the_same_teams_are_no_event(admin):
    team = make_team()
    people.set_teams(make_user(teams=[team]), teams=[team], by=admin)
    assert not Event.objects.exists()


def test_a_supervisor_belongs_to_the_team_he_makes_and_agents_make_none(admin):
    supervisor = make_user(Role.SUPERVISOR)
    assert teams.create(name="New", by=supervisor) in supervisor.teams.all()
    teams.create(name="Another", by=admin)
    assert not admin.teams.exists()
    with pytest.raises(errors.NotYourTeam):
        teams.create(name="Third", by=make_user())


def test_signing_out_deletes_the_sessions_themselves(admin):
    user = make_user(password=PASSWORD)
    key = signed_in(user).session.session_key
    people.sign_out_everywhere(user, by=SYSTEM)
    assert not Session.objects.filter(session_key=key).exists()


@pytest.mark.parametrize(("form", "make"), [(ProfileForm, make_user), (CustomerForm, make_customer)])
def test_a_zone_that_a_program_named_stays_when_the_rest_is_saved(form, make) -> None:
    """Zones like this one are offered to nobody."""
    row = make()
    row.time_zone = "Etc/GMT+2"
    row.save()
    shown = form(instance=row)
    bound = form({**shown.initial, "attributes": "{}", "name": "Ada"}, instance=row)
    assert bound.is_valid(), bound.errors
    assert bound.save().time_zone == "Etc/GMT+2"
