"""Snoozed conversations: off the desk, at their place in line, back at their time or when the customer writes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core.models import Event
from apps.messaging.choices import Status
from apps.messaging.errors import NotYourConversation
from apps.messaging.models import Message
from apps.messaging.services import conversations
from apps.routing import errors
from apps.routing.choices import Chosen, ItemState
from apps.routing.events import SnoozeEnded
from apps.routing.models import Agent, Item
from apps.routing.services import callbacks, router, snoozes, work
from tests.factories import hand_to, make_agent, make_message, make_queue, put_in_line
from tests.routing.checks import assert_in_order

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def queue():
    return make_queue()


@pytest.fixture
def agent(queue) -> Agent:
    return make_agent(queue.team)


@pytest.fixture
def item(queue, agent) -> Item:
    return hand_to(put_in_line(queue, waited=300), agent)


def snooze(item: Item, agent: Agent, *, hours: float = 1) -> None:
    now = timezone.now()
    until = now + hours * HOUR
    snoozes.snooze(item.conversation_id, until=until, by=agent.user, now=now, holder=agent.user)


def fresh(row):
    return type(row).objects.get(pk=row.pk)


def last_reason(item: Item) -> tuple[str, int | None]:
    payload = (
        Event.objects.filter(type=SnoozeEnded.type, stream=item.conversation.stream).latest("id").payload
    )
    return payload["reason"], payload["agent"]


def test_it_leaves_the_desk_frees_the_room_and_keeps_its_place(item, agent) -> None:
    at, said = item.at, Message.objects.filter(conversation=item.conversation).count()
    snooze(item, agent)
    rests, his = fresh(item), fresh(agent)
    assert (rests.state, rests.at, rests.snoozed_for, rests.agent) == (ItemState.RESTING, at, agent, None)
    assert (his.load, fresh(item.conversation).status) == (0, Status.WAITING)
    # The customer is told nothing: the agent has said himself what comes next.
    assert Message.objects.filter(conversation=item.conversation).count() == said
    router.run(now=timezone.now())
    callbacks.wake_due(now=timezone.now())
    assert snoozes.wake_due(now=timezone.now()) == 0
    assert fresh(item).state == ItemState.RESTING
    assert_in_order()


def test_at_its_time_its_agent_has_it_again(item, agent) -> None:
    snooze(item, agent)
    Agent.objects.update(present_until=timezone.now() + 2 * HOUR)
    assert snoozes.wake_due(now=timezone.now() + HOUR) == 1
    back = fresh(item)
    assert (back.state, back.agent, back.snoozed_until) == (ItemState.ACTIVE, agent, None)
    assert (fresh(agent).load, fresh(item.conversation).agent) == (back.units, agent.user)
    assert last_reason(item) == ("time", agent.pk)
    assert_in_order()


def test_it_comes_back_at_once_when_the_customer_writes(item, agent) -> None:
    snooze(item, agent)
    make_message(item.conversation, "Are you there?")
    assert snoozes.wake_due(now=timezone.now()) == 1
    assert fresh(item).agent == agent
    assert last_reason(item) == ("customer", agent.pk)


@pytest.mark.parametrize("why", ["signed out", "paused", "no room", "not in the team"])
def test_an_agent_who_cannot_take_it_loses_it_to_the_line(item, agent, queue, why) -> None:
    snooze(item, agent)
    if why == "signed out":
        Agent.objects.update(chosen=Chosen.SIGNED_OUT, present_until=None)
    elif why == "paused":
        Agent.objects.update(chosen=Chosen.NOT_READY)
    elif why == "no room":
        hand_to(put_in_line(queue), agent)
        Agent.objects.update(capacity=fresh(agent).load)
    else:
        agent.user.teams.clear()
    assert snoozes.wake_due(now=timezone.now() + 2 * HOUR) == 1
    waits = fresh(item)
    assert (waits.state, waits.at, waits.last_agent) == (ItemState.WAITING, item.at, agent)
    assert last_reason(item) == ("time", None)
    assert_in_order()


def test_he_may_take_it_up_before_and_nobody_else(item, agent, queue) -> None:
    other = make_agent(queue.team)
    snooze(item, agent)
    with pytest.raises(errors.NotSnoozed):
        snoozes.wake(item.conversation_id, by=other.user, now=timezone.now(), holder=other.user)
    assert snoozes.wake(item.conversation_id, by=agent.user, now=timezone.now(), holder=agent.user)
    assert last_reason(item) == ("asked", agent.pk)
    with pytest.raises(errors.NotSnoozed):
        snoozes.wake(item.conversation_id, by=agent.user, now=timezone.now())


def test_only_who_has_it_snoozes_it_and_only_for_a_while(item, agent, queue) -> None:
    other = make_agent(queue.team)
    with pytest.raises(NotYourConversation):
        snooze(item, other)
    for hours in (0, -1, 24 * 91):
        with pytest.raises(errors.SnoozeTimeWrong):
            snooze(item, agent, hours=hours)
    assert fresh(item).state == ItemState.ACTIVE


def test_a_supervisor_gives_it_to_somebody_else_and_closing_ends_it(item, agent, queue) -> None:
    snooze(item, agent)
    other = make_agent(queue.team)
    work.reassign(item.conversation_id, to=other.user, by=other.user, now=timezone.now())
    assert (fresh(item).agent, fresh(item).snoozed_until) == (other, None)
    snooze(item, other)
    conversations.close(item.conversation_id, by=other.user, now=timezone.now())
    work.conversation_closed(item.conversation_id, now=timezone.now())
    assert (fresh(item).state, fresh(item).snoozed_for) == (ItemState.DONE, None)
    assert snoozes.wake_due(now=timezone.now() + 2 * HOUR) == 0
    assert_in_order()
