"""Live: the router hears what changed, the agent is rung, the customer's place in line moves."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from apps.core.events import listen, listen_together
from apps.core.models import Event
from apps.core.realtime import (
    Frame,
    conversation_group,
    encode,
    publish,
    publish_encoded,
    staff_group,
    user_group,
)
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


@listen_together(OfferMade)
def ring(events: list[Event]) -> None:
    publish_encoded(
        (
            user_group(event.payload["user"]),
            encode({"type": Frame.OFFER_MADE, "offer": event.payload["offer"]}),
        )
        for event in events
    )


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
    _tell([event.payload["conversation"]])


@listen_together(OfferAccepted, WorkReassigned, ItemMoved)
def tell_those_behind(events: list[Event]) -> None:
    """Somebody left the line: the next ones moved up."""
    _tell_lines(_queues_of(events))


@listen_together(WorkFinished)
def tell_those_behind_who_left(events: list[Event]) -> None:
    _tell_lines(_queues_of([event for event in events if event.payload["agent"] is None]))


def _queues_of(events: list[Event]) -> set[int]:
    """Which lines these items were in; asked for those only that do not bring their item along."""
    known = {
        event: event.payload.get("from_queue") or getattr(event.subject, "queue_id", None) for event in events
    }
    unknown = {event.payload["conversation"] for event, queue_id in known.items() if queue_id is None}
    asked = Item.objects.filter(conversation__in=unknown).values_list("queue_id", flat=True)
    return {queue_id for queue_id in known.values() if queue_id} | set(asked if unknown else ())


def _tell_lines(queue_ids: Collection[int]) -> None:
    _tell(selectors.next_in_lines(queue_ids))


_QUEUE_CHANGED = encode({"type": Frame.QUEUE_CHANGED})


def _tell(conversations: Iterable[int]) -> None:
    if frames := [(conversation_group(pk), _QUEUE_CHANGED) for pk in conversations]:
        publish_encoded(frames)


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
