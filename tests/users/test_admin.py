"""People in the admin: pages work, forged posts change nothing (Z12, Z19), secrets are nowhere."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.conf import settings
from django.contrib import admin as django_admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.users.choices import Role
from apps.users.models import ContactPoint, Customer, Team, User
from apps.users.services import customers
from tests.factories import make_customer, make_team, make_user
from tests.users.conftest import PASSWORD

pytestmark = pytest.mark.django_db
USERS = "/admin/users/user/"
CUSTOMERS = "/admin/users/customer/"


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def boss(team) -> User:
    return make_user(Role.SUPERVISOR, [team])


@pytest.fixture
def as_boss(boss) -> Client:
    client = Client()
    client.force_login(boss)
    return client


@pytest.fixture
def as_admin(admin) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def form_of(user: User, **changes: object) -> dict:
    fields = {
        "name": user.name,
        "email": user.email,
        "new_password": "",
        "role": "agent",
        "teams": [team.pk for team in user.teams.all()],
        "is_active": "on",
        "language": "en",
        "time_zone": "UTC",
    }
    return fields | changes


def customer_form(**changes: object) -> dict:
    management = {"contact_points-TOTAL_FORMS": 0, "contact_points-INITIAL_FORMS": 0}
    fields = {
        "name": "Ada",
        "external_id": "",
        "time_zone": "",
        "language": "",
        "attributes": "{}",
        "teams": [],
    }
    return fields | management | changes


# The doors


def test_the_admins_own_sign_in_page_is_closed():
    answer = Client().get(USERS)
    assert answer.url == f"/admin/login/?next={USERS}"
    assert Client().get(answer.url).url == f"/account/login/?next={USERS}"
    user = make_user(Role.ADMIN, password=PASSWORD)
    client = Client()
    client.post("/admin/login/", {"username": user.email, "password": PASSWORD})
    assert "_auth_user_id" not in client.session


def test_agents_are_not_let_into_the_admin():
    client = Client()
    client.force_login(make_user(Role.AGENT))
    assert client.get(USERS).url.startswith("/admin/login/")
    assert client.get("/admin/login/").status_code == 403


def test_the_password_is_changed_where_it_ends_the_other_sessions(as_admin):
    assert as_admin.get("/admin/password_change/").url == "/account/password/change/"


def test_z19_secrets_of_sign_ins_have_no_page():
    import_module(settings.ROOT_URLCONF)
    shown = {model._meta.label for model in django_admin.site._registry}
    hidden = {
        "mfa.Authenticator",
        "usersessions.UserSession",
        "token_blacklist.OutstandingToken",
        "socialaccount.SocialApp",
        "auth.Group",
        "users.Ticket",
    }
    assert not shown & hidden


@pytest.mark.parametrize("path", ["", "?q=person", "?is_active__exact=1", "add/"])
@pytest.mark.parametrize("page", ["user", "team", "customer"])
def test_the_pages_open(page, path, as_boss, as_admin, team):
    make_customer([team])
    for client in (as_boss, as_admin):
        if page != "user" and "active" in path:
            continue
        assert client.get(f"/admin/users/{page}/{path}").status_code == 200


def test_no_page_shows_a_password_hash(as_admin):
    user = make_user(password=PASSWORD)
    for path in ("", f"{user.pk}/change/", f"{user.pk}/history/"):
        page = as_admin.get(USERS + path)
        assert page.status_code == 200
        assert user.password not in page.content.decode()


@pytest.mark.parametrize("page", ["user", "customer", "team"])
def test_a_list_costs_the_same_queries_however_long_it_is(page, as_boss, team):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert as_boss.get(f"/admin/users/{page}/").status_code == 200
        return len(captured)

    def more() -> None:
        for _ in range(4):
            make_user(teams=[team])
            customer = make_customer([team])
            customers.add_contact(customer, kind="email", value=f"c{customer.pk}@example.com", by=SYSTEM)

    more()
    few = queries()
    more()
    assert queries() == few


# Users


def test_a_supervisor_makes_an_agent_for_his_team(as_boss, boss, team):
    body = form_of(User(name="Ana", email="Ana@Example.com", pk=0), teams=[team.pk], new_password=PASSWORD)
    answer = as_boss.post(f"{USERS}add/", body)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    user = User.objects.get(email="ana@example.com")
    assert user.check_password(PASSWORD)
    assert user.roles == {Role.AGENT}
    assert list(user.teams.all()) == [team]
    assert Event.objects.get(type="users.user.created").actor == boss.actor_ref


def test_a_weak_password_is_refused(as_boss, team):
    body = form_of(User(name="Ana", email="ana@example.com", pk=0), teams=[team.pk], new_password="12345678")
    answer = as_boss.post(f"{USERS}add/", body)
    assert "new_password" in answer.context["adminform"].form.errors


def test_a_user_is_changed_by_the_services(as_admin, team):
    other = make_team()
    user = make_user(teams=[team])
    body = form_of(user, name="New name", role="supervisor", teams=[other.pk], new_password=PASSWORD)
    assert as_admin.post(f"{USERS}{user.pk}/change/", body).status_code == 302
    user = User.objects.get(pk=user.pk)
    assert (user.name, user.is_staff, list(user.teams.all())) == ("New name", True, [other])
    assert user.check_password(PASSWORD)
    types = set(Event.objects.filter(stream=user.actor_ref).values_list("type", flat=True))
    assert types >= {"users.user.changed", "users.user.role_changed", "users.user.teams_changed"}


def test_switching_off_and_on(as_admin):
    user = make_user()
    as_admin.post(f"{USERS}{user.pk}/change/", form_of(user, is_active=""))
    assert not User.objects.get(pk=user.pk).is_active
    as_admin.post(f"{USERS}{user.pk}/change/", form_of(user))
    assert User.objects.get(pk=user.pk).is_active


def test_z12_z19_a_forged_post_of_a_supervisor_changes_nothing(as_boss, team, admin):
    admin.teams.add(team)
    agent, foreigner = make_user(teams=[team]), make_user(teams=[make_team()])
    tries = [
        (agent, {"role": "admin"}),
        (agent, {"teams": [make_team().pk]}),
        (foreigner, {"name": "Hacked"}),
        (admin, {"name": "Hacked"}),
        (agent, {"is_superuser": "on", "is_staff": "on", "groups": ["1"]}),
    ]
    for user, change in tries:
        as_boss.post(f"{USERS}{user.pk}/change/", form_of(user, **change))
    for user in (agent, foreigner, admin):
        fresh = User.objects.get(pk=user.pk)
        assert (fresh.name, fresh.is_staff, fresh.roles) == (user.name, user.is_staff, user.roles)
        assert set(fresh.teams.all()) == set(user.teams.all())


def test_z12_a_supervisor_does_not_see_other_teams(as_boss):
    foreigner = make_user(teams=[make_team()], name="Foreign")
    assert "Foreign" not in as_boss.get(USERS).content.decode()
    for path in ("change/", "history/", f"history/{foreigner.history.first().pk}/"):
        answer = as_boss.get(f"{USERS}{foreigner.pk}/{path}")
        assert answer.status_code in (302, 403, 404)
        assert "Foreign" not in answer.content.decode()


def test_z12_nobody_changes_his_own_role_here(as_admin, admin):
    make_user(Role.ADMIN)
    as_admin.post(f"{USERS}{admin.pk}/change/", form_of(admin, role="agent", is_active=""))
    fresh = User.objects.get(pk=admin.pk)
    assert fresh.has_role(Role.ADMIN)


def test_teams_a_supervisor_does_not_see_are_kept(as_boss, team):
    unseen = make_team()
    user = make_user(teams=[team, unseen])
    as_boss.post(f"{USERS}{user.pk}/change/", form_of(user, teams=[team.pk], name="New"))
    fresh = User.objects.get(pk=user.pk)
    assert (fresh.name, set(fresh.teams.all())) == ("New", {team, unseen})


def test_what_a_service_refuses_is_said_on_the_page(as_admin, admin):
    answer = as_admin.post(USERS, {"action": "switch_off", "_selected_action": [admin.pk]}, follow=True)
    assert "You cannot change your own role or switch yourself off." in answer.content.decode()
    assert User.objects.get(pk=admin.pk).is_active


def test_forced_sign_out(as_boss, team):
    agents = [make_user(teams=[team]) for _ in range(2)]
    as_boss.post(USERS, {"action": "sign_out", "_selected_action": [agent.pk for agent in agents]})
    assert set(
        User.objects.filter(pk__in=[a.pk for a in agents]).values_list("sign_in_epoch", flat=True)
    ) == {1}


def test_users_are_never_deleted(as_admin):
    user = make_user()
    assert as_admin.post(f"{USERS}{user.pk}/delete/", {"post": "yes"}).status_code == 403
    as_admin.post(USERS, {"action": "delete_selected", "_selected_action": [user.pk], "post": "yes"})
    assert User.objects.filter(pk=user.pk).exists()


# Teams


def test_a_supervisor_makes_a_team_and_belongs_to_it(as_boss, boss):
    assert as_boss.post("/admin/users/team/add/", {"name": "Night shift"}).status_code == 302
    assert boss.teams.filter(name="Night shift").exists()


def test_a_team_with_members_is_not_deleted(as_admin, team, boss):
    as_admin.post(f"/admin/users/team/{team.pk}/delete/", {"post": "yes"})
    as_admin.post(
        "/admin/users/team/", {"action": "delete_selected", "_selected_action": [team.pk], "post": "yes"}
    )
    assert Team.objects.filter(pk=team.pk).exists()
    empty = make_team()
    as_admin.post(f"/admin/users/team/{empty.pk}/delete/", {"post": "yes"})
    assert not Team.objects.filter(pk=empty.pk).exists()


# Customers


def test_a_customer_is_made_with_contacts_in_one_form(as_boss, team):
    body = customer_form(
        teams=[team.pk],
        **{
            "contact_points-TOTAL_FORMS": 1,
            "contact_points-0-kind": "phone",
            "contact_points-0-value": "+44 20 7946 0018",
        },
    )
    answer = as_boss.post(f"{CUSTOMERS}add/", body)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    customer = Customer.objects.get()
    assert ContactPoint.objects.get().value == "+442079460018"
    assert list(customer.teams.all()) == [team]
    assert customer.history.first().history_user is not None


def test_b38_a_wrong_number_is_said_at_its_field(as_boss, team):
    contact = {
        "contact_points-TOTAL_FORMS": 1,
        "contact_points-0-kind": "phone",
        "contact_points-0-value": "112",
    }
    answer = as_boss.post(f"{CUSTOMERS}add/", customer_form(teams=[team.pk], **contact))
    assert "never dialled" in answer.content.decode()
    assert not Customer.objects.exists()


def test_a_customer_is_changed_and_a_contact_removed(as_boss, team):
    customer = make_customer([team])
    point = customers.add_contact(customer, kind="email", value="a@example.com", by=SYSTEM)
    body = customer_form(
        name="Ada King",
        attributes='{"plan": "gold"}',
        teams=[team.pk],
        **{
            "contact_points-TOTAL_FORMS": 1,
            "contact_points-INITIAL_FORMS": 1,
            "contact_points-0-id": point.pk,
            "contact_points-0-customer": customer.pk,
            "contact_points-0-DELETE": "on",
        },
    )
    assert as_boss.post(f"{CUSTOMERS}{customer.pk}/change/", body).status_code == 302
    customer.refresh_from_db()
    assert (customer.name, customer.attributes) == ("Ada King", {"plan": "gold"})
    assert not ContactPoint.objects.exists()


def test_z19_customers_of_other_teams_cannot_be_reached(as_boss):
    stranger = make_customer([make_team()], name="Stranger")
    assert "Stranger" not in as_boss.get(CUSTOMERS).content.decode()
    assert as_boss.get(CUSTOMERS, {"q": "Stranger"}).context["cl"].result_count == 0
    as_boss.post(f"{CUSTOMERS}{stranger.pk}/change/", customer_form(name="Hacked"))
    stranger.refresh_from_db()
    assert stranger.name == "Stranger"


def test_customers_are_found_by_their_contacts(as_boss, team):
    customer = make_customer([team], name="Ada Lovelace")
    customers.add_contact(customer, kind="phone", value="+442079460018", by=SYSTEM)
    assert "Ada Lovelace" in as_boss.get(CUSTOMERS, {"q": "+44 20 7946 0018"}).content.decode()


def test_doubles_are_merged_after_a_question(as_boss, team):
    keep, double = make_customer([team], name="Keep me"), make_customer([team], name="Double")
    body = {"action": "merge", "_selected_action": [keep.pk, double.pk]}
    page = as_boss.post(CUSTOMERS, body)
    assert "Which record stays?" in page.content.decode()
    double.refresh_from_db()
    assert double.merged_into is None
    assert as_boss.post(CUSTOMERS, body | {"keep": keep.pk}).status_code == 302
    double.refresh_from_db()
    assert double.merged_into == keep


def test_one_record_alone_cannot_be_merged(as_boss, team):
    body = {"action": "merge", "_selected_action": [make_customer([team]).pk]}
    assert "two to ten" in as_boss.post(CUSTOMERS, body, follow=True).content.decode()


def test_customers_are_never_deleted(as_admin):
    customer = make_customer()
    assert as_admin.post(f"{CUSTOMERS}{customer.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_customer_goes_back_to_an_earlier_version(as_boss, team):
    customer = make_customer([team], name="Ada")
    customers.update(customer, by=SYSTEM, name="Wrong")
    first = customer.history.last()
    url = f"{CUSTOMERS}{customer.pk}/history/{first.pk}/"
    assert as_boss.get(url).status_code == 200
    assert as_boss.post(url, customer_form(name="Ada", teams=[team.pk])).status_code == 302
    customer.refresh_from_db()
    assert customer.name == "Ada"
