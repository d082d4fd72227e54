"""F28–F32 on real PostgreSQL, as often as docs/promises says: answers to an offer that meet something else.

Each test prepares its rows in bulk, lets the rounds race on a few connections, and then looks at all of it: what the
callers were told, what is stored, what the event log says, and every promise of routing.
"""

from __future__ import annotations

import random
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
from apps.core.models import Event
from apps.messaging.choices import Status
from apps.messaging.services import conversations
from apps.routing import errors
from apps.routing.choices import Chosen, ItemState, OfferState
from apps.routing.models import Agent, Item, Offer
from apps.routing.services import agents, clock, leaving, offers, router, work
from apps.users.services import people
from tests.factories import make_agent, make_queue
from tests.faults.races import (
    accepting,
    doing,
    jittered,
    late,
    make_agents,
    put_in_line,
    race,
    rung_pairs,
    rush,
)
from tests.routing.checks import assert_in_order

pytestmark = [
    pytest.mark.services,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite has one writer: there is no race to lose"
    ),
]
SEED = 1999
ENDS = ("accepted", "declined", "lapsed", "cancelled")


def stored(some: list[Offer]) -> list[tuple[str, str, int | None, str]]:
    """(offer, item, who has it, conversation) as stored, in the order of the offers."""
    rows = Offer.objects.in_bulk([offer.pk for offer in some])
    items = Item.objects.select_related("conversation").in_bulk([offer.item_id for offer in some])
    return [
        (
            rows[o.pk].state,
            items[o.item_id].state,
            items[o.item_id].agent_id,
            items[o.item_id].conversation.status,
        )
        for o in some
    ]


def taken_by(offer: Offer) -> tuple[str, str, int | None, str]:
    return OfferState.ACCEPTED, ItemState.ACTIVE, offer.agent_id, Status.ACTIVE


def ends_told(some: list[Offer]) -> dict[int, list[str]]:
    """What the event log says became of each offer."""
    told: dict[int, list[str]] = {offer.pk: [] for offer in some}
    ends = Event.objects.filter(type__in=[f"routing.offer.{end}" for end in ENDS]).order_by("id")
    for kind, payload in ends.values_list("type", "payload"):
        if payload["offer"] in told:
            told[payload["offer"]].append(kind.rpartition(".")[2])
    return told


def assert_one_end_each(some: list[Offer]) -> None:
    """One outcome, and the log tells the same one as the row."""
    states = dict(Offer.objects.filter(pk__in=[o.pk for o in some]).values_list("pk", "state"))
    assert ends_told(some) == {pk: [state] for pk, state in states.items()}


class Edge:
    """Fires an answer around the end of a lease: later when the last one was in time, sooner when it was not.

    So accept and expiry meet within a few milliseconds, however fast the machine is.
    """

    LEASE = timedelta(milliseconds=40)

    def __init__(self, seed: int) -> None:
        self.dice, self.aim = random.Random(seed), 0.03

    def accept(self, offer: Offer) -> str:
        Offer.objects.filter(pk=offer.pk).update(expires_at=clock.now() + self.LEASE)
        seconds = self.aim + self.dice.uniform(-0.005, 0.005)
        try:
            answer = late(accepting(offer), seconds=seconds)()
        except errors.OfferExpired as error:
            self.aim -= 0.001
            return error.code
        self.aim += 0.001
        return answer

    def sweep(self) -> str:
        """As the tick does, around the same moment."""
        return late(
            doing("swept", offers.lapse_expired),
            seconds=self.LEASE.total_seconds() + self.dice.uniform(-0.005, 0.005),
        )()


@pytest.mark.slow
def test_f28_accept_at_expiry_five_hundred_times() -> None:
    """F28: at the end of the lease ± 5 ms, either it is assigned or it is 409 offer_expired; both sides agree."""
    rung, edge = rung_pairs(500, make_queue()), Edge(SEED)
    answers = [told for told, _ in race([(partial(edge.accept, offer), edge.sweep) for offer in rung])]
    offers.lapse_expired(now=clock.now() + timedelta(seconds=1))
    outcomes = Counter(answers)
    assert errors.OfferExpired.status == 409
    assert set(outcomes) == {"accepted", "offer_expired"}, outcomes
    assert min(outcomes.values()) >= 50, f"not at the edge: {outcomes}"
    lapsed = (OfferState.LAPSED, ItemState.WAITING, None, Status.WAITING)
    assert stored(rung) == [
        taken_by(offer) if told == "accepted" else lapsed for offer, told in zip(rung, answers, strict=True)
    ]
    assert_one_end_each(rung)
    router.run(now=clock.now())
    assert_in_order()


