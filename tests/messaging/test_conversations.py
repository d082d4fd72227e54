"""The life of a conversation, and who may do what in it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.messaging import errors
from apps.messaging.choices import CloseReason, Sender, Status
from apps.messaging.models import Conversation, Inbox, Message, Tag, VisitorSession
from apps.messaging.services import conversations, notes, rights, visitors
from apps.messaging.tasks import sweep
from apps.users.choices import Role
from apps.users.services import customers
from tests.factories import (
    make_conversation,
    make_customer,
    make_inbox,
    make_message,
    make_team,
    make_user,
    make_visitor,
)


def _types(conversation: Conversation) -> list[str]:
    return list(
        Event.objects.filter(stream=conversation.stream).order_by("id").values_list("type", flat=True)
    )


def test_a_conversation_from_start_to_rating(db) -> None:
    agent = make_user()
    conversation = make_conversation(agent=agent)
    make_message(conversation, user=agent)
    conversations.close(conversation.pk, by=agent, now=timezone.now())
    conversations.rate(conversation.pk, rating=4, comment="fine", by=conversation.customer)
    assert [name.removeprefix("messaging.") for name in _types(conversation)] == [
        "conversation.started",
        "message.sent",
        "conversation.assigned",
        "message.sent",  # the system tells who is here
        "message.sent",
        "conversation.closed",
        "message.sent",  # and that it has ended
        "conversation.rated",
    ]
    conversation.refresh_from_db()
    assert (conversation.status, conversation.rating, conversation.agent) == (Status.CLOSED, 4, agent)


def test_only_one_gets_a_waiting_conversation(db) -> None:
    conversation = make_conversation()
    first, second = make_user(teams=[conversation.team]), make_user(teams=[conversation.team])
    conversations.assign(conversation.pk, agent=first, by=first, now=timezone.now())
    with pytest.raises(errors.ConversationNotWaiting):
        conversations.assign(conversation.pk, agent=second, by=second, now=timezone.now())


def test_nobody_gets_a_conversation_of_a_foreign_team(db) -> None:
    conversation, stranger = make_conversation(), make_user(teams=[make_team()])
    with pytest.raises(errors.ConversationNotWaiting):
        conversations.assign(conversation.pk, agent=stranger, by=stranger, now=timezone.now())


def test_a_released_conversation_waits_again_and_the_customer_is_told(db) -> None:
    agent = make_user()
    conversation = make_conversation(agent=agent)
    conversations.release(conversation.pk, reason="lost", by=SYSTEM, now=timezone.now())
    conversation.refresh_from_db()
    assert (conversation.status, conversation.agent) == (Status.WAITING, None)
    last = Message.objects.filter(conversation=conversation).latest("seq")
    assert last.sender == Sender.SYSTEM
    assert "your agent is gone, we are finding you another" in last.body.lower()


def test_the_system_speaks_the_language_of_the_inbox(db) -> None:
    from django.utils.translation import get_language

    heard = []
    conversation = make_conversation(make_inbox(language="de"))
    conversations.tell(conversation.pk, lambda: heard.append(get_language()) or "ok")
    assert heard == ["de"]


def test_closing_twice_is_a_conflict(db) -> None:
    conversation = make_conversation()
    conversations.close(conversation.pk, by=SYSTEM, now=timezone.now())
    with pytest.raises(errors.ConversationIsClosed):
        conversations.close(conversation.pk, by=SYSTEM, now=timezone.now())


def test_a_customer_who_leaves_unanswered_has_abandoned(db) -> None:
    conversation = make_conversation()
    conversations.close(
        conversation.pk, by=conversation.customer, now=timezone.now(), reason=CloseReason.ENDED_BY_CUSTOMER
    )
    conversation.refresh_from_db()
    assert conversation.close_reason == CloseReason.ABANDONED


def test_z37_keys_end_a_day_after_the_end_and_dead_ones_stay_dead(db) -> None:
    now = timezone.now()
    conversation = make_conversation()
    live, dead = make_visitor(conversation)[0], make_visitor(conversation)[0]
    VisitorSession.objects.filter(pk=dead.session_id).update(expires_at=now - timedelta(days=1))
    conversations.close(conversation.pk, by=SYSTEM, now=now)
    expiries = dict(VisitorSession.objects.values_list("pk", "expires_at"))
    assert expiries[live.session_id] == now + conversations.RATING_PERIOD
    assert expiries[dead.session_id] < now


def test_rating_after_the_end_once(db) -> None:
    conversation = make_conversation()
    with pytest.raises(errors.NotClosedYet):
        conversations.rate(conversation.pk, rating=5, comment="", by=conversation.customer)
    conversations.close(conversation.pk, by=SYSTEM, now=timezone.now())
    conversations.rate(conversation.pk, rating=5, comment="", by=conversation.customer)
    with pytest.raises(errors.AlreadyRated):
        conversations.rate(conversation.pk, rating=1, comment="", by=conversation.customer)


@pytest.mark.parametrize(("seq", "mark"), [(0, 0), (1, 1), (2**31 - 1, 1)])
def test_read_marks_stay_within_what_was_said(db, seq, mark) -> None:
    conversation = make_conversation()
    assert conversations.mark_read(conversation.pk, side=Sender.CUSTOMER, seq=seq) == mark
    assert conversations.mark_read(conversation.pk, side=Sender.CUSTOMER, seq=0) == mark


def test_a_read_mark_that_does_not_move_tells_nobody(
    db, monkeypatch, django_capture_on_commit_callbacks
) -> None:
    conversation = make_conversation()
    told = []
    monkeypatch.setattr(conversations, "publish", lambda group, frame: told.append((group, frame["side"])))
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(3):
            conversations.mark_read(conversation.pk, side=Sender.CUSTOMER, seq=1)
        conversations.mark_read(conversation.pk, side=Sender.AGENT, seq=1)
    group = f"conversation.{conversation.pk}"
    assert told == [(f"{group}.staff", "customer"), (group, "agent")]


def test_tags_and_notes_are_recorded(db) -> None:
    agent = make_user()
    conversation = make_conversation(agent=agent)
    tags = [Tag.objects.create(name=name) for name in ("refund", "angry")]
    conversations.set_tags(conversation.pk, tags=tags, by=agent)
    note = notes.add(conversation, body="careful", by=agent, now=timezone.now())
    assert set(conversation.tags.all()) == set(tags)
    assert note.author == agent
    assert _types(conversation)[-2:] == ["messaging.conversation.tagged", "messaging.note.added"]


def test_after_a_merge_conversations_belong_to_the_record_that_stays(db) -> None:
    from apps.core import dispatch

    conversation = make_conversation()
    keep = make_customer()
    customers.merge(keep, conversation.customer, by=SYSTEM)
    dispatch.drain()
    conversation.refresh_from_db()
    assert conversation.customer == keep


# Rights


def test_agents_close_their_own_and_supervisors_whatever_they_see(db) -> None:
    agent = make_user()
    conversation = make_conversation(agent=agent)
    colleague = make_user(teams=[conversation.team])
    boss = make_user(Role.SUPERVISOR, teams=[conversation.team])
    rights.check_may_close(conversation, by=agent)
    rights.check_may_close(conversation, by=boss)
    with pytest.raises(errors.NotYourConversation):
        rights.check_may_close(conversation, by=colleague)


# The minute's round


def _silent(minutes: int, *, answered: bool = True, **fields) -> Conversation:
    agent = make_user()
    inbox = make_inbox(idle_close_minutes=fields.pop("limit", 60))
    conversation = make_conversation(inbox, agent=agent)
    if answered:
        make_message(conversation, user=agent)
    Conversation.objects.filter(pk=conversation.pk).update(
        last_message_at=timezone.now() - timedelta(minutes=minutes)
    )
    return conversation


def test_silence_after_an_answer_ends_a_conversation(db) -> None:
    silent, lively, unanswered = _silent(61), _silent(59), _silent(61, answered=False)
    never = _silent(10_000, limit=0)
    sweep()
    states = {c.pk: c.status for c in Conversation.objects.all()}
    assert states[silent.pk] == Status.CLOSED
    assert {states[lively.pk], states[unanswered.pk], states[never.pk]} == {Status.ACTIVE}
    silent.refresh_from_db()
    assert silent.close_reason == CloseReason.INACTIVE


def test_who_waits_is_never_closed_for_silence(db) -> None:
    conversation = _silent(0)
    conversations.release(conversation.pk, reason="lost", by=SYSTEM, now=timezone.now())
    Conversation.objects.update(last_message_at=timezone.now() - timedelta(days=9))
    assert conversations.close_idle(now=timezone.now()) == 0


def test_a_message_in_the_last_moment_keeps_it_open(db, monkeypatch) -> None:
    conversation = _silent(61)
    locked = conversations._locked

    def written_meanwhile(pk: int) -> Conversation:
        Conversation.objects.update(last_message_at=timezone.now())
        return locked(pk)

    monkeypatch.setattr(conversations, "_locked", written_meanwhile)
    assert conversations.close_idle(now=timezone.now()) == 0
    conversation.refresh_from_db()
    assert conversation.status == Status.ACTIVE


def test_expired_keys_are_swept(db) -> None:
    conversation = make_conversation()
    make_visitor(conversation)
    old = make_visitor(conversation)[0]
    VisitorSession.objects.filter(pk=old.session_id).update(expires_at=timezone.now())
    sweep()
    assert VisitorSession.objects.count() == 1
    assert visitors.delete_expired(now=timezone.now()) == 0


def test_inboxes_keep_their_history(db) -> None:
    inbox = make_inbox(name="Old")
    inbox.name = "New"
    inbox.save()
    assert list(inbox.history.values_list("name", flat=True)) == ["New", "Old"]
    assert Inbox.objects.get() == inbox
