"""Taking into a conversation what was held back."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.core import events
from apps.users.models import User

from ..errors import ArrivalWithoutInbox, ConversationElsewhere
from ..events import ArrivalAccepted
from ..models import Arrival, Conversation, HeldFile, Inbox
from . import arrivals, inbound


def accept(
    arrival_id: int,
    *,
    inbox: Inbox | None = None,
    conversation_id: int | None = None,
    by: User,
    now: datetime,
) -> Conversation:
    """As if it had come just now: into the conversation named, else into the open one of its sender, else into a new
    one. `inbox` is needed where its own is unknown; what the caller may see is his to check.

    Raises ArrivalSettled, ArrivalWithoutInbox, ConversationElsewhere.
    """
    with transaction.atomic():
        arrival = arrivals.locked(arrival_id)
        arrival.inbox = arrival.inbox or _fitting(inbox, arrival)
        arrival.save(update_fields=["inbox"])
        Inbox.objects.select_for_update(no_key=True).get(pk=arrival.inbox.pk)
        named = _open_one(arrival, conversation_id) if conversation_id is not None else None
        conversation = inbound.place(arrival, _incoming(arrival), conversation=named, now=now)
        arrivals.settle(arrival, by=by, now=now)
        fact = ArrivalAccepted(arrival=arrival.pk, conversation=conversation.pk)
        events.record(fact, stream=arrivals.stream(arrival.pk), actor=by)
        return conversation


def _fitting(inbox: Inbox | None, arrival: Arrival) -> Inbox:
    if inbox is None or inbox.kind != arrival.kind or not inbox.is_active:
        raise ArrivalWithoutInbox
    return inbox


def _open_one(arrival: Arrival, conversation_id: int) -> Conversation:
    rows = Conversation.objects.open().filter(pk=conversation_id, inbox=arrival.inbox)
    found = rows.select_for_update(no_key=True, of=("self",)).select_related("customer").first()
    if found is None:
        raise ConversationElsewhere
    return found


def _incoming(arrival: Arrival) -> inbound.Incoming:
    return inbound.Incoming(
        id=arrival.source_id,
        sender=arrival.sender,
        sender_name=arrival.sender_name,
        to=(),
        subject=arrival.subject,
        text=arrival.text,
        files=tuple((held.name, _content(held)) for held in arrival.files.all()),
    )


def _content(held: HeldFile) -> bytes:
    with held.file.open("rb") as file:
        return file.read()
