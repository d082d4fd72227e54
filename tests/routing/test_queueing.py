from __future__ import annotations

import pytest
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.messaging.services import conversations
from apps.routing import selectors
from apps.routing.choices import ItemState
from apps.routing.models import InboxRoute, Item
from apps.routing.services import acceptance, queueing
from tests.factories import (
    hand_to,
    make_agent,
    make_conversation,
    make_customer,
    make_inbox,
    make_queue,
    make_team,
    put_in_line,
    ring,
)
from tests.routing.checks import assert_in_order

pytestmark = pytest.mark.django_db


def test_place_in_line_begins_when_the_conversation_was_opened():
    queue = make_queue(rate=3)
    conversation = make_conversation(make_inbox(queue=queue), waited=50)
    item = queueing.enqueue(conversation.pk, now=timezone.now())
    assert (item.at, item.line_key) == (conversation.opened_at, 3 * int(conversation.opened_at.timestamp()))


def test_enqueueing_twice_is_once():
    queue = make_queue()
    conversation = make_conversation(make_inbox(queue=queue))
    first, second = (queueing.enqueue(conversation.pk, now=timezone.now()) for _ in range(2))
    assert first == second
    assert Item.objects.count() == 1


def test_closed_conversation_waits_in_no_line():
    queue = make_queue()
    conversation = make_conversation(make_inbox(queue=queue))
    conversations.close(conversation.pk, by=SYSTEM, now=timezone.now())
    assert queueing.enqueue(conversation.pk, now=timezone.now()) is None


def test_inbox_without_a_queue_waits_until_it_has_one():
    inbox, queue = make_inbox(), make_queue()
    conversation = make_conversation(inbox)
    assert queueing.enqueue(conversation.pk, now=timezone.now()) is None
    assert queueing.find_missed(now=timezone.now()) == 0
    InboxRoute.objects.create(inbox=inbox, queue=queue)
    assert queueing.find_missed(now=timezone.now()) == 1
    conversation.refresh_from_db()
    assert (conversation.item.queue, conversation.team) == (queue, queue.team)


def test_priority_of_the_customer_is_a_head_start():
    queue = make_queue(levels={"vip": 90})
    vip, other = make_customer(attributes={"priority": "vip"}), make_customer(attributes={"priority": 7})
    item = put_in_line(queue, customer=vip)
    assert (item.credit, item.line_key) == (90, int(item.at.timestamp()) - 90)
    assert put_in_line(queue, customer=other).credit == 0
    assert selectors.position(item) == 1


def test_customer_is_known_to_who_answered_him_last_time():
    queue, customer = make_queue(), make_customer()
    agent = make_agent(queue.team)
    before = hand_to(put_in_line(queue, customer=customer), agent)
    conversations.close(before.conversation_id, by=SYSTEM, now=timezone.now())
    assert put_in_line(queue, customer=customer).last_agent == agent
    assert put_in_line(queue).last_agent is None


def test_position_counts_who_is_ahead_in_the_same_queue():
    queue, other = make_queue(), make_queue()
    put_in_line(other, waited=99)
    second, first = put_in_line(queue, waited=30), put_in_line(queue, waited=60)
    third = put_in_line(queue, waited=30)
    assert [selectors.position(item) for item in (first, second, third)] == [1, 2, 3]


def test_nobody_moves_up_while_the_first_one_only_rings():
    queue = make_queue()
    agent = make_agent(queue.team)
    first, second = put_in_line(queue, waited=60), put_in_line(queue, waited=30)
    offer = ring(first, agent)
    assert [selectors.position(Item.objects.get(pk=item.pk)) for item in (first, second)] == [1, 2]
    acceptance.accept(offer.pk, by=agent.user, now=timezone.now())
    assert selectors.position(Item.objects.get(pk=first.pk)) is None
    assert selectors.position(second) == 1


def test_sweep_finds_items_whose_conversation_was_closed_unseen():
    queue = make_queue(wrap_up_seconds=30)
    item, held = put_in_line(queue), hand_to(put_in_line(queue), make_agent(queue.team))
    for row in (item, held):
        conversations.close(row.conversation_id, by=SYSTEM, now=timezone.now())
    assert queueing.find_missed(now=timezone.now()) == 2
    item.refresh_from_db()
    held.refresh_from_db()
    assert (item.state, held.state) == (ItemState.DONE, ItemState.WRAP_UP)
    assert queueing.find_missed(now=timezone.now()) == 0


def test_what_waits_follows_its_queue_into_another_team():
    queue, team = make_queue(), make_team()
    waiting, active = put_in_line(queue), hand_to(put_in_line(queue), make_agent(queue.team))
    type(queue).objects.update(team=team)
    assert queueing.find_missed(now=timezone.now()) == 1
    waiting.conversation.refresh_from_db()
    active.conversation.refresh_from_db()
    assert waiting.conversation.team == team
    assert active.conversation.team != team, "whoever works on it must still see it"
    assert_in_order()


def test_next_in_line_are_those_at_the_head():
    queue = make_queue()
    items = [put_in_line(queue, waited=seconds) for seconds in (10, 30, 20)]
    expected = [items[1].conversation_id, items[2].conversation_id, items[0].conversation_id]
    assert selectors.next_in_lines([queue.pk]) == expected
