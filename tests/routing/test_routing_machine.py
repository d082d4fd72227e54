"""Invariant 9: whatever happens in whatever order, and wherever it is cut off, nothing is lost and nothing is double.

The real services on the real database, both kinds of router, the sweeps and the event log; after every step the
promises of routing are looked at. Time passes by making everything older, so that the database's own clock stays in
force; how long a step takes on this machine does not matter.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from apps.core import dispatch
from apps.core.errors import EMLError
from apps.core.events import SYSTEM
from apps.core.models import Event, Handling
from apps.messaging.choices import Status
from apps.messaging.models import Conversation
from apps.messaging.services import conversations
from apps.routing import explain, policy, tasks
from apps.routing.choices import Chosen, ItemState, OfferState
from apps.routing.models import Agent, Decision, Item, Offer, PresenceInterval, RouterLease
from apps.routing.services import acceptance, agents, audit, clock, lease, offers, router, work, world
from apps.routing.services.engine import Engine
from tests.factories import make_agent, make_queue, make_reason, put_in_line

pytestmark = pytest.mark.django_db

# So often the sweeps come while time passes.
BEAT = 5
# What is only wrong after a while is looked at when the sweeps have just been there.
SLOWNESS = timedelta(minutes=5)
AGES = {
    Item: ("at", "answered_at", "wrap_until"),
    Offer: ("offered_at", "expires_at", "ended_at"),
    Agent: ("present_until", "free_since"),
    PresenceInterval: ("started_at", "ended_at"),
    Conversation: ("opened_at", "closed_at", "assigned_at"),
    Decision: ("at",),
    RouterLease: ("expires_at", "taken_at"),
    Handling: ("due_at",),
}


class Crash(Exception):
    """The process dies here."""


@contextmanager
def dying_at(statement: int | None) -> Iterator[None]:
    """Before it sends this statement to the database; None: it lives."""
    if statement is None:
        yield
        return
    left = [statement]

    def execute(run: Callable[..., Any], sql: str, *rest: Any) -> Any:
        left[0] -= not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK"))
        if left == [0]:
            left[0] = -1
            raise Crash
        return run(sql, *rest)

    with connection.execute_wrapper(execute):
        yield


CRASHES = st.none() | st.none() | st.integers(1, 25)


class Center(RuleBasedStateMachine):
    """Two queues, three agents, customers who come and go."""

    @initialize()
    def begin(self) -> None:
        self.undo = transaction.atomic()
        self.undo.__enter__()
        steps = [(0, {"cards": 2}), (20, {})]
        first = make_queue(steps, units=4, wrap_up_seconds=8, levels={"vip": 30}, offer_seconds=10)
        second = make_queue(
            [(0, {"cards": 3}), (600, {}, True)], team=first.team, units=6, w_last=20, offer_seconds=10
        )
        self.queues, self.reason = [first, second], make_reason()
        skills = ({"cards": 2}, {"cards": 3}, {})
        self.agents = [make_agent(first.team, skills=some) for some in skills]
        self.talks: list[int] = []
        self.engine: Engine | None = None
        self.watch_worlds()

    def watch_worlds(self) -> None:
        """What the router without a memory saw last."""
        self.seen: world.World | None = None
        self.load = world.load

        def load(**now: Any) -> world.World:
            self.seen = self.load(**now)
            return self.seen

        world.load = load

    # What people do

    @precondition(lambda self: len(self.talks) < 8)
    @rule(queue=st.integers(0, 1), credit=st.sampled_from([0, 0, 30]))
    def customer_comes(self, queue: int, credit: int) -> None:
        self.talks.append(put_in_line(self.queues[queue], credit=credit).conversation_id)
        self.look()

    @precondition(lambda self: self.talks)
    @rule(number=st.integers(0), crash=CRASHES)
    def conversation_ends(self, number: int, crash: int | None) -> None:
        self.act(crash, conversations.close, self.talk(number), by=SYSTEM, now=clock.now())

    @rule(
        number=st.integers(0),
        crash=CRASHES,
        answer=st.sampled_from([acceptance.accept, acceptance.accept, offers.decline]),
    )
    def agent_answers(self, number: int, crash: int | None, answer: Callable[..., Any]) -> None:
        """An offer that rings, or one that is over."""
        rows = list(Offer.objects.order_by("-id").select_related("agent__user")[:3])
        if rows:
            offer = rows[number % len(rows)]
            self.act(crash, answer, offer.pk, by=offer.agent.user, now=clock.now())

    @rule(who=st.integers(0, 2), chosen=st.sampled_from(Chosen), crash=CRASHES)
    def agent_chooses(self, who: int, chosen: Chosen, crash: int | None) -> None:
        user = self.agents[who].user
        self.act(crash, agents.choose, user, chosen=chosen, reason=self.reason, now=clock.now(), by=user)

    @rule(who=st.integers(0, 2))
    def agent_is_lost(self, who: int) -> None:
        """His laptop is dead since a moment ago: the lease has ended."""
        signed_in = Agent.objects.filter(pk=self.agents[who].pk).exclude(chosen=Chosen.SIGNED_OUT)
        signed_in.update(present_until=clock.now() - timedelta(seconds=1))
        self.look()

    @rule(who=st.integers(0, 2), capacity=st.sampled_from([12, 6, 0]))
    def capacity_is_changed(self, who: int, capacity: int) -> None:
        self.act(None, agents.set_capacity, self.agents[who].pk, capacity=capacity, by=SYSTEM)

    @precondition(lambda self: self.talks)
    @rule(
        number=st.integers(0),
        who=st.integers(0, 2),
        crash=CRASHES,
        give=st.sampled_from([work.reassign, work.transfer_to_agent]),
    )
    def supervisor_gives(self, number: int, who: int, crash: int | None, give: Callable[..., Any]) -> None:
        self.act(crash, give, self.talk(number), to=self.agents[who].user, by=SYSTEM, now=clock.now())

    @precondition(lambda self: self.talks)
    @rule(number=st.integers(0), queue=st.integers(0, 1), crash=CRASHES)
    def supervisor_moves(self, number: int, queue: int, crash: int | None) -> None:
        to = self.queues[queue]
        self.act(crash, work.transfer_to_queue, self.talk(number), to=to, by=SYSTEM, now=clock.now())

    @precondition(lambda self: self.talks)
    @rule(number=st.integers(0), crash=CRASHES)
    def wrap_up_is_ended(self, number: int, crash: int | None) -> None:
        self.act(crash, work.end_wrap_up, self.talk(number), by=SYSTEM, now=clock.now())

    # What the machinery does

    @rule(crash=CRASHES)
    def events_are_followed(self, crash: int | None) -> None:
        """A handler that dies is tried again later."""
        with dying_at(crash), suppress(Crash):
            dispatch.drain()
        self.look()

    @rule(crash=CRASHES, sweep=st.sampled_from([tasks.tick, tasks.heal]))
    def sweep_comes(self, crash: int | None, sweep: Callable[[], None]) -> None:
        with dying_at(crash), suppress(Crash):
            sweep()
        self.look()

    @rule(crash=CRASHES)
    def router_without_memory_runs(self, crash: int | None) -> None:
        before = set(Decision.objects.values_list("pk", flat=True))
        self.seen = None
        with dying_at(crash), suppress(Crash):
            router.run(now=clock.now())
        self.replay(Decision.objects.exclude(pk__in=before).order_by("id"))
        self.look()

    @rule()
    def router_takes_the_lead(self) -> None:
        held = lease.take("the one with a memory")
        self.engine = Engine(held) if held else None
        self.look()

    @precondition(lambda self: self.engine)
    @rule(crash=CRASHES, sweeps=st.booleans())
    def router_works(self, crash: int | None, sweeps: bool) -> None:
        """Without its sweep it believes what it remembers, as when every ring was missed."""
        assert self.engine is not None
        try:
            with dying_at(crash):
                if sweeps:
                    self.engine.sweep()
                self.engine.work()
        except (Crash, lease.Lost):
            self.engine = None
        self.look()

    @precondition(lambda self: self.engine)
    @rule()
    def router_loses_its_term(self) -> None:
        """It slept too long, and another one leads: whatever it still has in mind is not written."""
        assert self.engine is not None
        RouterLease.objects.update(expires_at=clock.now() - timedelta(seconds=1))
        assert lease.take("somebody else")
        made = Offer.objects.count()
        with suppress(lease.Lost):
            self.engine.work()
        assert Offer.objects.count() == made
        self.engine = None
        RouterLease.objects.update(expires_at=clock.now() - timedelta(seconds=1))
        self.look()

    @rule(seconds=st.sampled_from([5, 10, 30]))
    def time_passes(self, seconds: int) -> None:
        """With everything that comes by itself: heartbeats, sweeps, handlers, a router. Then nothing is left to do."""
        for _ in range(seconds // BEAT):
            self.grow_older(BEAT)
            self.machinery()
        self.look()

    def machinery(self) -> None:
        now = clock.now()
        if self.engine and not lease.renew(self.engine._lease):
            self.engine = None
        agents.renew_leases([a.user_id for a in Agent.objects.connected(now)], now=now)
        tasks.tick()
        tasks.heal()
        dispatch.drain()
        if self.engine:
            self.engine.sweep()
            while self.engine.work()[0]:
                pass
        tasks.tick()
        assert audit.violations(now=now) == []
        if self.engine or not lease.is_held():
            seen = self.load(now=now)
            left = policy.decide(seen.now, seen.queues, seen.items, seen.agents)
            assert left == [], "nobody waits beside somebody who may take it"

    def grow_older(self, seconds: int) -> None:
        span = timedelta(seconds=seconds)
        for queue in self.queues:
            Item.objects.filter(queue=queue).update(line_key=F("line_key") - queue.rate * seconds)
        for model, names in AGES.items():
            for name in names:
                model.objects.exclude(**{name: None}).update(**{name: F(name) - span})
        for item in Item.objects.exclude(not_to={}):
            item.not_to = {agent: [at - seconds, how] for agent, (at, how) in item.not_to.items()}
            item.save(update_fields=["not_to"])
        if self.engine:
            # What it remembers is younger now than what is stored: it begins again, if it still leads.
            self.engine = Engine(self.engine._lease)

    # What must hold

    def act(self, crash: int | None, do: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """One transaction: it is refused, it dies and nothing has happened, or it goes through."""
        before = stored()
        try:
            with dying_at(crash):
                do(*args, **kwargs)
        except (EMLError, Crash):
            assert stored() == before
        self.look()

    def look(self) -> None:
        assert audit.violations(now=clock.now() - SLOWNESS) == []
        items = dict(Item.objects.values_list("conversation", "state"))
        assert sorted(items) == sorted(self.talks), "each conversation has its one item for ever"

    def replay(self, decisions: Any) -> None:
        """The same world, in another order, gives the same decisions byte for byte."""
        rows = list(decisions)
        if not rows:
            return
        assert self.seen is not None
        seen = self.seen
        again = policy.decide(
            seen.now, dict(reversed(seen.queues.items())), seen.items[::-1], seen.agents[::-1]
        )
        explainer = explain.Explainer(seen.now, seen.queues, seen.items, seen.agents)
        told = [explainer.explain(decision).as_json(router.time_of_day) for decision in again]
        assert as_bytes(told[: len(rows)]) == as_bytes(
            {
                "item": row.item_id,
                "agent": row.agent_id,
                "score": row.score,
                "step": row.step,
                "policy": row.policy,
                "terms": row.terms,
                "others": row.others,
            }
            for row in rows
        )

    def talk(self, number: int) -> int:
        return self.talks[number % len(self.talks)]

    def teardown(self) -> None:
        if not hasattr(self, "undo"):
            return
        try:
            self.everybody_comes_and_answers()
        finally:
            world.load = self.load
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)

    def everybody_comes_and_answers(self) -> None:
        """However it stands: with enough people there, everything that waits is answered."""
        for agent in self.agents:
            agents.set_capacity(agent.pk, capacity=200, by=SYSTEM)
            agents.choose(agent.user, chosen=Chosen.AVAILABLE, now=clock.now(), by=agent.user)
        for _ in range(8):
            self.grow_older(BEAT)
            self.machinery()
            for offer in Offer.objects.live().select_related("agent__user"):
                acceptance.accept(offer.pk, by=offer.agent.user, now=clock.now())
        self.look()
        states = set(Item.objects.values_list("state", "conversation__status"))
        assert states <= {(ItemState.ACTIVE, Status.ACTIVE), (ItemState.DONE, Status.CLOSED)}, states
        assert not Offer.objects.filter(state=OfferState.OFFERED).exists()


def as_bytes(told: Any) -> bytes:
    names = ("item", "agent", "score", "step", "policy", "terms", "others")
    return json.dumps([[row[name] for name in names] for row in told]).encode()


def stored() -> list[Any]:
    """Everything that must not be written by halves."""
    models = (Item, Offer, Agent, PresenceInterval, Decision, Conversation, Handling)
    return [list(model.objects.order_by("pk").values()) for model in models] + [Event.objects.count()]


def test_invariant_9_nothing_is_lost_or_double_whatever_happens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)  # those who die say so
    run_state_machine_as_test(
        Center,
        settings=settings(
            max_examples=10,
            stateful_step_count=15,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
