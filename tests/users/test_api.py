"""The people part of the API: what each role sees and may do."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.core.events import SYSTEM
from apps.users.choices import Role
from apps.users.models import ContactPoint, Customer, Team, User
from apps.users.services import customers
from tests.factories import make_customer, make_team, make_user

pytestmark = pytest.mark.django_db
CUSTOMERS = "/api/v1/customers/"
UNREACHABLE = 999_999


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def agent(team, api_as) -> APIClient:
    return api_as(make_user(Role.AGENT, [team]))


@pytest.fixture
def supervisor(team, api_as) -> APIClient:
    return api_as(make_user(Role.SUPERVISOR, [team]))


def post(client: APIClient, body: dict, key: str | None = None):
    return client.post(CUSTOMERS, body, headers={"idempotency-key": key or uuid4().hex})


def names(answer) -> set[str]:
    return {row["name"] for row in answer.json()["results"]}


# Who I am


def test_everybody_sees_and_changes_himself(api_as):
    user = make_user(name="Ana", language="de")
    api = api_as(user)
    assert api.get("/api/v1/me/").json()["role"] == "agent"
    answer = api.patch("/api/v1/me/", {"time_zone": "Asia/Kathmandu", "language": "en"})
    assert answer.json()["time_zone"] == "Asia/Kathmandu"
    user.refresh_from_db()
    assert (user.time_zone, user.language) == ("Asia/Kathmandu", "en")


@pytest.mark.parametrize(
    "field", ["email", "role", "teams", "is_active", "is_staff", "is_superuser", "id", "password"]
)
def test_b10_b11_nobody_raises_himself(field, agent):
    before = User.objects.values().order_by("id")[0]
    answer = agent.patch("/api/v1/me/", {field: "admin"})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_field")
    assert User.objects.values().order_by("id")[0] == before


def test_b11_an_empty_change_changes_nothing(agent):
    assert agent.patch("/api/v1/me/", {}).status_code == 200


# Who works here


def test_z18_agents_see_the_names_of_their_team_and_no_more(team, agent):
    make_user(teams=[team], name="Ben")
    make_user(teams=[make_team()], name="Foreign")
    answer = agent.get("/api/v1/users/")
    assert "Ben" in names(answer)
    assert "Foreign" not in names(answer)
    assert all(set(row) == {"id", "name"} for row in answer.json()["results"])


def test_supervisors_see_how_to_reach_their_people(team, supervisor):
    ben = make_user(teams=[team], name="Ben")
    row = supervisor.get(f"/api/v1/users/{ben.pk}/").json()
    assert (row["email"], row["role"], row["teams"]) == (
        ben.email,
        "agent",
        [{"id": team.pk, "name": team.name}],
    )


def test_users_of_other_teams_do_not_exist(supervisor):
    stranger = make_user(teams=[make_team()])
    foreign, missing = (supervisor.get(f"/api/v1/users/{pk}/") for pk in (stranger.pk, UNREACHABLE))
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json()["detail"] == missing.json()["detail"]


def test_administrators_see_everybody(api_as, admin):
    make_user(teams=[make_team()], name="Foreign")
    assert "Foreign" in names(api_as(admin).get("/api/v1/users/"))


def test_whoever_has_no_role_sees_only_himself(api_as):
    nobody = api_as(make_user(None))
    assert nobody.get("/api/v1/me/").json()["role"] is None
    for path in ("users", "teams", "customers"):
        assert nobody.get(f"/api/v1/{path}/").status_code == 403


def test_only_own_teams_are_listed(team, agent, api_as, admin):
    make_team("Other")
    assert names(agent.get("/api/v1/teams/")) == {team.name}
    assert "Other" in names(api_as(admin).get("/api/v1/teams/"))


@pytest.mark.parametrize("path", ["me", "users", "users/1", "teams", "teams/1", "customers", "customers/1"])
def test_strangers_are_asked_to_sign_in(path):
    for method in ("get", "post", "patch", "delete"):
        assert getattr(APIClient(), method)(f"/api/v1/{path}/").status_code == 401


# Customers: reading


def test_agents_read_the_customers_of_their_team(team, agent):
    customer = make_customer([team], name="Ada")
    customers.add_contact(customer, kind="email", value="ada@example.com", by=SYSTEM)
    answer = agent.get(f"{CUSTOMERS}{customer.pk}/")
    row = answer.json()
    assert (row["name"], row["teams"]) == ("Ada", [{"id": team.pk, "name": team.name}])
    assert [contact["value"] for contact in row["contacts"]] == ["ada@example.com"]
    assert answer["ETag"] == f'"{row["version"]}"'


def test_z03_customers_of_other_teams_do_not_exist(team, agent, supervisor):
    stranger = make_customer([make_team()], name="Stranger")
    assert names(agent.get(CUSTOMERS)) == set()
    assert names(agent.get(CUSTOMERS, {"search": "Stranger"})) == set()
    for path in (f"{stranger.pk}/", f"{UNREACHABLE}/"):
        assert agent.get(CUSTOMERS + path).status_code == 404
        assert supervisor.patch(CUSTOMERS + path, {"name": "x"}).status_code == 404
        assert (
            supervisor.post(CUSTOMERS + path + "contacts/", {"kind": "email", "value": "a@b.cc"}).status_code
            == 404
        )
        assert supervisor.post(CUSTOMERS + path + "merge/", {"double": 1}).status_code in (400, 404)
    stranger.refresh_from_db()
    assert stranger.name == "Stranger"


def test_customers_are_found(team, agent):
    make_customer([team], name="Ada Lovelace")
    make_customer([team], name="Grace Hopper")
    assert names(agent.get(CUSTOMERS, {"search": "lovelace"})) == {"Ada Lovelace"}
    assert names(agent.get(CUSTOMERS)) == {"Ada Lovelace", "Grace Hopper"}
    assert agent.get(CUSTOMERS, {"q": "x"}).json()["code"] == "unknown_parameter"


@pytest.mark.parametrize("text", ["%", "_", "\\", "a & | !", "x" * 5_000, "é", "a"])
def test_b23_any_search_is_answered(text, agent):
    assert agent.get(CUSTOMERS, {"search": text}).status_code == 200


@pytest.mark.parametrize("pk", ["0", "-1", "abc", "1.0", "9" * 30, "٣"])
def test_b08_a_strange_id_is_not_found(pk, agent):
    assert agent.get(f"{CUSTOMERS}{pk}/").status_code == 404


@pytest.mark.parametrize("path", ["users", "customers", "teams"])
def test_a_page_costs_the_same_queries_however_long_it_is(path, team, supervisor):
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert supervisor.get(f"/api/v1/{path}/").status_code == 200
        return len(captured)

    def more() -> None:
        for _ in range(5):
            make_user(teams=[team])
            customer = make_customer([team, make_team()])
            customers.add_contact(customer, kind="email", value=f"c{customer.pk}@example.com", by=SYSTEM)

    more()
    few = queries()
    more()
    assert queries() == few <= 8


# Customers: writing


def test_agents_do_not_write(team, agent):
    customer = make_customer([team])
    assert post(agent, {"name": "x"}).status_code == 403
    for answer in (
        agent.patch(f"{CUSTOMERS}{customer.pk}/", {"name": "x"}),
        agent.post(f"{CUSTOMERS}{customer.pk}/merge/", {"double": customer.pk}),
        agent.post(f"{CUSTOMERS}{customer.pk}/contacts/", {"kind": "email", "value": "a@b.cc"}),
        agent.delete(f"{CUSTOMERS}{customer.pk}/contacts/1/"),
    ):
        assert answer.status_code == 403
    assert not ContactPoint.objects.exists()


def test_a_supervisor_makes_a_customer(team, supervisor):
    body = {
        "name": "Ada",
        "time_zone": "Europe/London",
        "external_id": "crm-1",
        "attributes": {"plan": "gold"},
        "contacts": [{"kind": "phone", "value": "+44 20 7946 0018"}],
    }
    answer = post(supervisor, body)
    assert answer.status_code == 201
    row = answer.json()
    assert (row["name"], row["version"], row["teams"]) == ("Ada", 1, [{"id": team.pk, "name": team.name}])
    assert row["contacts"][0]["value"] == "+442079460018"


def test_b24_the_same_key_makes_one_customer(supervisor):
    first, again = (post(supervisor, {"name": "Ada"}, "key-1") for _ in range(2))
    assert first.json() == again.json()
    assert Customer.objects.count() == 1
    assert post(supervisor, {"name": "Other"}, "key-1").status_code == 422
    assert supervisor.post(CUSTOMERS, {"name": "Ada"}).json()["code"] == "idempotency_key_required"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"id": 5}, "unknown_field"),
        ({"version": 5}, "unknown_field"),
        ({"merged_into": 1}, "unknown_field"),
        ({"created_at": "2026-01-01T00:00:00Z"}, "unknown_field"),
        ({"name": 1}, "invalid"),
        ({"name": "a\nb"}, "control"),
        ({"time_zone": "Europe/Foo"}, "zone"),
        ({"attributes": []}, "not_an_object"),
        ({"attributes": {"a": []}}, "attributes"),
        ({"contacts": [{"kind": "phone", "value": "911"}]}, "phone_not_dialled"),
        ({"contacts": [{"kind": "phone", "value": "hello"}]}, "phone_invalid"),
        ({"contacts": [{"kind": "fax", "value": "1"}]}, "invalid_choice"),
        ({"contacts": [{"kind": "email", "value": "nobody"}]}, "email_invalid"),
        ({"contacts": [{"kind": "email", "value": f"a{n}@example.com"} for n in range(21)]}, "max_length"),
        ({"teams": [UNREACHABLE]}, "does_not_exist"),
        ({"teams": ["1"]}, "incorrect_type"),
    ],
)
def test_b08_b10_b38_a_wrong_customer_is_refused(body, code, supervisor):
    answer = post(supervisor, {"name": "Ada"} | body)
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.json()
    assert not Customer.objects.exists()


def test_z12_a_customer_is_shown_to_own_teams_only(supervisor):
    assert post(supervisor, {"name": "Ada", "teams": [make_team().pk]}).json()["code"] == "does_not_exist"


def test_b11_a_change_needs_the_version_it_was_made_for(team, supervisor):
    url = f"{CUSTOMERS}{make_customer([team]).pk}/"
    first = supervisor.patch(url, {"name": "First", "version": 1})
    assert (first.status_code, first["ETag"]) == (200, '"2"')
    for answer in (
        supervisor.patch(url, {"name": "Second", "version": 1}),
        supervisor.patch(url, {"name": "Second"}, headers={"if-match": '"1"'}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (412, "stale_version")
    assert supervisor.patch(url, {"name": "Second"}, headers={"if-match": '"2"'}).status_code == 200
    assert supervisor.patch(url, {"name": "Third"}, headers={"if-match": "*"}).status_code == 200
    assert supervisor.patch(url, {}).json()["version"] == 4


@pytest.mark.parametrize("header", ["1", '"x"', '"1", "2"', '"' + "9" * 30 + '"'])
def test_a_strange_if_match_is_a_bad_request(header, team, supervisor):
    url = f"{CUSTOMERS}{make_customer([team]).pk}/"
    assert (
        supervisor.patch(url, {"name": "x"}, headers={"if-match": header}).json()["code"]
        == "bad_precondition"
    )


def test_an_external_id_is_given_once(team, supervisor):
    make_customer([make_team()], external_id="crm-1")
    answer = post(supervisor, {"name": "Ada", "external_id": "crm-1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "external_id_taken")


def test_contacts_come_and_go(team, supervisor):
    url = f"{CUSTOMERS}{make_customer([team]).pk}/contacts/"
    answer = supervisor.post(url, {"kind": "email", "value": "Ada@Example.com"})
    assert answer.status_code == 201
    [contact] = answer.json()["contacts"]
    assert contact["value"] == "ada@example.com"
    assert supervisor.delete(f"{url}{contact['id']}/").status_code == 204
    assert not ContactPoint.objects.exists()


def test_two_records_become_one(team, supervisor):
    keep, double = make_customer([team]), make_customer([team])
    customers.add_contact(double, kind="email", value="ada@example.com", by=SYSTEM)
    answer = supervisor.post(f"{CUSTOMERS}{keep.pk}/merge/", {"double": double.pk})
    assert [contact["value"] for contact in answer.json()["contacts"]] == ["ada@example.com"]
    assert supervisor.get(f"{CUSTOMERS}{double.pk}/").status_code == 404


def test_z03_a_foreign_double_does_not_exist(team, supervisor):
    keep, stranger = make_customer([team]), make_customer([make_team()])
    for pk in (stranger.pk, UNREACHABLE):
        answer = supervisor.post(f"{CUSTOMERS}{keep.pk}/merge/", {"double": pk})
        assert (answer.status_code, answer.json()["code"]) == (400, "does_not_exist")
    stranger.refresh_from_db()
    assert stranger.merged_into is None


def test_the_description_of_this_part_is_valid(tmp_path):
    file = str(tmp_path / "schema.yml")
    call_command(
        "spectacular", "--urlconf", "apps.users.api.urls", "--validate", "--fail-on-warn", "--file", file
    )
    assert "/customers/{id}/merge/" in (tmp_path / "schema.yml").read_text()
