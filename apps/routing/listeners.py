"""Live: the router hears what changed, the agent is rung, the customer's place in line moves."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from apps.core.events import listen, listen_together
from apps.core.models import Event
from apps.core.realtime import Frame, conversation_group, publish, staff_group, user_group
from apps.users.events import UserTeamsChanged

from . import selectors
from .events import (
    AgentSkillsChanged,
    CallbackCancelled,
    CallbackDue,
    CallbackExpired,
    CallbackMissed,
    CallbackRequested,
    ItemBack,
    ItemEnqueued,
    ItemMoved,
    OfferAccepted,
    OfferCancelled,
    OfferDeclined,
    OfferLapsed,
    OfferMade,
    PolicyChanged,
    PresenceChanged,
    QueueLeftAlone,
    SnoozeEnded,
    WorkFinished,
    WorkReassigned,
    WrapUpStarted,
)
from .models import Agent, Item
from .services import bell


@listen(
    ItemEnqueued,
    ItemBack,
    ItemMoved,
    SnoozeEnded,
    CallbackDue,
    CallbackExpired,
    CallbackCancelled,
    OfferDeclined,
    OfferLapsed,
    OfferCancelled,
    WorkFinished,
    WorkReassigned,
)
def wake_router(event: Event) -> None:
    agent = event.payload.get("agent")
    bell.ring(conversations=[event.payload["conversation"]], agents=[agent] if agent else [])


@listen(PresenceChanged)
def wake_router_for_agent(event: Event) -> None:
    if not PresenceChanged(**event.payload).is_by_work:
        bell.ring(agents=[event.payload["agent"]])


@listen(AgentSkillsChanged)
def wake_router_for_skills(event: Event) -> None:
    bell.ring(agents=[event.payload["agent"]])


@listen(PolicyChanged)
def wake_router_for_policy(event: Event) -> None:
    bell.ring(queues=[event.payload["queue"]])


@listen(UserTeamsChanged)
def wake_router_for_everybody(event: Event) -> None:
    """Who is in which team is one of the skills."""
    bell.ring(everybody=True)


@listen(OfferMade)
def ring(event: Event) -> None:
    publish(user_group(event.payload["user"]), {"type": Frame.OFFER_MADE, "offer": event.payload["offer"]})


@listen(OfferAccepted, OfferDeclined, OfferLapsed, OfferCancelled)
def stop_ringing(event: Event) -> None:
    frame = {"type": Frame.OFFER_ENDED, "offer": event.payload["offer"], "how": event.type.rpartition(".")[2]}
    publish(user_group(event.payload["user"]), frame)


@listen(
    ItemEnqueued,
    ItemBack,
    ItemMoved,
    SnoozeEnded,
    CallbackRequested,
    CallbackMissed,
    CallbackDue,
    CallbackExpired,
    CallbackCancelled,
)
def tell_customer(event: Event) -> None:
    publish(conversation_group(event.payload["conversation"]), {"type": Frame.QUEUE_CHANGED})


@listen_together(OfferAccepted, WorkReassigned, ItemMoved)
def tell_those_behind(events: list[Event]) -> None:
    """Somebody left the line: the next ones moved up."""
    moved = {event.payload["from_queue"] for event in events if event.payload.get("from_queue")}
    _tell_lines(moved | _queues_of(event for event in events if not event.payload.get("from_queue")))


@listen_together(WorkFinished)
def tell_those_behind_who_left(events: list[Event]) -> None:
    _tell_lines(_queues_of(event for event in events if event.payload["agent"] is None))


def _queues_of(events: Iterable[Event]) -> set[int]:
    conversations = {event.payload["conversation"] for event in events}
    if not conversations:
        return set()
    return set(Item.objects.filter(conversation__in=conversations).values_list("queue_id", flat=True))


def _tell_lines(queue_ids: Collection[int]) -> None:
    _tell(selectors.next_in_lines(queue_ids))


def _tell(conversations: Iterable[int]) -> None:
    for conversation_id in conversations:
        publish(conversation_group(conversation_id), {"type": Frame.QUEUE_CHANGED})


@listen(QueueLeftAlone)
def tell_who_waits_for_nobody(event: Event) -> None:
    _tell(selectors.all_at_the_screen(event.payload["queue"]))


@listen(PresenceChanged)
def tell_who_waits_for_him(event: Event) -> None:
    """Somebody is there again, perhaps for the first time today."""
    if PresenceChanged(**event.payload).has_come:
        _tell_lines(selectors.lines_of(event.payload["agent"]))


@listen(CallbackRequested, CallbackCancelled)
def tell_who_has_it(event: Event) -> None:
    """Whoever has the conversation, or is rung for it, sees how the customer wants to be reached."""
    frame = {
        "type": Frame.CONVERSATION_CHANGED,
        "conversation": event.payload["conversation"],
        "what": "callback",
    }
    publish(staff_group(event.payload["conversation"]), frame)


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
    names = ("state", "reason", "chosen")
    frame = {"type": Frame.PRESENCE_CHANGED} | {name: event.payload[name] for name in names}
    publish(user_group(event.payload["user"]), frame)
