"""Races on real PostgreSQL with real threads. After each of them, every promise of routing is looked at again."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from apps.core import dispatch
from apps.core.errors import EMLError
from apps.core.events import SYSTEM
from apps.messaging.choices import Status
from apps.messaging.services import conversations
from apps.routing import tasks
from apps.routing.choices import Chosen, ItemState, OfferState
from apps.routing.models import Agent, Item, Offer
from apps.routing.services import agents, clock, leaving, offers, queueing, router, work
from apps.users.services import people
from tests.factories import (
    hand_to,
    make_agent,
    make_conversation,
    make_inbox,
    make_queue,
    make_reason,
    put_in_line,
    ring,
)
from tests.routing.checks import assert_in_order

pytestmark = [
    pytest.mark.services,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite has one writer: there is no race to lose"
    ),
]
ROUNDS = 15
# So many at the same moment: the connections of a process, less a few for the test itself.
POOL = 10


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run all of them at the same moment, each in a thread with a connection of its own; results or errors in order.

    Only errors of the domain are answers: anything else (a deadlock, a broken constraint) fails the test.
    """
    barrier, places = threading.Barrier(len(calls)), threading.Semaphore(POOL)
    has_one_each = len(calls) <= POOL

    def run(call: Callable[[], Any]) -> Any:
        try:
            if has_one_each:
                connection.ensure_connection()
            barrier.wait(timeout=30)
            with places:
                return _and_close(call)
        except EMLError as error:
            return error.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def _and_close(call: Callable[[], Any]) -> Any:
    """The connection goes back to the pool before the next thread asks for one."""
    try:
        return call()
    finally:
        connections.close_all()


def accepting(offer: Offer, agent: Agent) -> Callable[[], str]:
    def accept() -> str:
        offers.accept(offer.pk, by=agent.user, now=clock.now())
        return "accepted"

    return accept


