"""What must follow. Each handler may run twice."""

from __future__ import annotations

from apps.core.events import subscribe
from apps.core.models import Event
from apps.messaging.events import ConversationClosed, ConversationStarted
from apps.users.events import UserDeactivated, UserRoleChanged, UserTeamsChanged

from .events import (
    CallbackCancelled,
    CallbackDue,
    CallbackExpired,
    ItemBack,
    ItemEnqueued,
    ItemMoved,
    OfferCancelled,
    OfferDeclined,
    OfferLapsed,
    PolicyChanged,
    PresenceChanged,
    SnoozeEnded,
    WorkFinished,
)
from .services import callbacks, clock, leaving, queueing, router, work


@subscribe(ConversationStarted)
def enqueue(event: Event) -> None:
    queueing.enqueue(event.payload["conversation"], now=clock.now())


@subscribe(ConversationClosed)
def follow_close(event: Event) -> None:
    work.conversation_closed(event.payload["conversation"], now=clock.now())
    callbacks.conversation_closed(event.payload["conversation"], now=clock.now())


@subscribe(UserDeactivated, UserRoleChanged)
def follow_user(event: Event) -> None:
    leaving.follow_user(event.payload["user"], now=clock.now())


@subscribe(UserTeamsChanged)
def follow_teams(event: Event) -> None:
    leaving.follow_teams(event.payload["user"], removed=event.payload["removed"], now=clock.now())


# Where a router runs, it was rung for already (`listeners`) and these do nothing; where none runs, they are it.


@subscribe(
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
    PolicyChanged,
)
def decide_again(event: Event) -> None:
    router.run(now=clock.now())


@subscribe(PresenceChanged, when=lambda fact: fact.may_take_more)
def decide_for_agent(event: Event) -> None:
    router.run(now=clock.now())
