"""The line and its conversations in the admin: given and taken over, and why it went where it went."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core.models import Event
from apps.messaging.services import conversations
from apps.routing.choices import ItemState
from apps.routing.models import Item
from apps.routing.services import offers, router
from apps.users.models import User
from tests.factories import make_agent, make_queue, make_team, put_in_line
from tests.routing.admin.pages import CONVERSATIONS, DECISIONS, LINE, act, errors_of, page, post, told
from tests.routing.checks import assert_in_order

pytestmark = pytest.mark.django_db


def test_line_shows_places_head_starts_and_who_did_not_take_it(queue, as_boss):
    agent = make_agent(queue.team, skills={"cards": 3})
    second, first = put_in_line(queue, waited=30, credit=5), put_in_line(queue, waited=60)
    router.run(now=timezone.now())
    offers.decline(first.offers.live().get().pk, by=agent.user, now=timezone.now())
    answer = as_boss.get(LINE)
    items = {item.pk: item.place for item in answer.context["cl"].result_list}
    assert items == {first.pk: 1, second.pk: 2}
    assert f"{agent.user.name} (Declined)" in answer.content.decode()


def test_line_of_other_teams_is_not_there(queue, as_boss):
    put_in_line(make_queue())
    assert list(as_boss.get(LINE).context["cl"].result_list) == []


@pytest.mark.parametrize(("address", "action"), [(LINE, "reassign"), (CONVERSATIONS, "give_to_an_agent")])
def test_work_is_given_in_bulk_to_an_agent_who_is_asked_for_first(queue, as_boss, address, action):
    agent = make_agent(queue.team)
    items = [put_in_line(queue), put_in_line(queue)]
    chosen = items if address == LINE else [item.conversation for item in items]
    assert agent.user.name in errors_of(act(as_boss, address, action, chosen))
    answer = act(as_boss, address, action, chosen, apply=1, agent=agent.pk)
    assert told(answer) == ["Done for all 2."]
    assert {row.agent for row in Item.objects.all()} == {agent}
    assert_in_order()


def test_what_happened_names_queues_and_agents_at_the_same_cost_however_much(queue, as_boss):
    agent = make_agent(queue.team, skills={"cards": 3})
    item = put_in_line(queue)
    address, costs = f"{CONVERSATIONS}{item.conversation_id}/change/", []
    for _ in range(2):
        Item.objects.update(not_to={})
        router.run(now=timezone.now())
        offers.decline(item.offers.live().get().pk, by=agent.user, now=timezone.now())
        with CaptureQueriesContext(connection) as queries:
            text = page(as_boss, address)
        costs.append(len(queries))
    name = agent.user.name
    for words in (f"waits in {queue}", f"offered to {name}", f"{name} declined"):
        assert words in text, words
    assert costs[0] == costs[1]


def test_work_to_be_given_is_named_at_the_same_cost_however_much(queue, as_boss):
    make_agent(queue.team)
    items = [put_in_line(queue) for _ in range(4)]
    costs = []
    for chosen in (items[:1], items):
        with CaptureQueriesContext(connection) as queries:
            text = errors_of(act(as_boss, LINE, "reassign", chosen))
        costs.append(len(queries))
        for item in chosen:
            assert f"#{item.conversation_id} {item.conversation.customer} ({queue})" in text
    assert costs[0] == costs[1]


def test_what_does_not_fit_is_named(queue, as_boss):
    agent = make_agent(queue.team, capacity=4)
    items = [put_in_line(queue), put_in_line(queue)]
    answer = act(as_boss, LINE, "reassign", items, apply=1, agent=agent.pk)
    assert len(told(answer)) == 2
    refused = {f"{item}: This agent has no room for it." for item in items}
    assert [len(refused & {*told(answer)}), "Done for 1 of 2." in told(answer)] == [1, True]
    assert_in_order()


def test_work_is_given_to_agents_of_ones_own_teams_only(queue, as_boss):
    stranger = make_agent(make_team())
    answer = act(as_boss, LINE, "reassign", [put_in_line(queue)], apply=1, agent=stranger.pk)
    assert "Select a valid choice" in errors_of(answer)
    assert Item.objects.get().state == ItemState.WAITING


@pytest.mark.parametrize(("address", "action"), [(LINE, "take_over"), (CONVERSATIONS, "take_over_yourself")])
def test_z17_supervisor_takes_over_and_is_told_where_to_find_it(queue, as_boss, boss, address, action):
    item = put_in_line(queue)
    answer = act(as_boss, address, action, [item if address == LINE else item.conversation])
    item.refresh_from_db()
    assert item.agent.user == boss
    assert Event.objects.filter(stream=item.conversation.stream, actor=boss.actor_ref).exists()
    assert "/console/" in told(answer)[1]
    assert_in_order()


def page_of(item, what="change"):
    return f"{CONVERSATIONS}{item.conversation_id}/{what}/"


def test_conversation_is_given_to_an_agent_on_its_own_page(queue, as_boss):
    agent, item = make_agent(queue.team), put_in_line(queue)
    assert page_of(item, "give") in page(as_boss, page_of(item))
    assert agent.user.name in page(as_boss, page_of(item, "give"))
    answer = post(as_boss, page_of(item, "give"), apply=1, agent=agent.pk)
    assert answer.redirect_chain == [(page_of(item), 302)]
    assert told(answer) == ["Done for 1."]
    item.refresh_from_db()
    assert item.agent == agent
    assert_in_order()


def test_conversation_is_taken_over_on_its_own_page_by_a_button_and_no_link(queue, as_boss, boss):
    item = put_in_line(queue)
    assert page_of(item, "take-over") in page(as_boss, page_of(item))
    page(as_boss, page_of(item, "take-over"))
    item.refresh_from_db()
    assert item.state == ItemState.WAITING
    answer = post(as_boss, page_of(item, "take-over"), apply=1)
    assert answer.redirect_chain == [(page_of(item), 302)]
    assert "/console/" in told(answer)[1]
    item.refresh_from_db()
    assert item.agent.user == boss
    assert_in_order()


@pytest.mark.parametrize("what", ["give", "take-over"])
def test_what_was_closed_meanwhile_is_told_on_the_page(queue, as_boss, boss, what):
    agent, item = make_agent(queue.team), put_in_line(queue)
    conversations.close(item.conversation_id, by=boss, now=timezone.now())
    answer = post(as_boss, page_of(item, what), apply=1, agent=agent.pk)
    assert answer.redirect_chain == [(page_of(item), 302)]
    assert "Done for 1." not in told(answer)
    assert "This conversation" in told(answer)[0]
    item.refresh_from_db()
    assert item.agent is None


@pytest.mark.parametrize("what", ["give", "take-over"])
def test_conversations_of_other_teams_are_given_to_nobody(queue, as_boss, what):
    agent, item = make_agent(queue.team), put_in_line(make_queue())
    answer = as_boss.post(page_of(item, what), {"apply": 1, "agent": agent.pk})
    assert answer.status_code == 404
    assert Item.objects.get().state == ItemState.WAITING


@pytest.mark.parametrize("what", ["give", "take-over"])
def test_who_may_only_look_gives_nothing_to_anybody(queue, as_boss, monkeypatch, what):
    agent, item = make_agent(queue.team), put_in_line(queue)
    may = User.has_perm
    monkeypatch.setattr(
        User, "has_perm", lambda user, name, row=None: name != "routing.change_item" and may(user, name, row)
    )
    assert page_of(item, what) not in page(as_boss, page_of(item))
    assert as_boss.post(page_of(item, what), {"apply": 1, "agent": agent.pk}).status_code == 403
    assert Item.objects.get().state == ItemState.WAITING


# Why


def test_decision_tells_its_terms_and_everybody_elses_reason(queue, as_boss):
    make_agent(queue.team, skills={"cards": 4}, idle=9)
    novice = make_agent(queue.team)
    item = put_in_line(queue)
    router.run(now=timezone.now())
    decision = item.decisions.get()
    assert f"#{item.conversation_id}" in page(as_boss, DECISIONS)
    for address in (f"{DECISIONS}{decision.pk}/change/", f"{CONVERSATIONS}{item.conversation_id}/change/"):
        text = errors_of(as_boss.get(address))
        for shown in ("waited", "× 1", str(decision.score), novice.user.name, "cards 0 &lt; 1", "Ringing"):
            assert shown in text, address


def test_decisions_of_other_teams_are_not_there(as_boss):
    queue = make_queue()
    make_agent(queue.team)
    item = put_in_line(queue)
    router.run(now=timezone.now())
    decision = item.decisions.get()
    assert f"#{item.conversation_id}" not in page(as_boss, DECISIONS)
    assert as_boss.get(f"{DECISIONS}{decision.pk}/change/").status_code == 302
