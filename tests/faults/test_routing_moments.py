"""F35–F39 with real routers on PostgreSQL: whatever makes an offer possible, it comes within its seconds.

Each moment happens 20 times; the routers are two processes, one of which leads.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.core import dispatch
from apps.core.events import SYSTEM
from apps.messaging.services import conversations
from apps.routing.choices import Chosen, Otherwise
from apps.routing.models import Agent, Calendar, Item, Offer, Queue
from apps.routing.models.hours import WEEKDAYS
from apps.routing.services import acceptance, agents, audit, bell, clock, work
from apps.users.choices import Role
from tests.factories import make_calendar, make_queue, make_skill, make_user
from tests.faults.processes import wait_until
from tests.faults.races import FAR, doing, jittered, make_agents, put_in_line, race
from tests.faults.routers import Router, database_clock_at, two_routers, wait_for_ring

pytestmark = [
    pytest.mark.alone,
    # Two processes start for each of them, which takes a while on a machine with other work.
    pytest.mark.timeout(300),
    pytest.mark.services,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one process, and one router"),
]
TIMES = 20
SEED = 1999


@pytest.fixture
def routers() -> Iterator[list[Router]]:
    with two_routers(undisturbed=True) as both:
        yield both


def assert_in_order() -> None:
    """By the clock of the database, which a test may have set."""
    assert audit.violations(now=clock.now()) == []


def supervisor() -> Client:
    client = Client()
    client.force_login(make_user(Role.ADMIN), backend="django.contrib.auth.backends.ModelBackend")
    return client


def save_form(client: Client, page: str, pk: int, inline: str, **fields: Any) -> None:
    """What a supervisor's browser sends when he saves one row with its inline rows."""
    rows = {f"{inline}-TOTAL_FORMS": "0", f"{inline}-INITIAL_FORMS": "0"}
    answer = client.post(reverse(f"admin:{page}_change", args=[pk]), rows | fields)
    assert answer.status_code == 302, answer.context["errors"]


def test_f35_slot_frees_while_the_queue_waits(routers: list[Router]) -> None:
    """F35: the next one is offered within 2 s."""
    queue = make_queue(units=12, offer_seconds=300)
    (agent,) = make_agents(1, queue)
    line = put_in_line(TIMES + 1, queue)
    bell.ring(conversations=[item.conversation_id for item in line], agents=[agent.pk])
    for item, following in pairwise(line):
        wait_for_ring(item, seconds=2)
        acceptance.accept(Offer.objects.live().get(item=item).pk, by=agent.user, now=clock.now())
        conversations.close(item.conversation_id, by=SYSTEM, now=clock.now())
        work.conversation_closed(item.conversation_id, now=clock.now())
        wait_for_ring(following, seconds=2)
    assert_in_order()


def test_f36_agent_comes_online_with_a_queue(routers: list[Router]) -> None:
    """F36: he is rung within 5 s."""
    queue = make_queue(units=12, offer_seconds=300)
    team = make_agents(TIMES, queue, chosen=Chosen.SIGNED_OUT, present_until=None)
    put_in_line(TIMES, queue)
    for agent in team:
        agents.choose(agent.user, chosen=Chosen.AVAILABLE, now=clock.now(), by=agent.user)
        wait_until(lambda: Offer.objects.live().filter(agent=agent).exists(), seconds=5, what="he is rung")  # noqa: B023
    assert Offer.objects.live().count() == TIMES
    assert_in_order()


def test_f37_skill_makes_him_eligible(routers: list[Router]) -> None:
    """F37: a supervisor saves the skill in the admin, and he is rung within 5 s."""
    queue = make_queue([(0, {"cards": 2})], units=12, offer_seconds=300)
    team, cards, client = make_agents(TIMES, queue), make_skill("cards"), supervisor()
    put_in_line(TIMES, queue)
    for agent in team:
        skill = {"levels-TOTAL_FORMS": "1", "levels-0-skill": cards.pk, "levels-0-level": "2"}
        save_form(client, "routing_agent", agent.pk, "levels", capacity=12, **skill)
        wait_until(lambda: Offer.objects.live().filter(agent=agent).exists(), seconds=5, what="he is rung")  # noqa: B023
    assert Offer.objects.live().count() == TIMES
    assert_in_order()


