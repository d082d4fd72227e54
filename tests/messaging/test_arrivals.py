"""What came by e-mail or SMS and is in no conversation waits for somebody who decides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.core.models import Event
from apps.messaging import errors, policy, reply_address
from apps.messaging.choices import InboxKind, Quarantined
from apps.messaging.models import Arrival, Attachment, Conversation, HeldFile, Inbox, Message
from apps.messaging.services import accepting, arrivals, conversations, inbound
from apps.users.choices import Role
from tests.factories import make_agent, make_conversation, make_customer, make_inbox, make_team, make_user

pytestmark = pytest.mark.django_db
SUPPORT, ANN = "support@example.com", "ann@example.net"


@pytest.fixture
def team():
    return make_team()


@pytest.fixture
def inbox(team) -> Inbox:
    return make_inbox(team, kind=InboxKind.EMAIL, address=SUPPORT, name="Support")


@pytest.fixture
def boss(team):
    return make_user(Role.SUPERVISOR, teams=[team])


def arrives(number: int = 1, kind: InboxKind = InboxKind.EMAIL, **fields: Any) -> Arrival:
    given = {"id": f"m{number}@example.net", "sender": ANN, "to": (SUPPORT,), "text": "Hello"} | fields
    return inbound.receive(inbound.Incoming(**given), kind=kind, now=timezone.now())


FORGED = (f"support+c1.{'a' * 16}@example.com",)


def test_unknown_inbox_is_held_and_told_twice_is_one(inbox) -> None:
    first, second = arrives(to=("sales@example.com",)), arrives(to=("sales@example.com",))
    assert first == second
    assert (first.inbox, first.to, first.quarantined_because) == (
        None,
        "sales@example.com",
        Quarantined.UNKNOWN_INBOX,
    )
    assert Event.objects.get(type="messaging.arrival.held").payload["reason"] == "unknown_inbox"
    assert not Conversation.objects.exists()


def test_too_much_of_one_sender_is_held(inbox, monkeypatch) -> None:
    monkeypatch.setattr(policy, "MOST_ARRIVALS_PER_HOUR", 2)
    held = [arrives(number).quarantined_because for number in range(4)]
    assert held == ["", "", Quarantined.OVER_LIMITS, Quarantined.OVER_LIMITS]
    assert arrives(9, sender="bob@example.net").quarantined_because == ""
    Arrival.objects.update(at=timezone.now() - timedelta(hours=2))
    assert arrives(10).quarantined_because == ""


def test_what_breaks_on_its_way_in_is_held_and_leaves_nothing_half_done(inbox, monkeypatch) -> None:
    def broken(*_args: Any, **_more: Any) -> None:
        raise ValueError

    monkeypatch.setattr(inbound, "_begin", broken)
    held = arrives()
    assert (held.quarantined_because, held.text) == (Quarantined.BROKEN, "Hello")
    assert not Message.objects.exists()


def test_no_sender_is_broken(inbox) -> None:
    assert arrives(sender="").quarantined_because == Quarantined.BROKEN


def test_what_no_database_takes_is_taken_out(inbox) -> None:
    arrival = arrives(text="a\0b\ud800c", subject="\0", sender_name="A\0nn", files=(("a\0.txt", b"x"),))
    assert arrival.quarantined_because == ""
    assert arrival.message.body == "ab?c"


# Taken in


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"to": FORGED}, Quarantined.FORGED),
        ({"is_automatic": True}, Quarantined.AUTOMATIC),
    ],
)
def test_held_arrival_is_taken_in_with_its_files(inbox, boss, fields, reason) -> None:
    held = arrives(files=(("note.txt", b"words"), ("page.html", b"<html>")), sender_name="Ann", **fields)
    assert (held.quarantined_because, held.files.count()) == (reason, 2)
    paths = [held_file.file.path for held_file in held.files.all()]
    conversation = accepting.accept(held.pk, by=boss, now=timezone.now())
    assert (conversation.inbox, conversation.customer.name) == (inbox, "Ann")
    assert Attachment.objects.get().name == "note.txt"
    assert conversation.messages.filter(body__contains="page.html").exists()
    held.refresh_from_db()
    assert (held.message.conversation, held.settled_by) == (conversation, boss)
    assert not HeldFile.objects.exists()
    assert paths
    with pytest.raises(errors.ArrivalSettled):
        accepting.accept(held.pk, by=boss, now=timezone.now())


def test_unknown_inbox_has_to_be_named_and_must_fit(inbox, boss, team) -> None:
    held = arrives(to=("sales@example.com",))
    phone = make_inbox(team, kind=InboxKind.SMS, address="+4930901820")
    for wrong in (None, phone):
        with pytest.raises(errors.ArrivalWithoutInbox):
            accepting.accept(held.pk, inbox=wrong, by=boss, now=timezone.now())
    assert accepting.accept(held.pk, inbox=inbox, by=boss, now=timezone.now()).inbox == inbox


def test_it_goes_into_the_conversation_that_is_named(inbox, boss, team) -> None:
    held = arrives(to=FORGED)
    mine = make_conversation(inbox, customer=make_customer([team]))
    elsewhere = make_conversation(make_inbox(team))
    with pytest.raises(errors.ConversationElsewhere):
        accepting.accept(held.pk, conversation_id=elsewhere.pk, by=boss, now=timezone.now())
    assert accepting.accept(held.pk, conversation_id=mine.pk, by=boss, now=timezone.now()) == mine
    assert mine.messages.filter(body="Hello", sender="customer").exists()


def test_closed_conversation_takes_nothing_in(inbox, boss, team) -> None:
    agent = make_agent(team)
    done = make_conversation(inbox, customer=make_customer([team]), agent=agent.user)
    conversations.close(done.pk, by=agent.user, now=timezone.now())
    held = arrives(to=FORGED)
    with pytest.raises(errors.ConversationElsewhere):
        accepting.accept(held.pk, conversation_id=done.pk, by=boss, now=timezone.now())
    held.refresh_from_db()
    assert held.is_held


def test_sender_of_an_open_conversation_comes_back_into_it(inbox, boss) -> None:
    open_one = arrives(1).message.conversation
    held = arrives(2, to=FORGED)
    assert accepting.accept(held.pk, by=boss, now=timezone.now()) == open_one


# Dropped


def test_dropped_arrival_keeps_who_wrote_and_not_what(
    inbox, boss, django_capture_on_commit_callbacks
) -> None:
    held = arrives(to=FORGED, files=(("note.txt", b"words"),))
    file = held.files.get().file
    with django_capture_on_commit_callbacks(execute=True):
        arrivals.drop(held.pk, by=boss, now=timezone.now())
    held.refresh_from_db()
    assert (held.text, held.sender, held.message, held.is_held) == ("", ANN, None, False)
    assert not file.storage.exists(file.name)
    assert arrives(to=FORGED) == held  # told again it is no news


def test_what_nobody_decides_about_goes_after_a_month(inbox) -> None:
    old, new = arrives(1, to=FORGED), arrives(2, to=FORGED)
    Arrival.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=31))
    assert [arrivals.drop_old(now=timezone.now()) for _ in range(2)] == [1, 0]
    assert list(Arrival.objects.held()) == [new]


def test_files_are_kept_up_to_a_limit(inbox, monkeypatch) -> None:
    monkeypatch.setattr(arrivals, "MOST_HELD_BYTES", 10)
    for number in range(3):
        arrives(number, to=FORGED, files=(("a.txt", b"12345"),))
    assert (Arrival.objects.held().count(), HeldFile.objects.count()) == (3, 2)


# The page


@pytest.fixture
def page(boss) -> Client:
    client = Client()
    client.force_login(boss, backend="django.contrib.auth.backends.ModelBackend")
    return client


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:messaging_arrival_{name}", args=args)


def test_page_shows_what_is_held_and_takes_it_in(page, inbox) -> None:
    held = arrives(to=FORGED, text="<b>Hello</b>", subject="Broken")
    assert "Broken" in page.get(url("changelist")).content.decode()
    shown = page.get(url("change", held.pk)).content.decode()
    assert "&lt;b&gt;Hello&lt;/b&gt;" in shown
    answer = page.post(url("accept", held.pk), {"conversation": ""}, follow=True)
    conversation = Conversation.objects.get()
    assert f"conversation {conversation.pk}" in answer.content.decode()
    assert "Broken" not in page.get(url("changelist")).content.decode()
    assert "Broken" in page.get(url("changelist"), {"state": "settled"}).content.decode()


def test_inbox_is_chosen_where_it_is_unknown_and_only_administrators_see_that(page, inbox) -> None:
    held = arrives(to=("sales@example.com",))
    assert page.post(url("accept", held.pk), {"inbox": inbox.pk}).status_code == 404
    client = Client()
    client.force_login(make_user(Role.ADMIN), backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post(url("accept", held.pk), {"inbox": ""}, follow=True)
    assert "This field is required" in answer.content.decode()
    assert client.post(url("accept", held.pk), {"inbox": inbox.pk}).status_code == 302
    assert Conversation.objects.get().inbox == inbox


def test_conversation_of_another_team_is_none(page, inbox) -> None:
    other = make_conversation(make_inbox(make_team()))
    held = arrives(to=FORGED)
    answer = page.post(url("accept", held.pk), {"conversation": other.pk}, follow=True)
    assert "Only an open conversation of the same inbox" in answer.content.decode()
    assert Arrival.objects.get(pk=held.pk).is_held


def test_many_are_taken_in_or_dropped_at_once(page, inbox) -> None:
    held = [arrives(number, to=FORGED, sender=f"{number}@example.net") for number in range(3)]
    page.post(url("changelist"), {"action": "accept_all", "_selected_action": [held[0].pk, held[1].pk]})
    assert Conversation.objects.count() == 2
    page.post(url("changelist"), {"action": "drop_all", "_selected_action": [row.pk for row in held]})
    assert not Arrival.objects.held().exists()
    assert Arrival.objects.filter(text="").count() == 1


def test_menu_counts_what_waits(page, inbox) -> None:
    arrives(to=FORGED)
    assert "Arrivals held back" in page.get(reverse("admin:index")).content.decode()


def test_reply_address_is_still_good(inbox) -> None:
    conversation = arrives(1).message.conversation
    arrives(2, to=(reply_address.make(SUPPORT, conversation.pk),), sender="ann@work.example")
    assert conversation.messages.filter(sender="customer").count() == 2
