"""What agents say in conversations that came by e-mail or SMS goes out to where the customer wrote from."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from email.utils import formataddr
from typing import Any

from django.db import transaction
from django.db.models import Prefetch

from apps.core import events, replacer
from apps.core.events import Actor
from apps.messaging import reply_address
from apps.messaging.choices import WRITTEN_KINDS, InboxKind, Sender
from apps.messaging.models import Arrival, Attachment, Inbox, Message

from ..choices import Priority, Reason, Way
from ..events import AnswerMoved
from ..gateways import File, Outgoing
from ..models import Delivery, InboxGateway
from . import deliveries, rendering

PRIORITY = Priority.TRANSACTIONAL
WAYS = {InboxKind.EMAIL: Way.EMAIL, InboxKind.SMS: Way.SMS}
# Enough for a mail program to find the thread; a header has its limits.
MOST_REFERENCES = 10


def cause_of(message_id: int) -> str:
    return f"message:{message_id}"


def send(message_id: int, *, now: datetime) -> None:
    """Make the delivery of an agent's message, if its conversation is not a chat. Safe to repeat."""
    with transaction.atomic():
        said = Message.objects.filter(
            pk=message_id, sender=Sender.AGENT, conversation__inbox__kind__in=WRITTEN_KINDS
        )
        message = said.select_related("conversation__inbox", "conversation__customer").first()
        if message is None:
            return
        inbox = message.conversation.inbox
        last = _arrivals([message.conversation_id]).order_by("-id").first()
        draft = deliveries.Draft(
            cause=cause_of(message.pk),
            to=message.conversation.customer,
            way=WAYS[InboxKind(inbox.kind)],
            at=now,
            address=last.sender if last else "",
            priority=PRIORITY,
            via_id=gateway_of(inbox),
        )
        deliveries.make_many([draft], now=now)


def gateway_of(inbox: Inbox) -> int | None:
    """The gateway of its own that an inbox sends by."""
    return InboxGateway.objects.filter(inbox=inbox).values_list("gateway_id", flat=True).first()


def _arrivals(conversations: Iterable[int]) -> Any:
    return Arrival.objects.filter(message__conversation__in=conversations)


def message_of(cause: str) -> int | None:
    """The message that a delivery carries; None when it is no agent's answer."""
    kind, _colon, number = cause.partition(":")
    return int(number) if kind == "message" else None


def moved(rows: Iterable[tuple[Delivery, str]], *, by: Actor) -> None:
    """Note, inside the caller's transaction, which answers are in another state now: desks show it."""
    entries = [
        events.Entry(AnswerMoved(row.pk, message, str(state)), row.stream, by.actor_ref)
        for row, state in rows
        if (message := message_of(row.cause)) is not None
    ]
    if entries:
        events.record_many(entries)


@rendering.composes("message")
def compose(rows: Sequence[Delivery]) -> Mapping[int, rendering.Rendered]:
    """Four queries, however many."""
    ids = {row.pk: int(row.cause.partition(":")[2]) for row in rows}
    files = Prefetch("attachments", Attachment.objects.order_by("created_at"))
    said = Message.objects.select_related("conversation__inbox", "user").prefetch_related(files)
    messages = said.in_bulk(ids.values())
    threads: dict[int, list[Arrival]] = {}
    conversations = {message.conversation_id for message in messages.values()}
    for arrival in _arrivals(conversations).select_related("message").order_by("id"):
        assert arrival.message is not None
        threads.setdefault(arrival.message.conversation_id, []).append(arrival)
    made: dict[int, rendering.Rendered] = {}
    for row in rows:
        message = messages.get(ids[row.pk])
        if message is None:
            made[row.pk] = Reason.NOT_NEEDED
        else:
            made[row.pk] = _outgoing(row, message, threads.get(message.conversation_id, []))
    return made


def _outgoing(row: Delivery, message: Message, thread: Sequence[Arrival]) -> Outgoing:
    inbox = message.conversation.inbox
    if inbox.kind == InboxKind.SMS:
        return Outgoing(row.pk, row.key, row.address, text=message.body, sender=inbox.address)
    return Outgoing(
        row.pk,
        row.key,
        row.address,
        subject=_subject(thread, otherwise=inbox.name),
        text=message.body,
        sender=formataddr((inbox.name, inbox.address)),
        headers=_headers(message, thread),
        files=tuple(_file(attachment) for attachment in message.attachments.all()),
    )


def _file(attachment: Attachment) -> File:
    return File(attachment.name, attachment.content_type, functools.partial(_content, attachment))


def _content(attachment: Attachment) -> bytes:
    """Read when its mail is put together, so that only one at a time is in memory."""
    with attachment.file.open("rb") as file:
        return file.read()


def _subject(thread: Sequence[Arrival], *, otherwise: str) -> str:
    subject = replacer.one_line(next((a.subject for a in thread if a.subject), otherwise), most=240)
    return subject if subject.lower().startswith("re:") else f"Re: {subject}"


def _headers(message: Message, thread: Sequence[Arrival]) -> dict[str, str]:
    """So that mail programs keep the thread, and the next answer finds this conversation for certain."""
    conversation = message.conversation
    headers = {"Reply-To": reply_address.make(conversation.inbox.address, conversation.pk)}
    before = [
        f"<{arrival.source_id}>"
        for arrival in thread
        if "@" in arrival.source_id
        and arrival.source_id.isprintable()
        and arrival.message is not None
        and arrival.message.seq < message.seq
    ]
    if before:
        headers["In-Reply-To"] = before[-1]
        headers["References"] = " ".join(before[-MOST_REFERENCES:])
    return headers
