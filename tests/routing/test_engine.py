"""The router at work on a line longer than a commit: what is next is decided while the last offers are written."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest
from django.db import connection

from apps.routing.models import Agent, Decision, Item, Offer, Queue, RouterLease
from apps.routing.services import clock, engine, lease, router
from apps.routing.services.engine import Engine
from tests.factories import make_agent, make_queue, put_in_line
from tests.routing.checks import assert_in_order

pytestmark = pytest.mark.django_db(transaction=True)

SIZE, COMMITS = 5, 3


@pytest.fixture
def writers(monkeypatch) -> list[str]:
    """The thread of each commit."""
    monkeypatch.setattr(engine, "MOST_PER_COMMIT", SIZE)
    monkeypatch.setattr(engine, "MOST_COMMITS", COMMITS)
    seen: list[str] = []
    commit = router.commit

    def noting(picks, **more):
        seen.append(threading.current_thread().name)
        return commit(picks, **more)

    monkeypatch.setattr(router, "commit", noting)
    return seen


@pytest.fixture
def queue() -> Queue:
    return make_queue(units=4)


@pytest.fixture
def at_work(queue) -> Iterator[Engine]:
    """Beside forty who wait and seven agents with room for three each."""
    for n in range(40):
        put_in_line(queue, waited=100 + 10 * n)
    for _ in range(7):
        make_agent(queue.team, capacity=12)
    with contextlib.closing(Engine(lease.take("one"))) as one:
        one.sweep()
        yield one


def test_a_few_full_commits_and_then_the_rest(at_work, writers):
    assert at_work.work() == (SIZE * COMMITS, 0)
    assert at_work.work() == (21 - SIZE * COMMITS, 0)
    assert at_work.work() == (0, 0)
    assert Offer.objects.live().count() == Decision.objects.count() == 21
    assert set(Agent.objects.values_list("load", flat=True)) == {12}
    assert_in_order()
    beside = sum(name != threading.current_thread().name for name in writers)
    assert beside == (3 if connection.vendor == "postgresql" else 0), writers


def test_longest_waiting_get_all_there_is_whichever_commit_they_are_in(at_work, writers):
    while at_work.work()[0]:
        continue
    first = Item.objects.order_by("at").values_list("id", flat=True)[:21]
    assert set(Offer.objects.values_list("item", flat=True)) == set(first)


def test_what_was_decided_ahead_is_checked_like_everything_else(at_work, writers, monkeypatch):
    """Somebody leaves while the first commit is written: nothing rings at him, and others get it."""
    leaver, commit = Agent.objects.first(), router.commit

    def leaving_meanwhile(picks, **more):
        if len(writers) == 1:
            Agent.objects.filter(pk=leaver.pk).update(chosen="signed_out")
        return commit(picks, **more)

    monkeypatch.setattr(router, "commit", leaving_meanwhile)
    for _ in range(6):
        at_work.work()
    assert Offer.objects.live().exclude(agent=leaver).count() == 18
    assert Offer.objects.live().filter(agent=leaver).count() <= SIZE


def test_lease_that_is_lost_meanwhile_ends_it(at_work, writers, monkeypatch):
    commit, real = router.commit, clock.now

    def losing(picks, **more):
        RouterLease.objects.update(holder="two", term=99, expires_at=real() + lease.LASTS)
        return commit(picks, **more)

    monkeypatch.setattr(router, "commit", losing)
    with pytest.raises(lease.Lost):
        at_work.work()
    assert Offer.objects.count() == SIZE
