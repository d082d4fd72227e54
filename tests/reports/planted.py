"""A day in a call center, planted row by row, so that every figure can be computed by hand."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

from apps.core.models import Event, Handling
from apps.messaging.choices import CloseReason, Status
from apps.messaging.events import ConversationAssigned, ConversationReleased
from apps.messaging.models import Conversation, Inbox
from apps.routing.choices import Chosen, ItemState
from apps.routing.events import ItemBack, WorkFinished
from apps.routing.models import Agent, Item, Queue
from apps.users.models import Team, User
from tests.factories import make_customer, make_team, make_user

# Half past four in Berlin.
NOW = datetime(2026, 3, 10, 15, 30, tzinfo=UTC)


def local(hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A time of the planted day as clocks in Berlin show it."""
    return datetime(2026, 3, 10, 0, 0, tzinfo=UTC) + timedelta(hours=hour - 1, minutes=minute, seconds=second)


@dataclasses.dataclass(frozen=True)
class Place:
    team: Team
    queue: Queue
    inbox: Inbox


def make_place(name: str, *, team: Team | None = None, target: int = 20) -> Place:
    team = team or make_team(name)
    queue = Queue.objects.create(name=name, slug=name, team=team, service_target_seconds=target)
    return Place(team, queue, Inbox.objects.create(name=name, slug=name, team=team))


def contact(
    place: Place,
    *,
    at: datetime,
    answered: int | None = None,
    left: int | None = None,
    reason: str = CloseReason.ABANDONED,
    state: str | None = None,
    agent: User | None = None,
    **fields,
) -> Item:
    """Entered the line at `at`; answered, or left, after so many seconds; otherwise it still waits."""
    closed_at = at + timedelta(seconds=left) if left is not None else None
    conversation = Conversation.objects.create(
        inbox=place.inbox,
        customer=make_customer(),
        team=place.team,
        opened_at=at,
        status=Status.CLOSED if closed_at else Status.WAITING,
        closed_at=closed_at,
        close_reason=reason if closed_at else "",
        **fields,
    )
    state = state or (ItemState.DONE if closed_at or answered is not None else ItemState.WAITING)
    return Item.objects.create(
        conversation=conversation,
        queue=place.queue,
        state=state,
        at=at,
        line_key=int(at.timestamp()),
        answered_at=at + timedelta(seconds=answered) if answered is not None else None,
    )


def plant_day(place: Place) -> None:
    """Nine offered: three answered, three abandoned, one closed by nobody's will, two waiting. Two must not count."""
    contact(place, at=local(9, 0), answered=10)
    contact(place, at=local(9, 30), answered=20)
    contact(place, at=local(9, 45), answered=50)
    contact(place, at=local(10, 10), left=3)
    contact(place, at=local(10, 20), left=15, reason=CloseReason.ENDED_BY_CUSTOMER)
    contact(place, at=local(10, 30), left=40)
    contact(place, at=local(11, 0), left=100, reason=CloseReason.INACTIVE)
    contact(place, at=local(16, 25))
    contact(place, at=local(16, 29, 50), state=ItemState.OFFERED)
    contact(place, at=local(12, 0), is_left_message=True)
    contact(place, at=local(-1, 30), answered=5)


def log(item: Item, fact: type, /, *, at: datetime, **payload) -> Event:
    stream = f"conversation:{item.conversation_id}"
    payload = {"conversation": item.conversation_id, **payload}
    return Event.objects.create(type=fact.type, stream=stream, payload=payload, actor="system", at=at)


def handled(item: Item, *, begun: datetime, seconds: int) -> None:
    """One agent had it from `begun` until his wrap-up was over."""
    log(item, ConversationAssigned, at=begun, agent=1)
    log(item, WorkFinished, at=begun + timedelta(seconds=seconds), item=item.pk, agent=1)


def passed_on(item: Item, *, begun: datetime, first: int, between: int, second: int) -> None:
    """One agent had it, it waited again, another had it."""
    again = begun + timedelta(seconds=first + between)
    log(item, ConversationAssigned, at=begun, agent=1)
    log(item, ConversationReleased, at=begun + timedelta(seconds=first), agent=1, reason="transfer")
    log(item, ItemBack, at=begun + timedelta(seconds=first), item=item.pk, agent=1, reason="transfer")
    log(item, ConversationAssigned, at=again, agent=2)
    log(item, WorkFinished, at=again + timedelta(seconds=second), item=item.pk, agent=2)


def make_agent(place: Place, chosen: str = Chosen.AVAILABLE, *, is_connected: bool = True, **fields) -> Agent:
    until = NOW + timedelta(seconds=30 if is_connected else -1)
    return Agent.objects.create(
        user=make_user(teams=[place.team]), chosen=chosen, present_until=until, **fields
    )


def dead_handling(stream: str = "conversation:1", **fields) -> Handling:
    event = Event.objects.create(
        type="messaging.conversation.started",
        stream=stream,
        payload={"conversation": 1},
        actor="system",
        at=NOW,
    )
    defaults = {"tries": 5, "is_dead": True, "last_error": "OSError: no route", "due_at": NOW}
    return Handling.objects.create(
        event=event, subscriber="routing.enqueue", stream=stream, **defaults | fields
    )
