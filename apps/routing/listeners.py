"""Live frames: the agent is rung, the customer's place in line moves."""

from __future__ import annotations

from apps.core.events import listen
from apps.core.models import Event
from apps.core.realtime import Frame, conversation_group, publish, user_group

from .events import (
    ItemBack,
    ItemEnqueued,
    ItemMoved,
    OfferAccepted,
    OfferCancelled,
    OfferDeclined,
    OfferLapsed,
    OfferMade,
    PresenceChanged,
    WorkFinished,
    WrapUpStarted,
)
from .models import Agent


@listen(OfferMade)
def ring(event: Event) -> None:
    publish(user_group(event.payload["user"]), {"type": Frame.OFFER_MADE, "offer": event.payload["offer"]})


@listen(OfferAccepted, OfferDeclined, OfferLapsed, OfferCancelled)
def stop_ringing(event: Event) -> None:
    frame = {"type": Frame.OFFER_ENDED, "offer": event.payload["offer"], "how": event.type.rpartition(".")[2]}
    publish(user_group(event.payload["user"]), frame)


@listen(ItemEnqueued, ItemBack, ItemMoved)
def tell_customer(event: Event) -> None:
    publish(conversation_group(event.payload["conversation"]), {"type": Frame.QUEUE_CHANGED})


@listen(WrapUpStarted, WorkFinished)
def tell_agent(event: Event) -> None:
    user_id = Agent.objects.values_list("user_id", flat=True).filter(pk=event.payload["agent"]).first()
    if user_id:
        frame = {
            "type": Frame.CONVERSATION_CHANGED,
            "conversation": event.payload["conversation"],
            "what": "wrap_up",
        }
        publish(user_group(user_id), frame)


@listen(PresenceChanged)
def show_presence(event: Event) -> None:
    frame = {
        "type": Frame.PRESENCE_CHANGED,
        "state": event.payload["state"],
        "reason": event.payload["reason"],
    }
    publish(user_group(event.payload["user"]), frame)