def test_f38_office_is_opened_by_hand(routers: list[Router]) -> None:
    """F38: a supervisor changes the hours in the admin, and whoever waits is offered within 5 s."""
    client = supervisor()
    week = dict.fromkeys(WEEKDAYS, "00:00-24:00")
    for item in [_waiting_outside_hours() for _ in range(TIMES)]:
        name, calendar = item.queue.name, item.queue.calendar_id
        save_form(client, "routing_calendar", calendar, "days", name=name, zone="UTC", **week)
        wait_for_ring(item, seconds=5)
    assert_in_order()


def _nothing(routers: list[Router]) -> None:
    """Both live."""


def _stop(routers: list[Router]) -> None:
    routers[0].send(signal.SIGSTOP)


def _kill(routers: list[Router]) -> None:
    routers[0].send(signal.SIGKILL)


@pytest.mark.parametrize(
    ("disturb", "seconds"), [(_nothing, 5), (_stop, 10), (_kill, 10)], ids=["both live", "SIGSTOP", "kill -9"]
)
def test_f38_office_opens_by_the_clock(disturb: Callable[[list[Router]], None], seconds: float) -> None:
    """F38: 20 queues open in the same minute; offered within 5 s, or 10 s when the leader is lost just before.

    The database's clock is put shortly before a full minute, and the calendars open at the next one: as long before as
    two routers need to start beside another test, or everybody would wait for one minute more.
    """
    minute = clock.now().replace(second=0, microsecond=0) + timedelta(minutes=1)
    with database_clock_at(minute - timedelta(seconds=18)), two_routers() as routers:
        line = [_waiting_outside_hours() for _ in range(TIMES)]
        opens = (clock.now() + timedelta(seconds=3)).replace(second=0, microsecond=0) + timedelta(minutes=1)
        Calendar.objects.update(**dict.fromkeys(WEEKDAYS, f"{opens:%H:%M}-24:00"))
        wait_until(lambda: clock.now() > opens - timedelta(seconds=0.7), seconds=65, what="it is nearly time")
        disturb(routers)
        wait_until(lambda: Offer.objects.live().count() == TIMES, seconds=seconds + 1, what="all are offered")
        assert all(offer.offered_at >= opens for offer in Offer.objects.all()), "not while it is closed"
        if disturb is _stop:
            routers[0].send(signal.SIGCONT)
            time.sleep(1)
            assert (routers[1].leads, Offer.objects.count()) == (True, TIMES), "the old one writes nothing"
        assert {offer.item_id for offer in Offer.objects.live()} == {item.pk for item in line}
        assert_in_order()


def _waiting_outside_hours() -> Item:
    """With a free agent."""
    queue = make_queue(units=12, offer_seconds=300, calendar=make_calendar(every="", zone="UTC"))
    make_agents(1, queue, present_until=clock.now() + FAR)
    return put_in_line(1, queue)[0]


def _two_who_are_the_last() -> tuple[Item, list[Agent], Queue]:
    """What waits for them, they themselves, and where it goes without them."""
    other = make_queue(units=12, offer_seconds=300)
    queue = make_queue(units=12, offer_seconds=300, when_unstaffed=Otherwise.OVERFLOW, overflow_to=other)
    make_agents(1, other)
    return put_in_line(1, queue)[0], make_agents(2, queue, capacity=0), other


def test_f39_the_last_two_leave_at_the_same_moment(routers: list[Router]) -> None:
    """F39: whoever of them is the last, the line goes on to the other team at its old place, and is offered there."""
    dice = random.Random(SEED)
    for item, last_two, other in [_two_who_are_the_last() for _ in range(TIMES)]:
        leave = [doing("left", agents.choose, a.user, chosen=Chosen.SIGNED_OUT, by=a.user) for a in last_two]
        assert race([jittered(leave, dice)]) == [["left", "left"]]
        dispatch.drain()
        wait_for_ring(item, seconds=5)
        item.refresh_from_db()
        assert (item.queue, item.at) == (other, item.conversation.opened_at)
    assert_in_order()
