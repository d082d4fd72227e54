"""Who would get it now: the same as would really happen, with every reason, and nothing changes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given

from apps.routing import errors, explain, policy
from apps.routing.choices import Chosen
from apps.routing.models import Agent, Calendar, Offer
from apps.routing.services import router, trial
from apps.routing.services.trial import Wish
from apps.users.choices import Role
from apps.users.services import tokens
from tests.doors.rows import fingerprint
from tests.factories import (
    make_agent,
    make_customer,
    make_queue,
    make_skill,
    make_team,
    make_user,
    put_in_line,
    ring,
)

from .worlds import worlds

TRY = "/admin/routing/queue/try/"


@given(worlds())
def test_ranking_chooses_as_the_policy_does_and_names_everybody(world):
    for item in world.items:
        queue = world.queues[item.queue]
        found = explain.ranking(world.now, queue, item, world.agents)
        decided = policy.decide(world.now, world.queues, [item], world.agents)
        assert ([found.decision] if found.decision else []) == decided
        named = {reason.agent for reason in found.others}
        chosen = {found.decision.agent} if found.decision else set()
        assert named | chosen == {agent.id for agent in world.agents}
        assert not named & chosen
        assert not any(reason.code == explain.AHEAD for reason in found.others)


@pytest.fixture
def queue(db):
    return make_queue([(0, {"cards": 3}), (20, {"cards": 1})], levels={"vip": 90}, w_fit=10, w_last=60)


@pytest.fixture
def boss(queue, settings):
    settings.REQUIRE_MFA = False
    return make_user(Role.SUPERVISOR, [queue.team])


@pytest.fixture
def people(queue):
    now = timezone.now()
    ana = make_agent(queue.team, skills={"cards": 4}, free_since=now - timedelta(seconds=60))
    ben = make_agent(queue.team, skills={"cards": 3}, free_since=now - timedelta(seconds=50))
    eva = make_agent(queue.team, skills={"cards": 1})
    leo = make_agent(queue.team, skills={"cards": 5}, chosen=Chosen.SIGNED_OUT)
    mia = make_agent(queue.team, skills={"cards": 5}, capacity=4)
    ring(put_in_line(make_queue(team=queue.team)), mia)
    return ana, ben, eva, leo, mia


def run(queue, **wish):
    return trial.run(Wish(queue, **wish), now=timezone.now())


def test_everybody_is_ranked_with_a_reason(queue, people):
    ana, ben, eva, leo, mia = people
    tried = run(queue)
    assert tried.winner.agent == ana
    assert tried.winner.score == sum(term.value for term in tried.winner.terms)
    assert (tried.step, tried.version) == (0, queue.version)
    reasons = {row.agent: row.reason for row in tried.others}
    assert [row.agent for row in tried.others] == [ben, eva, mia, leo]
    assert reasons[ben] == "20 s behind: fit -10, idle -10"
    assert reasons[eva] == "cards 1 < 3, opens in 20 s"
    assert reasons[mia] == "busy: 4 of 4 units"
    assert reasons[leo] == "signed out"


def test_whoever_would_get_it_gets_it(queue, people):
    promised = run(queue).winner.agent
    put_in_line(queue)
    router.run(now=timezone.now())
    assert Offer.objects.latest("id").agent == promised


def test_nothing_is_changed(queue, people):
    customer = make_customer([queue.team], attributes={"priority": "vip"})
    before = fingerprint()
    run(queue, customer=customer, waited_seconds=30, needs=(("cards", 2),), priority="vip")
    assert fingerprint() == before


def test_needs_are_asked_on_top(queue, people):
    make_skill("de")
    tried = run(queue, needs=(("de", 2),))
    assert tried.winner is None
    assert {row.reason for row in tried.others} == {"de 0 < 2", "signed out"}
    with pytest.raises(errors.NoSuchSkill, match="There is no skill called “nope”"):
        run(queue, needs=(("nope", 1),))


def test_waiting_opens_steps(queue, people):
    _ana, _ben, eva, *_ = people
    assert "opens in" not in {row.agent: row.reason for row in run(queue, waited_seconds=20).others}[eva]


def test_priority_is_that_of_the_page_else_the_customers(queue, people):
    def credit(**wish):
        return next(term.value for term in run(queue, **wish).winner.terms if term.name == "credit")

    vip = make_customer([queue.team], attributes={"priority": "vip"})
    assert [credit(), credit(customer=vip), credit(priority="vip")] == [0, 90, 90]
    with pytest.raises(errors.NoSuchLevel, match="no priority level called “gold”"):
        credit(priority="gold")


def test_agent_the_customer_knows_has_his_bonus(queue, people):
    _ana, ben, *_ = people
    customer = make_customer([queue.team], attributes={"preferred_agent": ben.user.email})
    assert run(queue, customer=customer).winner.agent == ben


def test_closed_queue_says_so(queue, people):
    assert not run(queue).is_closed
    queue.calendar = Calendar.objects.create(name="Never")
    queue.save()
    assert run(queue).is_closed
    assert run(queue).winner


def test_agents_of_other_teams_are_no_candidates(queue):
    stranger = make_agent(make_team(), skills={"cards": 5})
    tried = run(queue)
    assert (tried.winner, tried.others) == (None, [])
    assert stranger.pk


def test_queries_do_not_grow_with_the_people(queue, people, django_assert_max_num_queries):
    for _ in range(5):
        make_agent(queue.team, skills={"cards": 2})
    with django_assert_max_num_queries(12):
        run(queue)


# Doors


def as_(user):
    client = Client(headers={"Authorization": f"Bearer {tokens.issue(user).access}"})
    client.force_login(user)
    return client


def page(user, **query):
    answer = as_(user).get(TRY, query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_page_asks_first_and_is_linked_from_queue_and_menu(queue, boss):
    text = page(boss)
    assert "Who would get it now?" in text
    assert "would be rung" not in text
    assert (
        f"{TRY}?queue={queue.pk}"
        in as_(boss).get(f"/admin/routing/queue/{queue.pk}/change/").content.decode()
    )
    assert f'href="{TRY}"' in as_(boss).get("/admin/").content.decode()


def test_menu_marks_the_page_and_not_the_list_above_it(queue, boss):
    def marked(address):
        groups = as_(boss).get(address).context["sidebar_navigation"]
        return [str(item["title"]) for group in groups for item in group["items"] if item["active"]]

    assert marked(TRY) == ["Who would get it?"]
    assert marked("/admin/routing/queue/") == ["Queues"]


def test_page_shows_the_ranking(queue, boss, people):
    ana, ben, *_ = people
    put_in_line(queue)
    text = page(boss, queue=queue.pk, priority="vip", waited=5)
    for words in (
        f"{ana} would be rung",
        "head start",
        "20 s behind",
        "busy: 4 of 4 units",
        "1 contact waits",
    ):
        assert words in text, words
    assert str(ben) in text


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"priority": "gold"}, "no priority level called “gold”"),
        ({"customer": "nobody@example.com"}, "There is no such customer."),
        ({"customer": "9" * 18}, "There is no such customer."),
        ({"customer": "Twin"}, "Several customers match."),
        ({"needs": "cards three"}, "is not understood"),
        ({"needs": "nope 2"}, "There is no skill called “nope”."),
        ({"waited": "-1"}, "greater than or equal to 0"),
        ({"waited": "9" * 30}, "less than or equal to"),
        ({"queue": "x"}, "Select a valid choice"),
    ],
)
def test_page_says_what_is_wrong(queue, boss, query, sentence):
    for _ in range(2):
        make_customer([queue.team], name="Twin")
    assert sentence in page(boss, **({"queue": queue.pk} | query))


def test_unknown_levels_and_skills_are_said_at_their_fields(queue, boss):
    for field, text in (("priority", "gold"), ("needs", "nope 2")):
        answer = as_(boss).get(TRY, {"queue": queue.pk, field: text})
        assert [*answer.context["form"].errors] == [field]


def test_everybody_is_named_where_nobody_wins(queue, boss, people):
    assert "Everybody else of the team" in page(boss, queue=queue.pk)
    Agent.objects.update(chosen=Chosen.NOT_READY)
    nobody = page(boss, queue=queue.pk)
    assert "Everybody of the team" in nobody
    assert "Everybody else" not in nobody


def test_page_knows_nothing_of_other_teams(queue, boss):
    foreign = make_queue()
    customer = make_customer([foreign.team])
    assert "Select a valid choice" in page(boss, queue=foreign.pk)
    assert "There is no such customer." in page(boss, queue=queue.pk, customer=customer.pk)


def test_customer_is_found_by_number_or_name(queue, boss, people):
    customer = make_customer([queue.team], name="Only One", attributes={"priority": "vip"})
    for asked in (customer.pk, "Only One"):
        assert "90" in page(boss, queue=queue.pk, customer=asked)


def test_api_tells_the_ranking(queue, boss, people):
    ana, *_ = people
    body = {"priority": "vip", "needs": [{"skill": "cards", "level": 2}]}
    answer = as_(boss).post(f"/api/v1/queues/{queue.pk}/try/", body, content_type="application/json")
    told = answer.json()
    assert (answer.status_code, told["winner"]["agent"]) == (200, ana.user_id)
    assert told["winner"]["score"] == sum(term["value"] for term in told["winner"]["terms"])
    assert len(told["others"]) == 4


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"priority": "gold"}, "no_such_level"),
        ({"needs": [{"skill": "nope"}]}, "no_such_skill"),
        ({"needs": [{"skill": "cards"}] * 21}, "too_many"),
        ({"needs": "cards"}, "not_a_list"),
        ({"customer": 10**17}, "does_not_exist"),
        ({"waited_seconds": -1}, "min_value"),
        ({"waited_seconds": True}, "invalid"),
        ({"winner": 1}, "unknown_field"),
    ],
)
def test_api_refuses_what_makes_no_sense(queue, boss, body, code):
    answer = as_(boss).post(f"/api/v1/queues/{queue.pk}/try/", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_api_is_for_supervisors_of_the_team(queue, boss, people):
    assert as_(people[0].user).post(f"/api/v1/queues/{queue.pk}/try/").status_code == 403
    assert as_(boss).post(f"/api/v1/queues/{make_queue().pk}/try/").status_code == 404
