from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from apps.routing.models import Offer, RouterLease
from apps.routing.services import clock, lease, router
from apps.routing.services.engine import Engine
from tests.factories import make_agent, make_queue, put_in_line

pytestmark = pytest.mark.django_db


@pytest.fixture
def later(monkeypatch):
    """Let the clock be so many seconds ahead."""
    real = clock.now

    def advance(seconds):
        monkeypatch.setattr(clock, "now", lambda: real() + timedelta(seconds=seconds))

    return advance


def check(held):
    with transaction.atomic():
        return lease.check(held)


def test_one_holds_it_and_the_others_stand_by():
    held = lease.take("one")
    assert held == lease.Lease("one", 1)
    assert lease.take("two") is None
    assert check(held)


def test_holder_who_begins_again_has_a_new_term():
    old, new = lease.take("one"), lease.take("one")
    assert new.term == old.term + 1
    with pytest.raises(lease.Lost):
        check(old)


def test_it_ends_unless_it_is_renewed(later):
    held = lease.take("one")
    later(3)
    assert lease.renew(held)
    later(7)
    assert lease.take("two") is None
    later(9)
    assert lease.take("two") == lease.Lease("two", 2)
    assert not lease.renew(held)


def test_nothing_is_written_under_a_lease_that_ended_or_went_to_somebody_else(later):
    held = lease.take("one")
    later(6)
    with pytest.raises(lease.Lost):
        check(held)
    new = lease.take("two")
    assert check(new)
    with pytest.raises(lease.Lost):
        check(held)


def test_released_one_is_free_at_once_and_only_its_holder_can_release_it():
    held = lease.take("one")
    lease.release(lease.Lease("one", held.term - 1))
    assert lease.take("two") is None
    lease.release(held)
    assert lease.take("two") is not None


def test_old_leader_with_decisions_in_mind_commits_none_of_them(later):
    queue = make_queue()
    make_agent(queue.team)
    put_in_line(queue)
    engine = Engine(lease.take("one"))
    engine.sweep()
    later(6)
    assert lease.take("two") is not None
    with pytest.raises(lease.Lost):
        engine.work()
    assert not Offer.objects.exists()


def test_router_without_a_memory_works_only_while_nobody_leads(later):
    queue = make_queue()
    make_agent(queue.team)
    put_in_line(queue)
    held = lease.take("one")
    assert router.run(now=clock.now()) == 0
    later(6)
    assert router.run(now=clock.now()) == 1
    # The leader who slept is fenced off, though nobody else leads.
    assert not lease.renew(held)
    assert RouterLease.objects.get().term == held.term + 1
