"""F27: the agent's browser dies while it rings, in every way a browser dies, with real sockets and a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.db import connection
from django.utils import timezone

from apps.routing import tasks
from apps.routing.choices import OfferState
from apps.routing.models import Agent, Offer
from apps.routing.services import agents, clock
from apps.users.services import tickets
from tests.factories import make_agent, make_queue, put_in_line, ring
from tests.routing.checks import assert_in_order
from tests.wire import Wire, eventually, wire

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="once is enough, and PostgreSQL is what it runs on"
    ),
]
# What the agent is rung for, and the second after it in which the sweep comes.
RINGING, SWEPT = 20, 1.5


def closed_tab(socket: Wire) -> None:
    """The browser says good-bye."""
    socket.connection.close()


def killed(socket: Wire) -> None:
    """kill -9: the kernel ends the connection, nobody says anything."""
    socket.connection.socket.close()


def asleep(socket: Wire) -> None:
    """A closed laptop, or a link that is down: the connection stands, and nothing is answered any more."""


WAYS = (closed_tab, killed, asleep)


@pytest.fixture
def desks(live_server_ws) -> Iterator[list[tuple[Agent, Wire]]]:
    """One agent with an open desk for each way to die."""
    queue = make_queue(units=12, offer_seconds=RINGING)
    opened = []
    for _ in WAYS:
        agent = make_agent(queue.team)
        context = wire(live_server_ws, "/ws/desk/", origin=None)
        socket = context.__enter__()
        socket.send({"type": "auth", "ticket": tickets.issue(agent.user, now=timezone.now())})
        socket.wait_for("ready")
        opened.append((agent, socket, context))
    yield [(agent, socket) for agent, socket, _ in opened]
    for *_, context in opened:
        context.__exit__(None, None, None)


@pytest.mark.slow
def test_f27_the_browser_dies_while_it_rings(desks: list[tuple[Agent, Wire]]) -> None:
    """F27: re-offered to somebody else within 20 s of its death; whoever missed it is not rung again."""
    team = desks[0][0].user.teams.get()
    queue = team.queues.get()
    items = [put_in_line(queue) for _ in desks]
    for item, (agent, socket) in zip(items, desks, strict=True):
        ring(item, agent)
        socket.wait_for("offer.made")
    colleague = make_agent(team, capacity=100, present_until=clock.now() + agents.LEASE * 4)
    for die, (_, socket) in zip(WAYS, desks, strict=True):
        die(socket)
    died = time.monotonic()

    def are_rung_elsewhere() -> bool:
        tasks.tick()
        return Offer.objects.live().filter(agent=colleague, item__in=items).count() == len(items)

    assert eventually(are_rung_elsewhere, seconds=RINGING + SWEPT), Offer.objects.values_list(
        "state", "agent"
    )
    assert time.monotonic() - died <= RINGING + SWEPT
    missed = Offer.objects.filter(agent__in=[agent for agent, _ in desks])
    assert {offer.state for offer in missed} <= {OfferState.LAPSED, OfferState.CANCELLED}
    for agent, _ in desks:
        agent.refresh_from_db()
        assert not agents.takes_work(agent, units=1, now=clock.now()), (
            "away: no second offer is missed by him"
        )
    assert_in_order()
