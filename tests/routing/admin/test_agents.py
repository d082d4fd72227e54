"""Agents in the admin: what they do, what they can hold, paused and signed out by a supervisor."""

from __future__ import annotations

import pytest
from django.core import mail

from apps.routing.choices import Chosen, ItemState
from apps.routing.models import Agent
from apps.users.choices import Role
from tests.factories import hand_to, make_agent, make_reason, make_skill, make_team, make_user, put_in_line
from tests.routing.admin.pages import AGENTS, act, as_, errors_of, page, rows, told
from tests.routing.checks import assert_in_order

pytestmark = pytest.mark.django_db


def test_list_of_agents_shows_state_work_and_skills(queue, as_boss):
    agent = make_agent(queue.team, skills={"cards": 4})
    item = hand_to(put_in_line(queue), agent)
    text = errors_of(as_boss.get(AGENTS))
    for shown in (
        agent.user.name,
        "On contact",
        f"{queue.units} / 12",
        "cards 4",
        str(item.conversation.customer),
    ):
        assert shown in text


def test_agents_of_other_teams_are_not_there(queue, as_boss):
    stranger = make_agent(make_team())
    assert stranger.user.name not in page(as_boss, AGENTS)
    act(as_boss, AGENTS, "sign_out", [stranger])
    stranger.refresh_from_db()
    assert stranger.chosen == Chosen.AVAILABLE


def test_capacity_is_changed_and_nothing_else_of_the_agent(queue, as_boss):
    agent = make_agent(queue.team)
    fields = {"capacity": 8} | rows("levels", [{"agent": agent.pk, "skill": make_skill("de").pk, "level": 4}])
    stale = Agent.objects.get(pk=agent.pk)
    hand_to(put_in_line(queue), agent)
    answer = as_boss.post(f"{AGENTS}{agent.pk}/change/", fields, follow=True)
    assert answer.redirect_chain, errors_of(answer)
    agent.refresh_from_db()
    assert (agent.capacity, agent.load, stale.load) == (8, queue.units, 0)
    assert [(level.skill.name, level.level) for level in agent.levels.all()] == [("de", 4)]
    assert_in_order()


def test_capacity_below_what_he_holds_is_refused_in_words(queue, as_boss):
    agent = make_agent(queue.team)
    hand_to(put_in_line(queue), agent)
    answer = as_boss.post(f"{AGENTS}{agent.pk}/change/", {"capacity": 1} | rows("levels", []), follow=True)
    assert "This agent has work of 4 units in hand. Lower the capacity when he has less." in errors_of(answer)
    assert Agent.objects.get().capacity == 12


def test_user_can_be_made_an_agent_before_he_first_signs_in(queue, as_boss):
    user = make_user(teams=[queue.team])
    fields = {"user": user.pk, "capacity": 8} | rows("levels", [{"skill": make_skill("de").pk, "level": 2}])
    answer = as_boss.post(f"{AGENTS}add/", fields, follow=True)
    assert answer.redirect_chain, errors_of(answer)
    agent = Agent.objects.get(user=user)
    assert (agent.capacity, agent.chosen, agent.levels.get().level) == (8, Chosen.SIGNED_OUT, 2)


def test_pausing_asks_for_the_reason_first(queue, as_boss):
    agents, reason = [make_agent(queue.team), make_agent(queue.team)], make_reason("Meeting")
    asked = act(as_boss, AGENTS, "set_not_ready", agents)
    assert "Meeting" in errors_of(asked)
    assert all(agent.user.name in errors_of(asked) for agent in agents)
    act(as_boss, AGENTS, "set_not_ready", agents, apply=1, reason=reason.pk)
    assert {(row.chosen, row.reason) for row in Agent.objects.all()} == {(Chosen.NOT_READY, reason)}


def test_who_cannot_be_paused_is_named_and_hinders_nobody(queue, as_boss):
    here, gone = make_agent(queue.team), make_agent(queue.team, chosen=Chosen.SIGNED_OUT)
    answer = act(as_boss, AGENTS, "set_not_ready", [gone, here], apply=1, reason=make_reason().pk)
    assert sorted(told(answer)) == ["Done for 1 of 2.", f"{gone.user.name}: This agent is not signed in."]
    assert Agent.objects.get(pk=here.pk).chosen == Chosen.NOT_READY


def test_forced_sign_out_ends_sessions_and_returns_the_work(queue, as_boss):
    agent = make_agent(queue.team)
    item, his = hand_to(put_in_line(queue), agent), as_(agent.user)
    assert his.get("/console/").status_code == 200
    act(as_boss, AGENTS, "sign_out", [agent])
    item.refresh_from_db()
    assert (item.state, Agent.objects.get().chosen) == (ItemState.WAITING, Chosen.SIGNED_OUT)
    assert his.get("/console/").status_code == 302
    assert_in_order()
    assert mail.outbox == []


def test_supervisor_signs_out_nobody_above_himself(queue, as_boss):
    admin = make_agent(user=make_user(Role.ADMIN, teams=[queue.team]))
    answer = act(as_boss, AGENTS, "sign_out", [admin])
    assert "Nobody may grant a role above his own" in told(answer)[0]
    assert Agent.objects.get(pk=admin.pk).chosen == Chosen.AVAILABLE
