"""Z26: one socket, once, within thirty seconds."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from apps.users.models import Ticket, User
from apps.users.services import people, tickets
from tests.factories import make_user

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def test_a_ticket_opens_once():
    user = make_user()
    token = tickets.issue(user, now=NOW)
    assert tickets.redeem(token, now=NOW + timedelta(seconds=29)) == user
    assert tickets.redeem(token, now=NOW + timedelta(seconds=29)) is None


def test_a_ticket_expires():
    token = tickets.issue(make_user(), now=NOW)
    assert tickets.redeem(token, now=NOW + timedelta(seconds=30)) is None


def test_only_the_hash_of_a_ticket_is_kept():
    token = tickets.issue(make_user(), now=NOW)
    assert token not in str(Ticket.objects.values().get())


@pytest.mark.parametrize("token", [None, 1, True, "", ["x"], {"$gt": ""}, "x" * 101, "wrong", "\ud800"])
def test_b08_what_is_no_ticket_opens_nothing(token):
    tickets.issue(make_user(), now=NOW)
    assert tickets.redeem(token, now=NOW) is None


def test_a_ticket_ends_with_the_sign_in():
    user = make_user()
    token = tickets.issue(user, now=NOW)
    # As if it was made at the very moment of the sign-out, so that it was not deleted with the others.
    User.objects.filter(pk=user.pk).update(sign_in_epoch=1)
    assert tickets.redeem(token, now=NOW) is None


def test_z27_a_ticket_of_somebody_switched_off_opens_nothing(admin):
    user = make_user()
    token = tickets.issue(user, now=NOW)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert tickets.redeem(token, now=NOW) is None
    people.sign_out_everywhere(user, by=admin)
    assert not Ticket.objects.exists()


def test_expired_tickets_are_thrown_away():
    user = make_user()
    tickets.issue(user, now=NOW - timedelta(seconds=30))
    fresh = tickets.issue(user, now=NOW)
    tickets.delete_expired(now=NOW)
    assert Ticket.objects.count() == 1
    assert tickets.redeem(fresh, now=NOW) == user


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_ticket_used_by_twenty_at_once_lets_one_in():
    user = make_user()
    token = tickets.issue(user, now=NOW)
    barrier, let_in = threading.Barrier(20), []

    def redeem() -> None:
        barrier.wait()
        try:
            let_in.append(tickets.redeem(token, now=NOW))
        finally:
            connection.close()

    threads = [threading.Thread(target=redeem) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(let_in) == 20
    assert [found for found in let_in if found] == [user]
