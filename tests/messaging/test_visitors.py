"""How a chat begins, who may continue it, and that a repeated start changes nothing."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.core.errors import Invalid
from apps.core.events import SYSTEM
from apps.messaging import errors
from apps.messaging.models import Conversation, Message, VisitorSession
from apps.messaging.services import conversations, visitors
from apps.messaging.services.visitors import Claims
from apps.users.models import ContactPoint, Customer
from tests.factories import make_inbox

MAIL = "ada@example.com"


def _open(inbox, claims=None, *, start_key=None, body="Hello", now=None, **more):
    return visitors.open_chat(
        inbox,
        claims=claims or Claims(),
        body=body,
        start_key=start_key or uuid.uuid4(),
        now=now or timezone.now(),
        **more,
    )


def test_a_start_makes_customer_conversation_and_key(db) -> None:
    inbox = make_inbox()
    claims = Claims(name="Ada", email="Ada@Example.com", phone="+49 30 12345678", time_zone="Europe/Berlin")
    conversation, token = _open(inbox, claims, is_left_message=True)
    customer = conversation.customer
    assert (customer.name, customer.time_zone, conversation.is_left_message) == ("Ada", "Europe/Berlin", True)
    assert list(customer.teams.all()) == [inbox.team]
    points = ContactPoint.objects.order_by("kind").values_list("kind", "value", "is_verified")
    assert list(points) == [("email", MAIL, False), ("phone", "+493012345678", False)]
    visitor = visitors.authenticate(token, now=timezone.now())
    assert (visitor.conversation_id, visitor.customer_id) == (conversation.pk, customer.pk)


def test_only_the_hash_of_a_key_is_kept(db) -> None:
    _, token = _open(make_inbox())
    assert len(token) >= 43  # 256 bits
    assert token not in str(list(VisitorSession.objects.values()))


def test_a_repeated_start_is_the_same_conversation_with_a_new_key(db) -> None:
    inbox, key = make_inbox(), uuid.uuid4()
    first, one = _open(inbox, Claims(name="Ada", email=MAIL), start_key=key)
    again, two = _open(inbox, Claims(name="Ada", email=MAIL), start_key=key, body="something else")
    assert first == again
    assert one != two
    assert (Conversation.objects.count(), Customer.objects.count(), Message.objects.count()) == (1, 1, 1)


def test_a_start_key_belongs_to_one_inbox(db) -> None:
    key = uuid.uuid4()
    _open(make_inbox(), start_key=key)
    with pytest.raises(errors.InboxNotFound):
        _open(make_inbox(), start_key=key)


def test_z37_a_repeated_start_of_a_closed_chat_lives_no_longer_than_it(db) -> None:
    inbox, key, now = make_inbox(), uuid.uuid4(), timezone.now()
    conversation, _ = _open(inbox, start_key=key)
    conversations.close(conversation.pk, by=SYSTEM, now=now)
    _open(inbox, start_key=key)
    last = now + conversations.RATING_PERIOD
    assert VisitorSession.objects.latest("id").expires_at == last
    with pytest.raises(errors.ConversationIsClosed):
        _open(inbox, start_key=key, now=last + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("claims", "field"),
    [
        (Claims(email="no address"), "email"),
        (Claims(phone="112"), "phone"),
        (Claims(phone="12345678"), "phone"),
        (Claims(phone="+1 900 555 0100"), "phone"),
    ],
)
def test_b38_what_is_wrong_is_said_at_its_field_and_nothing_is_kept(db, claims, field) -> None:
    with pytest.raises(Invalid) as refused:
        _open(make_inbox(), claims)
    assert list(refused.value.fields) == [field]
    assert not Customer.objects.exists()
    assert not Conversation.objects.exists()


def test_an_earlier_key_keeps_the_customer(db) -> None:
    inbox = make_inbox()
    first, token = _open(inbox)
    second, _ = _open(inbox, Claims(name="Ada", email=MAIL), previous_token=token)
    third, _ = _open(inbox, Claims(email=MAIL), previous_token=token)
    assert first.customer == second.customer == third.customer
    customer = Customer.objects.get()
    assert customer.name == "Ada"
    assert ContactPoint.objects.count() == 1


def test_z37_somebody_else_in_the_same_browser_is_another_customer(db) -> None:
    inbox = make_inbox()
    first, token = _open(inbox, Claims(email=MAIL))
    second, _ = _open(inbox, Claims(email="ben@example.com"), previous_token=token)
    assert first.customer != second.customer


def test_z37_keys_of_other_inboxes_and_dead_keys_say_nothing(db) -> None:
    inbox = make_inbox()
    first, token = _open(inbox)
    elsewhere, _ = _open(make_inbox(), previous_token=token)
    VisitorSession.objects.update(expires_at=timezone.now())
    later, _ = _open(inbox, previous_token=token)
    unknown, _ = _open(inbox, previous_token="x" * 43)
    assert len({c.customer_id for c in (first, elsewhere, later, unknown)}) == 4


@pytest.mark.parametrize("token", ["", "x", "x" * 101, "ü" * 20])
def test_what_is_no_key_opens_nothing(db, token) -> None:
    assert visitors.authenticate(token, now=timezone.now()) is None


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_the_same_start_from_many_sides_at_once_is_one_conversation() -> None:
    inbox, key = make_inbox(), uuid.uuid4()
    barrier, found, failed = threading.Barrier(8), [], []

    def begin() -> None:
        try:
            barrier.wait()
            found.append(_open(inbox, Claims(name="Ada", email=MAIL), start_key=key))
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len({conversation.pk for conversation, _ in found}) == 1
    assert len({token for _, token in found}) == 8
    assert (Conversation.objects.count(), Customer.objects.count(), Message.objects.count()) == (1, 1, 1)
