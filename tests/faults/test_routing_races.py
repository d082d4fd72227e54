"""Races on real PostgreSQL with real threads. After each of them, every promise of routing is looked at again."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.core import dispatch
from apps.core.events import SYSTEM
from apps.messaging.services import conversations
from apps.routing import tasks
from apps.routing.choices import Chosen
from apps.routing.models import Agent, Item, Offer
from apps.routing.services import acceptance, agents, clock, leaving, offers, queueing, router, work
from tests.factories import (
    hand_to,
    make_agent,
    make_conversation,
    make_inbox,
    make_queue,
    make_reason,
    put_in_line,
)
from tests.faults.races import at_once, doing
from tests.routing.checks import assert_in_order

pytestmark = [
    pytest.mark.services,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite has one writer: there is no race to lose"
    ),
]


def test_many_routers_at_once_make_no_double_offers():
    queue = make_queue(units=4)
    for _ in range(5):
        make_agent(queue.team)
    for _ in range(40):
        put_in_line(queue)
    made = at_once(*[lambda: router.run(now=clock.now())] * 12)
    assert sum(made) == 15
    assert Offer.objects.count() == 15
    assert_in_order()


def test_first_routers_of_an_installation_share_one_turn():
    make_agent(make_queue().team)
    assert at_once(*[lambda: router.run(now=clock.now())] * 12) == [0] * 12


def test_supervisors_who_move_work_between_the_same_agents_never_deadlock():
    queue = make_queue(units=1)
    team = [make_agent(queue.team) for _ in range(3)]
    items = [hand_to(put_in_line(queue), team[number % 3]) for number in range(12)]
    moves = [
        doing("moved", work.reassign, item.conversation_id, to=team[(number + shift) % 3].user, by=SYSTEM)
        for number, item in enumerate(items)
        for shift in (1, 2)
    ]
    outcome = Counter(at_once(*moves))
    assert set(outcome) <= {"moved", "in_other_hands"}, outcome
    assert_in_order()


def test_conversation_is_not_enqueued_while_it_is_being_closed():
    conversation = make_conversation(make_inbox(queue=make_queue()))
    enqueued: list[Any] = []
    enqueue = partial(queueing.enqueue, conversation.pk, now=clock.now())
    late = threading.Thread(target=lambda: enqueued.extend(at_once(enqueue)))
    with transaction.atomic():
        conversations.close(conversation.pk, by=SYSTEM, now=timezone.now())
        late.start()
        late.join(timeout=0.5)
        assert enqueued == [], "it waits to see what becomes of the conversation"
    late.join(timeout=10)
    assert enqueued == [None]
    dispatch.drain()
    assert_in_order()
    assert not Item.objects.exists()


def test_heartbeats_routers_and_signing_out_never_deadlock():
    queue = make_queue(units=4)
    team = [make_agent(queue.team) for _ in range(6)]
    for _ in range(12):
        put_in_line(queue)
    users = [agent.user_id for agent in team]
    calls = [doing("beat", agents.renew_leases, users[::-1]) for _ in range(4)]
    calls += [lambda: router.run(now=clock.now())] * 2
    calls += [
        doing("paused", agents.choose, a.user, chosen=Chosen.NOT_READY, reason=make_reason(), by=a.user)
        for a in team
    ]
    for _ in range(4):
        at_once(*calls)
        assert_in_order()
        for agent in team:
            agents.choose(agent.user, chosen=Chosen.AVAILABLE, now=clock.now(), by=agent.user)


class Storm:
    """Everybody does everything at random for a while; the seed is part of what a failure shows."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.queues = [make_queue(units=4, wrap_up_seconds=30)]
        self.queues.append(make_queue(units=6, team=self.queues[0].team))
        self.team = [make_agent(self.queues[0].team) for _ in range(4)]
        self.reason = make_reason()
        for queue in self.queues:
            for _ in range(8):
                put_in_line(queue)

    def calls(self) -> list[Callable[[], Any]]:
        return [self.random.choice(self.actions)(self) for _ in range(10)]

    def conversation_id(self) -> int:
        return self.random.choice(list(Item.objects.values_list("conversation_id", flat=True)))

    def agent(self) -> Agent:
        return self.random.choice(self.team)

    def answer(self) -> Callable[[], Any]:
        offer = Offer.objects.live().order_by("?").first()
        if offer is None:
            return doing("tick", router.run)
        return doing(
            "answered", self.random.choice([acceptance.accept, offers.decline]), offer.pk, by=offer.agent.user
        )

    def reassign(self) -> Callable[[], Any]:
        return doing("given", work.reassign, self.conversation_id(), to=self.agent().user, by=SYSTEM)

    def transfer(self) -> Callable[[], Any]:
        if self.random.random() < 0.5:
            to = self.random.choice(self.queues)
            return doing("moved", work.transfer_to_queue, self.conversation_id(), to=to, by=SYSTEM)
        return doing(
            "passed", work.transfer_to_agent, self.conversation_id(), to=self.agent().user, by=SYSTEM
        )

    def close(self) -> Callable[[], Any]:
        return doing("closed", conversations.close, self.conversation_id(), by=SYSTEM)

    def end_wrap_up(self) -> Callable[[], Any]:
        return doing("ended", work.end_wrap_up, self.conversation_id(), by=SYSTEM)

    def choose(self) -> Callable[[], Any]:
        agent, chosen = self.agent(), self.random.choice(list(Chosen))
        return doing("chosen", agents.choose, agent.user, chosen=chosen, reason=self.reason, by=agent.user)

    def lapse(self) -> Callable[[], Any]:
        def lapse() -> str:
            offers.lapse_expired(now=clock.now() + timedelta(seconds=60))
            return "lapsed"

        return lapse

    def lose(self) -> Callable[[], Any]:
        Agent.objects.filter(pk=self.agent().pk).exclude(chosen=Chosen.SIGNED_OUT).update(
            present_until=timezone.now() - agents.GRACE
        )
        return doing("lost", leaving.release_lost)

    def tick(self) -> Callable[[], Any]:
        return lambda: (tasks.tick(), tasks.heal(), dispatch.drain())

    actions = (
        answer,
        answer,
        answer,
        reassign,
        transfer,
        close,
        end_wrap_up,
        choose,
        lapse,
        lose,
        tick,
        tick,
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_storm_of_everything_leaves_routing_in_order(seed, caplog):
    storm = Storm(seed)
    for _ in range(15):
        at_once(*storm.calls())
        dispatch.drain()
        tasks.heal()
        assert_in_order()
    failures = [
        record.getMessage() + (record.exc_text or "") for record in caplog.records if record.levelno >= 40
    ]
    assert not failures, failures[0]
