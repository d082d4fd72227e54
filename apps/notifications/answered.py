"""What became of what agents wrote by e-mail or SMS. Questions only."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from apps.messaging.choices import WRITTEN_KINDS, Sender
from apps.messaging.models import Conversation, Message

from . import selectors
from .choices import DeliveryState
from .models import Delivery


class Answer(NamedTuple):
    """An agent's message and its delivery, or None in the moment before that is made. Empty values are None."""

    message: Message
    row: Delivery | None
    # Why it does not go out at the moment, if it waits.
    hindrance: str | None

    @property
    def state(self) -> str:
        return self.row.state if self.row else "queued"

    @property
    def delivery(self) -> int | None:
        return self.row.pk if self.row else None

    @property
    def reason(self) -> str | None:
        return self._told("reason") or None

    @property
    def error(self) -> str | None:
        return self._told("last_error") or None

    @property
    def detail(self) -> str:
        return self._told("last_detail") or ""

    @property
    def came_back(self) -> str | None:
        return self._told("came_back") or None

    @property
    def due_at(self) -> datetime | None:
        return self._told("due_at") if self.state == DeliveryState.DUE else None

    @property
    def sent_at(self) -> datetime | None:
        return self._told("sent_at")

    @property
    def delivered_at(self) -> datetime | None:
        return self._told("delivered_at")

    def _told(self, name: str) -> Any:
        return getattr(self.row, name, None)


def of_conversation(conversation: Conversation, *, most: int, now: datetime) -> list[Answer]:
    """What agents said in it last, newest first, and what became of it; nothing in a chat. Five queries at most."""
    if conversation.inbox.kind not in WRITTEN_KINDS:
        return []
    said = list(
        Message.objects.filter(conversation=conversation, sender=Sender.AGENT).order_by("-seq")[:most]
    )
    rows = selectors.answers_to([message.pk for message in said])
    waiting = {
        message.pk
        for message in said
        if (row := rows.get(message.pk)) is None or row.state == DeliveryState.DUE
    }
    hindrance = (selectors.hindrance_of_answers(conversation.inbox, now=now) or None) if waiting else None
    return [
        Answer(message, rows.get(message.pk), hindrance if message.pk in waiting else None)
        for message in said
    ]
