"""What must follow. Each handler may run twice."""

from __future__ import annotations

from django.utils import timezone

from apps.core.events import subscribe
from apps.core.models import Event
from apps.messaging.events import ConversationClosed, ConversationStarted
from apps.messaging.models import Conversation

from .events import (
    ItemBack,
    ItemEnqueued,
    ItemMoved,
    OfferCancelled,
    OfferDeclined,
    OfferLapsed,
    PresenceChanged,
    WorkFinished,
)
from .services import queueing, router, work


@subscribe(ConversationStarted)
def enqueue(event: Event) -> None:
    conversation = Conversation.objects.get(pk=event.payload["conversation"])
    if conversation.is_open:
        queueing.enqueue(conversation, now=timezone.now())


@subscribe(ConversationClosed)
def follow_close(event: Event) -> None:
    work.conversation_closed(event.payload["conversation"], now=timezone.now())


@subscribe(
    ItemEnqueued,
    ItemBack,
    ItemMoved,
    OfferDeclined,
    OfferLapsed,
    OfferCancelled,
    WorkFinished,
    PresenceChanged,
)
def decide_again(event: Event) -> None:
    router.run(now=timezone.now())
