"""Races by the hundred: many short rounds with the same few connections, and a crowd that is made in bulk."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from django.db import connection, connections, transaction
from django.utils import timezone

from apps.core.errors import EMLError
from apps.messaging.choices import Status
from apps.messaging.models import Conversation, Inbox
from apps.routing.choices import Chosen, ItemState, State
from apps.routing.models import Agent, Item, Offer, PresenceInterval, Queue
from apps.routing.services import acceptance, agents, clock, offers, queueing
from apps.users.choices import Role
from apps.users.models import User
from tests.factories import make_customer, make_inbox, make_user

# So many at the same moment: the connections of a process, less a few for the test itself.
POOL = 10
# Rounds that run beside each other, on rows of their own: while one waits for the disk another one computes.
LANES = 3

Call = Callable[[], Any]
FAR = timedelta(hours=1)


def at_once(*calls: Call) -> list[Any]:
    """Run all of them at the same moment, each in a thread with a connection of its own; results or errors in order.

    Only errors of the domain are answers: anything else (a deadlock, a broken constraint) fails the test.
    """
    return race([calls])[0] if len(calls) <= POOL else rush(calls)


def race(rounds: Sequence[Sequence[Call]], *, lanes: int = LANES) -> list[list[Any]]:
    """All calls of a round at the same moment, round after round; the answers of each round in order.

    All rounds have equally many calls. Rounds of different lanes run beside each other.
    """
    width = len(rounds[0])
    lanes = max(min(lanes, POOL // width, len(rounds)), 1)
    answers: list[list[Any]] = [[None] * width for _ in rounds]

    def run(lane: int, place: int, barrier: threading.Barrier) -> None:
        try:
            connection.ensure_connection()
            for number in range(lane, len(rounds), lanes):
                barrier.wait(timeout=60)
                answers[number][place] = _answer(rounds[number][place])
        except BaseException:
            barrier.abort()
            raise
        finally:
            connections.close_all()

    barriers = [threading.Barrier(width) for _ in range(lanes)]
    with ThreadPoolExecutor(lanes * width) as pool:
        runs = [
            pool.submit(run, lane, place, barriers[lane]) for lane in range(lanes) for place in range(width)
        ]
    _raise_the_cause(runs)
    return answers


def rush(calls: Sequence[Call]) -> list[Any]:
    """More calls at once than there are connections: each of them takes the next one as soon as it is done."""
    waiting = list(enumerate(calls))
    answers: list[Any] = [None] * len(calls)
    barrier = threading.Barrier(POOL)

    def run() -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=60)
            while waiting:
                try:
                    number, call = waiting.pop()
                except IndexError:
                    return
                answers[number] = _answer(call)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(POOL) as pool:
        runs = [pool.submit(run) for _ in range(POOL)]
    _raise_the_cause(runs)
    return answers


def _answer(call: Call) -> Any:
    try:
        return call()
    except EMLError as error:
        return error.code


def _raise_the_cause(runs: Iterable[Any]) -> None:
    """The one that failed, not those that then waited for it in vain."""
    failures = [error for run in runs if (error := run.exception())]
    for error in sorted(failures, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error


def doing(what: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Call:
    """`call` with the database's time, answering `what` when it went through."""

    def run() -> str:
        call(*args, now=clock.now(), **kwargs)
        return what

    return run


def accepting(offer: Offer, agent: Agent | None = None) -> Call:
    """By whom it rings at, or by somebody else."""
    return doing("accepted", acceptance.accept, offer.pk, by=(agent or offer.agent).user)


def late(call: Call, *, seconds: float) -> Call:
    def run() -> Any:
        time.sleep(max(seconds, 0))
        return call()

    return run


def jittered(calls: Sequence[Call], dice: random.Random, *, within: float = 0.008) -> list[Call]:
    """Each of them a random moment later, so that every order happens."""
    return [late(call, seconds=dice.uniform(0, within)) for call in calls]


# The crowd


def make_agents(how_many: int, queue: Queue, **fields: Any) -> list[Agent]:
    """Signed in for an hour, members of the queue's team."""
    now = timezone.now()
    fields = {"capacity": 12, "chosen": Chosen.AVAILABLE, "present_until": now + FAR} | fields
    first = make_user(Role.AGENT, teams=[queue.team])
    role = first.groups.get()
    users = User.objects.bulk_create(
        User(email=f"agent-{first.pk}-{n}@example.com", name=f"Agent {n}") for n in range(how_many)
    )
    User.teams.through.objects.bulk_create(User.teams.through(user=u, team=queue.team) for u in users)
    User.groups.through.objects.bulk_create(User.groups.through(user=u, group=role) for u in users)
    rows = Agent.objects.bulk_create(Agent(user=user, **fields) for user in users)
    PresenceInterval.objects.bulk_create(
        PresenceInterval(agent=agent, state=State.AVAILABLE, started_at=now) for agent in rows
    )
    return rows


def put_in_line(how_many: int, queue: Queue) -> list[Item]:
    """So many customers who wait since a moment ago."""
    now = timezone.now()
    inbox = Inbox.objects.filter(route__queue=queue).first() or make_inbox(queue=queue)
    customer = make_customer(teams=[queue.team])
    talks = Conversation.objects.bulk_create(
        Conversation(inbox=inbox, customer=customer, team=queue.team, status=Status.WAITING, opened_at=now)
        for _ in range(how_many)
    )
    key = queueing.line_key(queue, at=now, credit=0)
    return Item.objects.bulk_create(
        Item(conversation=talk, queue=queue, at=now, line_key=key, state=ItemState.WAITING) for talk in talks
    )


def ring_each(items: Sequence[Item], team: Sequence[Agent]) -> list[Offer]:
    """Each item rings at an agent of its own; in the order of the items."""
    with transaction.atomic():
        locked = agents.lock_many(agent.pk for agent in team)
        wishes = [offers.Wish.of(item, locked[agent.pk]) for item, agent in zip(items, team, strict=True)]
        assert len(offers.make_many(wishes, now=timezone.now())) == len(items)
    rows = Offer.objects.live().filter(item__in=items).select_related("agent__user", "item")
    by_item = {offer.item_id: offer for offer in rows}
    return [by_item[item.pk] for item in items]


def rung_pairs(how_many: int, queue: Queue) -> list[Offer]:
    """So many items, each ringing at an agent of its own."""
    return ring_each(put_in_line(how_many, queue), make_agents(how_many, queue))