@pytest.mark.slow
def test_f29_two_accept_the_same_offer_a_thousand_times() -> None:
    """F29: one 200, one 409 already_taken; and a colleague at whom it does not ring never gets it (404)."""
    queue = make_queue(offer_seconds=300)
    rung, stranger = rung_pairs(1000, queue), make_agents(1, queue)[0]
    trios = [(accepting(offer), accepting(offer), accepting(offer, stranger)) for offer in rung]
    answers = race(trios)
    assert errors.OfferAlreadyTaken.status == 409
    assert errors.OfferNotFound.status == 404
    assert Counter(tuple(sorted(told[:2])) for told in answers) == {("accepted", "already_taken"): 1000}
    assert {told[2] for told in answers} == {errors.OfferNotFound.code}
    assert stored(rung) == [taken_by(offer) for offer in rung]
    assert_one_end_each(rung)
    assert_in_order()


@pytest.mark.slow
def test_f30_a_thousand_accepts_of_one_conversation() -> None:
    """F30: one winner."""
    (offer,) = rung_pairs(1, make_queue(offer_seconds=300))
    assert Counter(rush([accepting(offer)] * 1000)) == {"accepted": 1, "already_taken": 999}
    assert stored([offer]) == [taken_by(offer)]
    assert_one_end_each([offer])
    assert_in_order()


@pytest.mark.slow
def test_f30_a_thousand_conversations_for_an_agent_with_room_for_three() -> None:
    """F30: three are reserved for him, whoever asks, and he accepts each of them once."""
    queue = make_queue(units=4, offer_seconds=300)
    (agent,) = make_agents(1, queue)

    def reserve(item: Item) -> bool:
        with transaction.atomic():
            return offers.make(item, agent=agents.lock(agent.pk), now=clock.now()) is not None

    assert sum(rush([partial(reserve, item) for item in put_in_line(1000, queue)])) == 3
    rung = list(Offer.objects.live().select_related("agent__user"))
    assert Counter(rush([accepting(offer) for offer in rung] * 20)) == {"accepted": 3, "already_taken": 57}
    agent.refresh_from_db()
    assert (len(rung), agent.load) == (3, 12)
    assert_in_order()


@pytest.mark.slow
def test_f30_a_thousand_claims_of_supervisors_fill_an_agent_and_no_more() -> None:
    """F30: handed to him without asking; three times, and then he is full."""
    queue = make_queue(units=4, offer_seconds=300)
    (agent,) = make_agents(1, queue)
    claims = [
        doing("given", work.reassign, item.conversation_id, to=agent.user, by=SYSTEM)
        for item in put_in_line(1000, queue)
    ]
    assert Counter(rush(claims)) == {"given": 3, "agent_at_capacity": 997}
    assert Item.objects.filter(state=ItemState.ACTIVE, agent=agent).count() == 3
    assert_in_order()


# F32: accept against whatever else may happen to the item or to its agent. Each gives the call that races.


def declining(offer: Offer) -> Callable[[], Any]:
    return doing("declined", offers.decline, offer.pk, by=offer.agent.user)


def reassigning(offer: Offer) -> Callable[[], Any]:
    other = make_agent(offer.item.queue.team)
    return doing("reassigned", work.reassign, offer.item.conversation_id, to=other.user, by=SYSTEM)


def transferring(offer: Offer) -> Callable[[], Any]:
    return doing(
        "transferred", work.transfer_to_queue, offer.item.conversation_id, to=make_queue(), by=SYSTEM
    )


def closing(offer: Offer) -> Callable[[], Any]:
    return doing("closed", conversations.close, offer.item.conversation_id, by=SYSTEM)


def deactivating(offer: Offer) -> Callable[[], Any]:
    return lambda: people.deactivate(offer.agent.user, by=SYSTEM)


def signing_out(offer: Offer) -> Callable[[], Any]:
    user = offer.agent.user
    return doing("signed out", agents.choose, user, chosen=Chosen.SIGNED_OUT, by=user)


def losing(offer: Offer) -> Callable[[], Any]:
    Agent.objects.filter(pk=offer.agent_id).update(present_until=timezone.now() - agents.GRACE)
    return doing("lost", leaving.release_lost)


EVENTS = [declining, reassigning, transferring, closing, deactivating, signing_out, losing]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_f32_accept_against_what_else_may_happen(event: Callable[[Offer], Callable[[], Any]]) -> None:
    """F32: 20 times, at seeded moments. One outcome, logged; nobody keeps what is not his."""
    rung = rung_pairs(20, make_queue(units=12))
    dice = random.Random(f"{SEED} {event.__name__}")
    answers = race([jittered((accepting(offer), event(offer)), dice) for offer in rung])
    told = {accept for accept, _ in answers}
    assert told <= {"accepted", "offer_cancelled", "not_waiting", "already_taken"}, told
    dispatch.drain()
    assert_one_end_each(rung)
    for offer, (accept, _), (state, item, holder, status) in zip(rung, answers, stored(rung), strict=True):
        assert (state == OfferState.ACCEPTED) == (accept == "accepted")
        assert (item == ItemState.DONE) == (status == Status.CLOSED)
        if status != Status.CLOSED and holder == offer.agent_id:
            agent = Agent.objects.get(pk=holder)
            assert (accept, agent.load, agent.chosen) == ("accepted", 12, Chosen.AVAILABLE)
    assert_in_order()
