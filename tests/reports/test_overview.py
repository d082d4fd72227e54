from __future__ import annotations

import json

import pytest
import time_machine
from django.urls import reverse

from apps.core.models import Handling
from apps.reports import dashboard
from apps.users.choices import Role
from tests.factories import make_user

from .planted import NOW, dead_handling, make_agent, make_place, plant_day

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_in_the_afternoon")]


@pytest.fixture
def _in_the_afternoon():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture(autouse=True)
def _without_second_factor(settings) -> None:
    """These users have none; that pages ask for it where it is required is tested with the people."""
    settings.REQUIRE_MFA = False


@pytest.fixture
def place():
    return make_place("support")


@pytest.fixture
def boss(place):
    return make_user(Role.SUPERVISOR, [place.team], time_zone="Europe/Berlin")


def cards_of(response) -> dict[str, str]:
    return {str(card.name): card.value for card in response.context["cards"]}


def test_first_page_shows_todays_figures(client, place, boss) -> None:
    plant_day(place)
    make_agent(place)
    client.force_login(boss)
    response = client.get(reverse("admin:index"))
    assert cards_of(response) == {
        "Waiting now": "2",
        "Longest wait": "5:00",
        "Agents available": "1",
        "Speed of answer (ASA)": "0:27",
        "Offered": "9",
        "Answered": "3",
        "Abandoned": "3",
        "Service level": "25.0 %",
    }
    body = response.content.decode()
    assert "1 left message" in body
    assert "80 % in 20 s" in body


def test_charts_hold_the_same_figures(client, place, boss) -> None:
    plant_day(place)
    make_agent(place)
    client.force_login(boss)
    context = client.get(reverse("admin-overview")).context
    hours, states = json.loads(context["hours_chart"]), json.loads(context["states_chart"])
    offered = next(data for data in hours["datasets"] if data["tone"] == "offered")["data"]
    assert (hours["labels"][9], offered[9], sum(offered)) == ("09:00", 3, 9)
    assert dict(zip(states["labels"], states["datasets"][0]["data"], strict=True))["Available"] == 1


def test_an_empty_day_invents_nothing(client, boss) -> None:
    client.force_login(boss)
    response = client.get(reverse("admin-overview"))
    cards = cards_of(response)
    assert (cards["Longest wait"], cards["Service level"], cards["Speed of answer (ASA)"]) == ("–", "–", "–")
    assert "Nobody has entered the line today yet." in response.content.decode()
    assert "Nobody is signed in." in response.content.decode()


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.ADMIN])
@pytest.mark.parametrize("page", ["admin:index", "admin-overview"])
def test_overview_opens_for_who_leads(client, place, role: Role, page: str) -> None:
    client.force_login(make_user(role, [place.team]))
    assert client.get(reverse(page)).status_code == 200


def test_overview_is_closed_to_agents_and_strangers(client, place) -> None:
    for user in (None, make_user(Role.AGENT, [place.team])):
        if user:
            client.force_login(user)
        assert client.get(reverse("admin:index")).status_code == 302
        refused = client.get(reverse("admin-overview"))
        assert (refused.status_code, refused.headers["HX-Refresh"], refused.content) == (403, "true", b"")


def test_overview_is_only_read(client, boss) -> None:
    client.force_login(boss)
    assert client.post(reverse("admin-overview")).status_code == 405


def test_problems_are_shown_to_who_may_see_them(client, place, boss) -> None:
    plant_day(place)
    mine = place.inbox.conversations.first()
    dead_handling(mine.stream)
    dead_handling("conversation:999999")
    client.force_login(boss)
    problems = client.get(reverse("admin-overview")).context["problems"]
    assert (problems["count"], [row.stream for row in problems["latest"]]) == (1, [mine.stream])
    client.force_login(make_user(Role.ADMIN))
    assert client.get(reverse("admin-overview")).context["problems"]["count"] == 2
    assert Handling.objects.dead().count() == 2


def test_queries_of_the_fragment_stay_the_same(client, place, boss, django_assert_max_num_queries) -> None:
    plant_day(place)
    client.force_login(boss)
    client.get(reverse("admin-overview"))
    for name in ("b", "c", "d"):
        plant_day(make_place(name, team=place.team))
    with django_assert_max_num_queries(20):
        client.get(reverse("admin-overview"))


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, "–"), (0, "0:00"), (7.4, "0:07"), (725, "12:05"), (3729, "1:02:09")]
)
def test_clock(seconds: float | None, shown: str) -> None:
    assert dashboard.clock(seconds) == shown


def policy_of(response) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in response.headers["Content-Security-Policy"].split(";"))
    return {name: values for name, _, values in parts}


def test_only_the_admin_relaxes_the_content_policy(client, boss) -> None:
    client.force_login(boss)
    admin, front = policy_of(client.get(reverse("admin:index"))), policy_of(client.get("/"))
    assert "'unsafe-eval'" in admin["script-src"]
    assert "'unsafe-inline'" not in admin["script-src"]
    assert "'unsafe-inline'" in admin["style-src"]
    assert "'nonce-" not in admin["style-src"]
    assert "unsafe" not in front["script-src"] + front["style-src"]
    assert admin["frame-ancestors"] == front["frame-ancestors"] == "'none'"
