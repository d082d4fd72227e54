"""What became of answers by e-mail and SMS."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.messaging.choices import WRITTEN_KINDS, Sender
from apps.messaging.models import Conversation, Message
from apps.notifications import selectors as notifications
from apps.notifications.choices import DeliveryState

from .. import fates

# What is younger is on its way: no reason to ask what hinders it.
PATIENCE = timedelta(seconds=10)


def with_fates(conversation: Conversation, messages: Sequence[Any], *, now: datetime) -> None:
    """Sets `fate` on each message of an agent, when the conversation is no chat. One query, or four when something
    waits for long."""
    if conversation.inbox.kind not in WRITTEN_KINDS:
        return
    said = [message for message in messages if message.sender == Sender.AGENT]
    known = notifications.answers_to([message.pk for message in said])
    hindrance = ""
    if any(_waits_long(message, known.get(message.pk), now=now) for message in said):
        hindrance = notifications.hindrance_of_answers(conversation.inbox, now=now)
    for message in said:
        message.fate = fates.fate(known.get(message.pk), hindrance=hindrance, clock=_clock)


def _waits_long(message: Message, row: Any, *, now: datetime) -> bool:
    return message.at < now - PATIENCE and (row is None or row.state == DeliveryState.DUE)


def newest(conversation: Conversation, *, most: int, now: datetime) -> list[Message]:
    """The last messages of agents, with their fates."""
    said = Message.objects.filter(conversation=conversation, sender=Sender.AGENT).order_by("-seq")
    messages = list(said[:most])
    with_fates(conversation, messages, now=now)
    return messages


def _clock(moment: datetime) -> str:
    local, today = timezone.localtime(moment), timezone.localdate()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%Y-%m-%d %H:%M}"
