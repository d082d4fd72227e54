"""Storing what is said: in order, once, and one bad draft hurts nobody else."""

from __future__ import annotations

import dataclasses
import threading
import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core.models import Event
from apps.messaging import errors
from apps.messaging.choices import Sender
from apps.messaging.models import Attachment, Message
from apps.messaging.services import conversations, messages
from apps.messaging.services.messages import Draft, Sent
from tests.factories import make_conversation, make_inbox, make_message, make_team, make_user, make_visitor


def _draft(conversation, body="hi", **fields) -> Draft:
    defaults = {"sender": Sender.CUSTOMER, "actor_ref": conversation.customer.actor_ref}
    return Draft(conversation_id=conversation.pk, body=body, **defaults | fields)


def _from(agent, conversation, body="hi", **fields) -> Draft:
    return _draft(conversation, body, sender=Sender.AGENT, user=agent, actor_ref=agent.actor_ref, **fields)


def _bodies(conversation) -> list[str]:
    return list(
        Message.objects.filter(conversation=conversation).order_by("seq").values_list("body", flat=True)
    )


def test_a_batch_keeps_the_order_of_each_conversation(db) -> None:
    one, two = make_conversation(), make_conversation()
    drafts = [_draft(c, f"{n}") for n in range(5) for c in (two, one)]
    results = messages.append(drafts)
    assert [result.seq for result in results] == [2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    assert _bodies(one) == _bodies(two) == ["Hello", "0", "1", "2", "3", "4"]


def test_the_conversation_tells_its_newest_message(db) -> None:
    conversation = make_conversation()
    sent = messages.send(_draft(conversation, "one\n two " + "x" * 200))
    conversation.refresh_from_db()
    assert (conversation.last_seq, conversation.last_sender) == (2, "customer")
    assert conversation.last_message_at == sent.at
    assert conversation.preview.startswith("one two xxx")
    assert len(conversation.preview) == 120


def test_each_message_is_recorded_with_ids_only(db) -> None:
    conversation = make_conversation()
    sent = messages.send(_draft(conversation, "secret words"))
    event = Event.objects.filter(type="messaging.message.sent").latest("id")
    assert event.payload == {"conversation": conversation.pk, "message": sent.id, "seq": 2}
    assert event.actor == conversation.customer.actor_ref


def test_a_retry_is_answered_and_not_stored_again(db) -> None:
    conversation, key = make_conversation(), uuid.uuid4()
    first, same, other = messages.append(
        [
            _draft(conversation, client_msg_id=key),
            _draft(conversation, client_msg_id=key),
            _draft(conversation),
        ]
    )
    again = messages.send(_draft(conversation, client_msg_id=key))
    assert first.is_new
    assert same == again == dataclasses.replace(first, is_new=False)
    assert other.seq == 3
    assert len(_bodies(conversation)) == 3


def test_customer_and_agent_may_choose_the_same_id(db) -> None:
    agent, key = make_user(), uuid.uuid4()
    conversation = make_conversation(agent=agent)
    results = messages.append(
        [_draft(conversation, client_msg_id=key), _from(agent, conversation, client_msg_id=key)]
    )
    assert all(result.is_new for result in results)


def test_the_id_of_another_agent_is_taken(db) -> None:
    first, second, key = make_user(), make_user(), uuid.uuid4()
    conversation = make_conversation(agent=first)
    messages.send(_from(first, conversation, client_msg_id=key))
    second.teams.add(conversation.team)
    with pytest.raises(errors.MessageIdTaken):
        messages.send(_from(second, conversation, client_msg_id=key))


def test_one_refused_draft_hurts_nobody_else(db) -> None:
    closed, open_one = make_conversation(), make_conversation()
    conversations.close(closed.pk, by=make_user(), now=timezone.now())
    agent = make_user(teams=[open_one.team])
    missing = dataclasses.replace(_draft(open_one), conversation_id=10**9)
    results = messages.append(
        [
            _draft(open_one, "a"),
            _draft(closed),
            _draft(open_one, "   "),
            _from(agent, open_one),
            missing,
            _draft(open_one, "x" * 8001),
            _draft(open_one, "😀" * 8000),
            _draft(open_one, "b", attachment_ids=(uuid.uuid4(),)),
            _draft(open_one, "c"),
        ]
    )
    assert [type(result) for result in results] == [
        Sent,
        errors.ConversationIsClosed,
        errors.MessageEmpty,
        errors.NotYourConversation,
        errors.ConversationNotFound,
        errors.MessageTooLong,
        Sent,
        errors.AttachmentUnknown,
        Sent,
    ]
    assert [result.seq for result in results if isinstance(result, Sent)] == [2, 3, 4]


def test_agents_write_in_their_own_conversations_of_their_teams_only(db) -> None:
    agent = make_user()
    conversation = make_conversation(agent=agent)
    assert messages.send(_from(agent, conversation)).is_new
    agent.teams.clear()
    with pytest.raises(errors.ConversationNotFound):
        messages.send(_from(agent, conversation))


def test_z06_a_retry_needs_the_rights_too(db) -> None:
    agent, key = make_user(), uuid.uuid4()
    conversation = make_conversation(agent=agent)
    messages.send(_from(agent, conversation, client_msg_id=key))
    agent.teams.set([make_team()])
    with pytest.raises(errors.ConversationNotFound):
        messages.send(_from(agent, conversation, client_msg_id=key))


def test_a_switched_off_agent_says_nothing(db) -> None:
    agent = make_user()
    conversation = make_conversation(agent=agent)
    agent.is_active = False
    agent.save(update_fields=["is_active"])
    with pytest.raises(errors.ConversationNotFound):
        messages.send(_from(agent, conversation))


def test_the_first_answer_is_the_agents_and_stays(db) -> None:
    agent = make_user()
    conversation = make_conversation(agent=agent)
    conversation.refresh_from_db()
    assert conversation.first_answer_at is None
    first = messages.send(_from(agent, conversation))
    messages.send(_from(agent, conversation))
    conversation.refresh_from_db()
    assert conversation.first_answer_at == first.at


def test_lines_of_the_system_change_nothing_about_who_waits(db) -> None:
    agent = make_user()
    conversation = make_conversation(agent=agent, body="where is it?")
    conversation.refresh_from_db()
    assert conversation.last_seq == 2  # "… is here to help."
    assert (conversation.last_sender, conversation.preview) == ("customer", "where is it?")


def test_attachments_go_with_one_message(db, upload) -> None:
    conversation = make_conversation()
    visitor = make_visitor(conversation)[0]
    file = upload(conversation, by=visitor)
    sent, again, twice = messages.append(
        [
            _draft(conversation, "", attachment_ids=(file.pk,)),
            _draft(conversation, "", attachment_ids=(file.pk,)),
            _draft(conversation, "", attachment_ids=(file.pk, file.pk)),
        ]
    )
    assert sent.is_new
    assert isinstance(again, errors.AttachmentUnknown)
    assert isinstance(twice, errors.AttachmentUnknown)
    assert Attachment.objects.get().message_id == sent.id
    conversation.refresh_from_db()
    assert conversation.preview == "words.txt"


def test_the_same_file_twice_in_one_message_is_refused_alone(db, upload) -> None:
    conversation = make_conversation()
    file = upload(conversation, by=make_visitor(conversation)[0])
    bad, good = messages.append(
        [_draft(conversation, "a", attachment_ids=(file.pk, file.pk)), _draft(conversation, "b")]
    )
    assert isinstance(bad, errors.AttachmentUnknown)
    assert good.is_new


def test_a_message_has_ten_files_at_most(db) -> None:
    conversation = make_conversation()
    with pytest.raises(errors.TooManyAttachments):
        messages.send(_draft(conversation, attachment_ids=tuple(uuid.uuid4() for _ in range(11))))


def test_files_of_others_cannot_be_sent(db, upload) -> None:
    agent = make_user()
    conversation, other = make_conversation(agent=agent), make_conversation()
    by_agent = upload(conversation, by=agent)
    elsewhere = upload(other, by=make_visitor(other)[0])
    for file in (by_agent, elsewhere):
        with pytest.raises(errors.AttachmentUnknown):
            messages.send(_draft(conversation, attachment_ids=(file.pk,)))


def test_a_batch_costs_the_same_number_of_queries_however_large(db) -> None:
    agent = make_user()
    ours = [make_conversation(agent=agent) for _ in range(10)]

    def queries(count: int) -> int:
        drafts = [_from(agent, c, client_msg_id=uuid.uuid4()) for c in ours[:count]]
        with CaptureQueriesContext(connection) as captured:
            messages.append(drafts)
        return len(captured)

    # PostgreSQL takes more than a few by COPY, one statement more than a single row.
    assert queries(5) == queries(10) <= 10
    assert queries(1) <= 10


@pytest.mark.django_db(transaction=True)
def test_many_writers_leave_no_gap() -> None:
    conversation = make_conversation()
    failed: list[Exception] = []

    def write(number: int) -> None:
        try:
            for n in range(10):
                messages.send(_draft(conversation, f"{number}/{n}"))
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    rows = list(Message.objects.filter(conversation=conversation).order_by("seq").values_list("seq", "body"))
    assert [seq for seq, _ in rows] == list(range(1, 42))
    for number in range(4):
        own = [body for _, body in rows if body.startswith(f"{number}/")]
        assert own == [f"{number}/{n}" for n in range(10)]


def test_pages_of_messages_cost_two_queries(db, upload, django_assert_num_queries) -> None:
    from apps.messaging import frames, selectors

    agent = make_user()
    conversation = make_conversation(agent=agent)
    visitor = make_visitor(conversation)[0]
    for _ in range(5):
        make_message(conversation, attachment_ids=(upload(conversation, by=visitor).pk,))
        make_message(conversation, user=agent)
    with django_assert_num_queries(2):
        shown = [frames.message_body(message) for message in selectors.messages_of(conversation.pk)]
    assert len(shown) == 12
    assert sum(len(message["attachments"]) for message in shown) == 5


def test_the_database_itself_refuses_a_second_seq(db) -> None:
    conversation = make_conversation(make_inbox())
    with pytest.raises(IntegrityError), transaction.atomic():
        Message.objects.create(conversation=conversation, seq=1, sender="customer", at=timezone.now())
