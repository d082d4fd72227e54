"""What must follow. Each handler may run twice."""

from __future__ import annotations

from django.db.models import QuerySet

from apps.core.events import subscribe
from apps.core.models import Event
from apps.messaging.events import ConversationClosed, ConversationStarted
from apps.users.events import UserDeactivated, UserRoleChanged, UserTeamsChanged

from .events import (
    AgentSkillsChanged,
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
from .models import Queue
from .services import callbacks, clock, leaving, overflow, queueing, router, work


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


# The last one may have left: the sweep would find it, but who waits would hear of it seconds later. For others a step
# may be open now that was not while he was here.


@subscribe(PresenceChanged, when=lambda fact: fact.has_left)
def look_after_who_waited_for_him(event: Event) -> None:
    _somebody_left(Queue.objects.filter(team__members__agent=event.payload["agent"]))


@subscribe(AgentSkillsChanged)
def look_after_who_waited_for_his_skills(event: Event) -> None:
    _somebody_left(Queue.objects.filter(team__members__agent=event.payload["agent"]))


@subscribe(UserTeamsChanged)
def look_after_his_former_teams(event: Event) -> None:
    _somebody_left(Queue.objects.filter(team__in=event.payload["removed"]))


@subscribe(PolicyChanged)
def look_after_who_waits_by_another_policy(event: Event) -> None:
    _somebody_left(Queue.objects.filter(pk=event.payload["queue"]))


def _somebody_left(queues: QuerySet[Queue]) -> None:
    overflow.follow(queues, now=clock.now())
    router.run(now=clock.now())


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
)
def decide_again(event: Event) -> None:
    router.run(now=clock.now())


@subscribe(PresenceChanged, when=lambda fact: fact.may_take_more)
def decide_for_agent(event: Event) -> None:
    router.run(now=clock.now())
