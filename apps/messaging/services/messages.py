"""Saying something. Messages of concurrent senders share one commit; each gets the next `seq` of its conversation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.core import bulk, events
from apps.core.batching import Batcher
from apps.core.errors import EMLError
from apps.core.events import SYSTEM
from apps.users.models import User

from .. import errors, policy
from ..choices import WRITTEN_KINDS, InboxKind, Sender, Status
from ..events import AnswerGiven, MessageSent
from ..models import Attachment, Conversation, Inbox, Message, stream


@dataclasses.dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants to say. `user` is the agent; a customer speaks for his conversation's customer."""

    conversation_id: int
    sender: Sender
    body: str
    actor_ref: str
    user: User | None = None
    client_msg_id: UUID | None = None
    attachment_ids: tuple[UUID, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """A stored message. `is_new` is False when it answers a retry."""

    id: int
    seq: int
    at: datetime
    is_new: bool


def send(draft: Draft) -> Sent:
    """Store one message; raises what is wrong with it (ConversationIsClosed, NotYourConversation, …)."""
    (result,) = append([draft])
    if isinstance(result, Exception):
        raise result
    return result


def append(drafts: Sequence[Draft]) -> list[Sent | EMLError]:
    """Store many at once, in one transaction. A draft that is refused gets its error and hurts nobody else.

    Locks the conversations in id order; ordered per conversation as given.
    """
    with transaction.atomic():
        return _Writing(drafts).run()


def add_lines(lines: Sequence[tuple[Conversation, str]]) -> None:
    """Lines of the system. The caller has locked these conversations, and writes their `last_seq`, which is raised."""
    now, stored = timezone.now(), list[Message]()
    for conversation, body in lines:
        conversation.last_seq += 1
        stored.append(
            Message(
                conversation=conversation,
                seq=conversation.last_seq,
                sender=Sender.SYSTEM,
                body=body,
                at=now,
            )
        )
    bulk.insert(Message, stored)
    events.record_many(_sent(message, [], SYSTEM.actor_ref) for message in stored)


def _sent(message: Message, files: list[Attachment], actor_ref: str) -> events.Entry:
    conversation_id = message.conversation_id
    fact = MessageSent(conversation=conversation_id, message=message.pk, seq=message.seq)
    return events.Entry(fact, stream(conversation_id), actor_ref, subject=(message, files))


async def send_in_batch(draft: Draft) -> Sent:
    """`send` for sockets: shares its commit with whoever writes at the same moment."""
    return await _batcher.submit(draft)


_batcher: Batcher[Draft, Sent] = Batcher(append)


class _Writing:
    """One batch inside its transaction: lock, check each draft, write everything in a few statements."""

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self.drafts = drafts
        self.now = timezone.now()
        ids = {draft.conversation_id for draft in drafts}
        locked = Conversation.objects.filter(id__in=ids).order_by("id").select_for_update(no_key=True)
        self.conversations = {conversation.id: conversation for conversation in locked}
        self.known = self._known_messages()
        self.members = self._members()
        self.files = self._files()
        self.new: list[tuple[Draft, Message, list[Attachment]]] = []

    def run(self) -> list[Sent | EMLError]:
        results = [self._take(draft) for draft in self.drafts]
        if self.new:
            self._write()
        return [result if isinstance(result, EMLError) else self._sent(*result) for result in results]

    def _take(self, draft: Draft) -> tuple[Message, bool] | EMLError:
        try:
            conversation = self._visible(draft)
            if (known := self._known(draft)) is not None:
                # Also when it is closed by now: the message was stored, only its answer was lost.
                return known, False
            self._check(draft, conversation)
        except EMLError as error:
            return error
        files = [self.files.pop(pk) for pk in draft.attachment_ids]
        message = self._next_message(conversation, draft, files)
        if draft.client_msg_id:
            self.known[draft.conversation_id, draft.sender, draft.client_msg_id] = message
        self.new.append((draft, message, files))
        return message, True

    def _visible(self, draft: Draft) -> Conversation:
        conversation = self.conversations.get(draft.conversation_id)
        if conversation is None:
            raise errors.ConversationNotFound
        if draft.user is not None and (draft.user.pk, conversation.team_id) not in self.members:
            raise errors.ConversationNotFound
        return conversation

    def _known(self, draft: Draft) -> Message | None:
        """The message this draft is a retry of."""
        if draft.client_msg_id is None:
            return None
        known = self.known.get((draft.conversation_id, draft.sender, draft.client_msg_id))
        if known is not None and draft.user is not None and known.user_id != draft.user.pk:
            raise errors.MessageIdTaken
        return known

    def _check(self, draft: Draft, conversation: Conversation) -> None:
        if conversation.status == Status.CLOSED and draft.sender != Sender.SYSTEM:
            raise errors.ConversationIsClosed
        if draft.user is not None and conversation.agent_id != draft.user.pk:
            raise errors.NotYourConversation
        if len(draft.attachment_ids) > policy.MOST_ATTACHMENTS:
            raise errors.TooManyAttachments
        is_repeated = len(set(draft.attachment_ids)) != len(draft.attachment_ids)
        if is_repeated or any(not self._is_usable(pk, draft) for pk in draft.attachment_ids):
            raise errors.AttachmentUnknown
        policy.check_body(draft.body, has_attachments=bool(draft.attachment_ids))
        if draft.sender == Sender.AGENT and (
            draft.attachment_ids or len(draft.body) > policy.MOST_SMS_CHARACTERS
        ):
            self._check_way(draft, conversation)

    def _check_way(self, draft: Draft, conversation: Conversation) -> None:
        """What e-mail and SMS do not carry. Asked rarely: most messages are short and without files."""
        kind = Inbox.objects.values_list("kind", flat=True).get(pk=conversation.inbox_id)
        if draft.attachment_ids and kind == InboxKind.SMS:
            raise errors.FilesNotSent
        size = sum(self.files[pk].size for pk in draft.attachment_ids)
        if kind == InboxKind.EMAIL and size > policy.MOST_MAIL_BYTES:
            raise errors.FilesTooLargeForMail(megabytes=policy.MOST_MAIL_BYTES // 1024**2)
        if kind == InboxKind.SMS and len(draft.body) > policy.MOST_SMS_CHARACTERS:
            raise errors.TooLongForSMS

    def _is_usable(self, attachment_id: UUID, draft: Draft) -> bool:
        file = self.files.get(attachment_id)
        return (
            file is not None
            and file.conversation_id == draft.conversation_id
            and file.uploaded_by == draft.actor_ref
        )

    def _next_message(self, conversation: Conversation, draft: Draft, files: list[Attachment]) -> Message:
        conversation.last_seq += 1
        # Lines of the system do not count as somebody writing: who waits for whom stays as it was.
        if draft.sender != Sender.SYSTEM:
            conversation.last_message_at = self.now
            conversation.last_sender = draft.sender
            conversation.preview = policy.preview(draft.body.strip() or files[0].name)
        if draft.sender == Sender.AGENT and conversation.first_answer_at is None:
            conversation.first_answer_at = self.now
        return Message(
            conversation=conversation,
            seq=conversation.last_seq,
            sender=draft.sender,
            user=draft.user,
            body=draft.body,
            client_msg_id=draft.client_msg_id,
            at=self.now,
        )

    def _write(self) -> None:
        Message.objects.bulk_create([message for _, message, _ in self.new])
        self._update_conversations()
        for _, message, files in self.new:
            if files:
                Attachment.objects.filter(id__in=[file.pk for file in files]).update(message=message)
        sent = [_sent(message, files, draft.actor_ref) for draft, message, files in self.new]
        events.record_many([*sent, *self._answers()])

    def _answers(self) -> list[events.Entry]:
        """What has to leave the house: an event of its own, so that chats have no durable follower for each message."""
        said = [(draft, message) for draft, message, _ in self.new if draft.sender == Sender.AGENT]
        inboxes = {message.conversation.inbox_id for _, message in said}
        if not inboxes:
            return []
        written = set(
            Inbox.objects.filter(pk__in=inboxes, kind__in=WRITTEN_KINDS).values_list("pk", flat=True)
        )
        return [
            events.Entry(
                AnswerGiven(conversation=draft.conversation_id, message=message.pk),
                stream(draft.conversation_id),
                draft.actor_ref,
            )
            for draft, message in said
            if message.conversation.inbox_id in written
        ]

    def _update_conversations(self) -> None:
        touched = {message.conversation_id: message.conversation for _, message, _ in self.new}
        fields = ["last_seq", "last_message_at", "last_sender", "preview", "first_answer_at"]
        bulk.update(list(touched.values()), fields)

    def _sent(self, message: Message, is_new: bool) -> Sent:
        return Sent(id=message.pk, seq=message.seq, at=message.at, is_new=is_new)

    def _known_messages(self) -> dict[tuple[int, str, UUID | None], Message]:
        ids = {draft.client_msg_id for draft in self.drafts if draft.client_msg_id}
        if not ids:
            return {}
        known = Message.objects.filter(conversation_id__in=list(self.conversations), client_msg_id__in=ids)
        return {(m.conversation_id, m.sender, m.client_msg_id): m for m in known}

    def _members(self) -> set[tuple[int, int]]:
        """(user, team) of the agents who write here: rights are checked in the transaction that uses them."""
        user_ids = {draft.user.pk for draft in self.drafts if draft.user}
        if not user_ids:
            return set()
        return set(User.objects.filter(id__in=user_ids, is_active=True).values_list("id", "teams"))

    def _files(self) -> dict[UUID, Attachment]:
        ids = {pk for draft in self.drafts for pk in draft.attachment_ids}
        if not ids:
            return {}
        unused = Attachment.objects.select_for_update().filter(id__in=ids, message=None)
        return {file.pk: file for file in unused}