def doing(what: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[[], str]:
    """`call` with the database's time, answering `what` when it went through."""

    def run() -> str:
        call(*args, now=clock.now(), **kwargs)
        return what

    return run


def finish(item: Item) -> None:
    conversations.close(item.conversation_id, by=SYSTEM, now=timezone.now())
    follow()


def follow() -> None:
    dispatch.drain()
    assert_in_order()


def hand_of(item: Item) -> tuple[str, int | None, str]:
    """(state of the item, its agent, status of the conversation) as stored."""
    item = Item.objects.select_related("conversation").get(pk=item.pk)
    return item.state, item.agent_id, item.conversation.status


def test_two_accepts_of_one_offer_have_one_winner():
    queue = make_queue()
    agent = make_agent(queue.team)
    for _ in range(ROUNDS):
        offer = ring(put_in_line(queue), agent)
        assert sorted(at_once(*[accepting(offer, agent)] * 2)) == ["accepted", "already_taken"]
        assert hand_of(offer.item) == (ItemState.ACTIVE, agent.pk, Status.ACTIVE)
        finish(offer.item)


def test_hundred_accepts_of_one_conversation_have_one_winner():
    queue = make_queue()
    agent = make_agent(queue.team)
    item = put_in_line(queue)
    offer = ring(item, agent)
    outcome = Counter(at_once(*[accepting(offer, agent)] * 100))
    assert outcome == {"accepted": 1, "already_taken": 99}
    assert hand_of(item) == (ItemState.ACTIVE, agent.pk, Status.ACTIVE)
    assert_in_order()


def test_accept_and_decline_at_once_agree_on_one():
    queue = make_queue()
    agent = make_agent(queue.team)
    for _ in range(ROUNDS):
        offer = ring(put_in_line(queue), agent)
        answers = at_once(accepting(offer, agent), doing("declined", offers.decline, offer.pk, by=agent.user))
        assert sorted(answers) in (["accepted", "already_taken"], ["already_taken", "declined"])
        taken = "accepted" in answers
        assert hand_of(offer.item)[0] == (ItemState.ACTIVE if taken else ItemState.WAITING)
        assert_in_order()
        finish(offer.item)


def test_accept_at_the_moment_of_expiry_agrees_with_the_sweep():
    queue = make_queue()
    agent = make_agent(queue.team)
    outcomes: Counter[str] = Counter()
    for number in range(ROUNDS * 4):
        offer = ring(put_in_line(queue), agent)
        # The lease ends while both are under way: sometimes a little before, sometimes a little after.
        Offer.objects.filter(pk=offer.pk).update(expires_at=clock.now() + timedelta(milliseconds=number % 20))
        answer, _ = at_once(accepting(offer, agent), doing("swept", offers.lapse_expired))
        offers.lapse_expired(now=clock.now() + timedelta(seconds=1))
        offer.refresh_from_db()
        outcomes[answer] += 1
        expected = OfferState.ACCEPTED if answer == "accepted" else OfferState.LAPSED
        assert (answer in ("accepted", "offer_expired"), offer.state) == (True, expected)
        assert_in_order()
        agents.choose(agent.user, chosen=Chosen.AVAILABLE, now=clock.now(), by=agent.user)
        finish(offer.item)
    assert outcomes["accepted"], outcomes


def reassigning(item: Item, queue: Any) -> Callable[[], str]:
    other = make_agent(queue.team)
    return doing("reassigned", work.reassign, item.conversation_id, to=other.user, by=SYSTEM)


def transferring(item: Item, queue: Any) -> Callable[[], str]:
    return doing("transferred", work.transfer_to_queue, item.conversation_id, to=make_queue(), by=SYSTEM)


def closing(item: Item, queue: Any) -> Callable[[], str]:
    return doing("closed", conversations.close, item.conversation_id, by=SYSTEM)


def deactivating(item: Item, queue: Any) -> Callable[[], str]:
    user = Offer.objects.live().get(item=item).agent.user

    def deactivate() -> str:
        people.deactivate(user, by=SYSTEM)
        return "deactivated"

    return deactivate


def signing_out(item: Item, queue: Any) -> Callable[[], str]:
    user = Offer.objects.live().get(item=item).agent.user
    return doing("signed out", agents.choose, user, chosen=Chosen.SIGNED_OUT, by=user)


def losing(item: Item, queue: Any) -> Callable[[], str]:
    Agent.objects.filter(offers__item=item).update(present_until=timezone.now() - agents.GRACE)
    return doing("lost", leaving.release_lost)


@pytest.mark.parametrize(
    "event",
    [reassigning, transferring, closing, deactivating, signing_out, losing],
    ids=lambda event: event.__name__,
)
def test_accept_against_what_else_may_happen_has_one_outcome(event):
    queue = make_queue(units=12)
    for _ in range(ROUNDS):
        agent = make_agent(queue.team)
        offer = ring(put_in_line(queue), agent)
        answers = at_once(accepting(offer, agent), event(offer.item, queue))
        assert answers[0] in ("accepted", "offer_cancelled", "not_waiting", "already_taken"), answers
        follow()
        agent.refresh_from_db()
        state, holder, status = hand_of(offer.item)
        if status == Status.CLOSED:
            assert state == ItemState.DONE
        elif holder == agent.pk:
            assert (answers[0], agent.load, agent.chosen) == ("accepted", 12, Chosen.AVAILABLE)
        else:
            assert agent.load == 0
        finish_if_open(offer.item)


def finish_if_open(item: Item) -> None:
    if hand_of(item)[2] != Status.CLOSED:
        finish(item)
    Agent.objects.exclude(chosen=Chosen.SIGNED_OUT).update(chosen=Chosen.SIGNED_OUT, present_until=None)


def test_agent_with_room_for_three_never_gets_a_fourth():
    queue = make_queue(units=4)
    agent = make_agent(queue.team, capacity=12)
    items = [put_in_line(queue) for _ in range(40)]

    def reserve(item: Item) -> bool:
        with transaction.atomic():
            return offers.make(item, agent=agents.lock(agent.pk), now=clock.now()) is not None

    assert sum(at_once(*[partial(reserve, item) for item in items])) == 3
    agent.refresh_from_db()
    assert agent.load == 12
    assert Offer.objects.live().count() == 3
    assert_in_order()


def test_thousand_claims_of_supervisors_fill_an_agent_and_no_more():
    queue = make_queue(units=4)
    agent = make_agent(queue.team, capacity=12)
    items = [put_in_line(queue) for _ in range(50)]
    calls = [doing("given", work.reassign, item.conversation_id, to=agent.user, by=SYSTEM) for item in items]
    assert Counter(at_once(*calls)) == {"given": 3, "agent_at_capacity": 47}
    assert_in_order()


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
    follow()
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
            "answered", self.random.choice([offers.accept, offers.decline]), offer.pk, by=offer.agent.user
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
