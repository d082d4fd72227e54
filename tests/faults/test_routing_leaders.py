"""Several routers on one database, as processes: stopped, killed, resumed too late. One leads, nothing is double."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.messaging.services import conversations
from apps.routing.choices import OfferState
from apps.routing.models import Agent, AgentSkill, Decision, Offer, RouterLease
from apps.routing.services import acceptance, bell, clock, lease, work
from tests.factories import make_agent, make_queue, make_skill, put_in_line
from tests.faults.processes import wait_until
from tests.faults.routers import Router, two_routers, wait_for_ring
from tests.routing.checks import assert_in_order

pytestmark = [
    pytest.mark.alone,
    # Two processes start for each of them, which takes a while on a machine with other work.
    pytest.mark.timeout(300),
    pytest.mark.services,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one process, and one router"),
]


@pytest.fixture
def routers() -> Iterator[list[Router]]:
    with two_routers() as both:
        yield both


def test_work_and_agents_find_each_other_by_the_bell(routers: list[Router]) -> None:
    """F35, F36: a slot frees, an agent comes; far less than the sweep takes."""
    queue = make_queue(units=12)
    item = put_in_line(queue)
    agent = make_agent(queue.team)
    wait_for_ring(item, seconds=2)
    next_one = put_in_line(queue)
    acceptance.accept(Offer.objects.live().get().pk, by=agent.user, now=clock.now())
    conversations.close(item.conversation_id, by=SYSTEM, now=clock.now())
    work.conversation_closed(item.conversation_id, now=clock.now())
    wait_for_ring(next_one, seconds=2)
    assert Decision.objects.count() == 2
    assert_in_order()


def test_missed_bell_is_healed_by_the_sweep(routers: list[Router], monkeypatch: pytest.MonkeyPatch) -> None:
    """F37: also where nobody rings at all, as for a skill that was given by a script."""
    monkeypatch.setattr(bell, "ring", lambda **what: None)
    queue = make_queue([(0, {"cards": 2})])
    agent, item = make_agent(queue.team), put_in_line(queue)
    AgentSkill.objects.create(agent=agent, skill=make_skill("cards"), level=2)
    wait_for_ring(item, seconds=5)
    assert_in_order()


def test_killed_router_is_followed_within_ten_seconds(routers: list[Router]) -> None:
    queue = make_queue(units=12)
    before = RouterLease.objects.get().term
    routers[0].send(signal.SIGKILL)
    item, _ = put_in_line(queue), make_agent(queue.team)
    wait_for_ring(item, seconds=10)
    assert routers[1].leads
    assert RouterLease.objects.get().term == before + 1
    assert_in_order()


def test_router_that_is_told_to_stop_hands_over_at_once(routers: list[Router]) -> None:
    routers[0].send(signal.SIGTERM)
    assert routers[0].ends() == 0
    wait_until(lambda: routers[1].leads, seconds=3, what="the other one leads")


def test_resumed_router_writes_nothing_under_its_old_term(routers: list[Router]) -> None:
    old, new = routers
    queue = make_queue(units=4)
    team = [make_agent(queue.team) for _ in range(4)]
    wait_until(lambda: old.leads, seconds=5, what="the first leads")
    old.send(signal.SIGSTOP)
    items = [put_in_line(queue) for _ in range(6)]
    wait_until(lambda: new.leads, seconds=10, what="the second leads")
    for item in items:
        wait_for_ring(item, seconds=10)
    term, made = RouterLease.objects.get().term, Offer.objects.count()
    old.send(signal.SIGCONT)
    # What it remembers is wrong by now, and what it hears it may not act on.
    more = [put_in_line(queue) for _ in range(6)]
    for item in more:
        wait_for_ring(item, seconds=10)
    assert (new.leads, RouterLease.objects.get().term) == (True, term)
    assert Offer.objects.count() == made + 6
    assert sum(Agent.objects.filter(pk__in=[a.pk for a in team]).values_list("load", flat=True)) == 48
    assert_in_order()


def test_routers_stopped_and_killed_in_turn_leave_nothing_double_and_nothing_stuck(
    routers: list[Router],
) -> None:
    queue = make_queue(units=12, offer_seconds=60)
    team = {agent.pk: agent for agent in (make_agent(queue.team) for _ in range(6))}
    waiting = [put_in_line(queue) for _ in range(60)]
    answered: list[int] = []

    def answer_everything() -> bool:
        for offer in Offer.objects.live().select_related("item"):
            acceptance.accept(offer.pk, by=team[offer.agent_id].user, now=clock.now())
            answered.append(offer.item_id)
            conversations.close(offer.item.conversation_id, by=SYSTEM, now=clock.now())
            work.conversation_closed(offer.item.conversation_id, now=clock.now())
        Agent.objects.update(present_until=timezone.now() + timedelta(seconds=60))
        return len(answered) >= goal

    for goal, disturb in (
        (15, lambda: routers[0].send(signal.SIGSTOP)),
        (30, lambda: routers[0].send(signal.SIGCONT)),
        (45, lambda: routers[1].send(signal.SIGKILL)),
        (60, lambda: None),
    ):
        wait_until(answer_everything, seconds=30, what=f"{goal} are answered")
        disturb()
    assert sorted(answered) == sorted(item.pk for item in waiting)
    assert Offer.objects.filter(state=OfferState.ACCEPTED).count() == Offer.objects.count() == 60
    assert_in_order()


def test_two_processes_never_hold_the_lease_at_once(routers: list[Router]) -> None:
    assert lease.take("a third") is None
    with lease.turn() as is_mine:
        assert not is_mine
    item, agent = put_in_line(queue := make_queue()), make_agent(queue.team)
    wait_for_ring(item, seconds=5)
    accepted = acceptance.accept(Offer.objects.live().get().pk, by=agent.user, now=clock.now())
    assert accepted.item.agent == agent
