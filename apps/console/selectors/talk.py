"""One conversation: its thread, what is known about the customer, what can be done with it."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import (
    Case,
    Count,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    When,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.core.models import Event
from apps.messaging import selectors as messaging
from apps.messaging.models import Attachment, Conversation, Disposition, Message, Note, Tag, stream
from apps.routing import openings, waits
from apps.routing import selectors as routing
from apps.routing.choices import TERMS, Chosen, ItemState
from apps.routing.models import Agent, Decision, Item, Queue
from apps.users.models import ContactPoint, User

from .. import thread, timeline, why
from . import answers, presence
from .presence import Presence

# A page of the thread; "show earlier" brings the next one.
THREAD_PAGE = 100
EARLIER_SHOWN = 5
TIMELINE_SHOWN = 60


def get_conversation(user: User, pk: int) -> Conversation | None:
    """None when there is none, or it is not for this user to see."""
    seen = messaging.conversations_visible_to(user).filter(pk=pk)
    return seen.select_related(
        "customer", "inbox", "team", "agent", "disposition", "item__queue", "item__agent", "item__snoozed_for"
    ).first()


def item_of(conversation: Conversation) -> Item | None:
    return getattr(conversation, "item", None)


def is_snoozed_for(user: User, item: Item) -> bool:
    return item.snoozed_for is not None and item.snoozed_for.user_id == user.pk


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the thread; `after_seq` and `after_note` say where it ends, `before_seq` where it begins."""

    entries: list[thread.Entry]
    after_seq: int
    after_note: int
    before_seq: int | None = None


def newest_part(conversation: Conversation) -> Part:
    return _part(conversation, from_seq=max(0, conversation.last_seq - THREAD_PAGE))


def part_before(conversation: Conversation, *, before_seq: int) -> Part:
    from_seq = max(0, before_seq - 1 - THREAD_PAGE)
    return _part(conversation, from_seq=from_seq, before_seq=before_seq)


def _part(conversation: Conversation, *, from_seq: int, before_seq: int | None = None) -> Part:
    shown = messaging.messages_of(conversation.pk, after_seq=from_seq)
    messages = list(shown if before_seq is None else shown.filter(seq__lt=before_seq))
    answers.with_fates(conversation, messages, now=timezone.now())
    notes = _notes_of(conversation)
    if from_seq and messages:
        notes = notes.filter(at__gte=messages[0].at)
    if before_seq is not None:
        notes = notes.filter(at__lt=_time_of(conversation, before_seq))
    found = list(notes)
    return Part(
        entries=_arranged(messages, found, previous=_previous(conversation, from_seq)),
        after_seq=messages[-1].seq if messages else from_seq,
        after_note=max((note.pk for note in found), default=0),
        before_seq=messages[0].seq if from_seq and messages else None,
    )


def part_after(conversation: Conversation, *, seq: int, note: int) -> Part:
    """What is new since the reader's last look."""
    messages = list(messaging.messages_of(conversation.pk, after_seq=seq))
    answers.with_fates(conversation, messages, now=timezone.now())
    notes = list(_notes_of(conversation).filter(pk__gt=note))
    return Part(
        entries=_arranged(messages, notes, previous=_previous(conversation, seq)),
        after_seq=messages[-1].seq if messages else seq,
        after_note=max((row.pk for row in notes), default=note),
    )


def _notes_of(conversation: Conversation) -> QuerySet[Note]:
    return Note.objects.filter(conversation=conversation).select_related("author").order_by("id")


def _previous(conversation: Conversation, seq: int) -> Message | None:
    return Message.objects.filter(conversation=conversation, seq=seq).first()


def _time_of(conversation: Conversation, seq: int) -> Subquery:
    return Subquery(Message.objects.filter(conversation=conversation, seq=seq).values("at")[:1])


def _arranged(messages: list[Message], notes: list[Note], *, previous: Message | None) -> list[thread.Entry]:
    return thread.arrange(messages, notes, zone=timezone.get_current_timezone(), previous=previous)


def get_file(user: User, pk: UUID) -> Attachment | None:
    """A file of a conversation he may see."""
    seen = messaging.conversations_visible_to(user)
    return Attachment.objects.filter(pk=pk, conversation__in=seen).first()


# The right-hand side


@dataclasses.dataclass(frozen=True, slots=True)
class Reasoning:
    """One decision, ready to read: the terms of its score, and what kept the others from it."""

    decision: Decision
    sentence: str
    terms: list[tuple[Any, ...]]
    others: list[tuple[str, int | None, str]]


@dataclasses.dataclass(frozen=True, slots=True)
class Details:
    contacts: list[ContactPoint]
    is_visitor: bool
    earlier: list[Conversation]
    earlier_count: int
    tags: list[Tag]
    reasonings: list[Reasoning]
    timeline: list[timeline.Line]

    @property
    def earlier_decisions(self) -> int:
        return len(self.reasonings) - 1


def details_of(conversation: Conversation, *, user: User) -> Details:
    customer = conversation.customer
    contacts = list(customer.contact_points.order_by("kind", "id"))
    earlier = messaging.conversations_visible_to(user).filter(customer=customer).exclude(pk=conversation.pk)
    decisions = list(routing.decisions_of(conversation.pk)[:EARLIER_SHOWN])
    events = list(
        Event.objects.filter(stream=stream(conversation.pk))
        .exclude(type__in=["messaging.message.sent", "messaging.answer.given"])
        .order_by("-id")
    )
    shown = events[:TIMELINE_SHOWN][::-1]
    names = _names(shown, decisions)
    return Details(
        contacts=contacts,
        is_visitor=not customer.external_id and not any(point.is_verified for point in contacts),
        earlier=list(earlier.select_related("agent", "disposition").order_by("-id")[:EARLIER_SHOWN]),
        earlier_count=earlier.count(),
        tags=list(conversation.tags.all()),
        reasonings=[_reasoning(decision, names) for decision in decisions],
        timeline=timeline.lines(shown, names),
    )


def _reasoning(decision: Decision, names: timeline.Names) -> Reasoning:
    others = [(names.agents.get(agent, "–"), score, text) for agent, score, text in decision.others]
    terms = [(TERMS.get(name, name), *figures) for name, *figures in decision.terms]
    return Reasoning(decision, why.sentence(decision.terms, decision.others), terms, others)


def _names(events: Iterable[Any], decisions: Iterable[Decision]) -> timeline.Names:
    """Everybody and every queue named in these rows, in four queries."""
    ids: dict[str, set[int]] = defaultdict(set)
    for event in events:
        kind, _colon, number = event.actor.partition(":")
        if kind == "user" and number.isdigit():
            ids["user"].add(int(number))
        # An agent of the floor below is a user; routing numbers its agents itself.
        agents = "user" if event.type.startswith("messaging.") else "agent"
        ids[agents].add(event.payload.get("agent") or 0)
        ids["queue"].update(event.payload.get(name, 0) for name in ("queue", "from_queue", "to_queue"))
        ids["disposition"].add(event.payload.get("disposition") or 0)
    for decision in decisions:
        ids["agent"].update(agent for agent, _score, _text in decision.others)
    return timeline.Names(
        users={row.pk: row.get_short_name() for row in User.objects.filter(pk__in=ids["user"])},
        agents={
            row.pk: row.user.get_short_name()
            for row in Agent.objects.filter(pk__in=ids["agent"]).select_related("user")
        },
        queues=dict(Queue.objects.filter(pk__in=ids["queue"]).values_list("pk", "name")),
        dispositions=dict(Disposition.objects.filter(pk__in=ids["disposition"]).values_list("pk", "name")),
    )


# What the dialogs offer


def dispositions() -> QuerySet[Disposition]:
    return Disposition.objects.filter(is_active=True)


def queues_to_pass_on_to(conversation: Conversation, *, user: User, now: datetime) -> QuerySet[Queue]:
    """Every queue: passing on to another department is what this is for. Those of the own team first.

    `available` counts who could be rung at once, without the one who asks.
    """
    present = (
        Agent.objects.connected(now)
        .filter(user__teams=OuterRef("team"), chosen=Chosen.AVAILABLE, user__is_active=True)
        .filter(is_not_responding=False, load__lte=F("capacity") - OuterRef("units"))
        .exclude(user=user)
    )
    available = present.order_by().values("user__teams").annotate(n=Count("id", distinct=True)).values("n")
    own = Case(When(team=conversation.team_id, then=0), default=1, output_field=IntegerField())
    return (
        Queue.objects.filter(is_active=True)
        .select_related("team")
        .annotate(
            waiting=Count("items", filter=Q(items__state=ItemState.WAITING)),
            available=Coalesce(Subquery(available[:1]), 0),
            nearness=own,
        )
        .order_by("nearness", "name")
    )


def targets(conversation: Conversation, *, user: User, now: datetime) -> list[Any]:
    """The queues of the dialog, each with `is_closed` and `told`: what whoever comes next is told to expect."""
    closed = openings.closed_queues(now=now)
    queues: list[Any] = list(
        waits.with_places(queues_to_pass_on_to(conversation, user=user, now=now), now=now)
    )
    for queue in queues:
        queue.is_closed = queue.pk in closed
        queue.told = None if queue.is_closed else waits.next_estimate(queue)
    return queues


def colleagues_for(conversation: Conversation, *, user: User, now: datetime) -> list[Presence]:
    """Signed-in members of the conversation's team; those with room first."""
    team = Agent.objects.connected(now).filter(user__teams=conversation.team_id, user__is_active=True)
    others = [
        presence.shown(agent, now=now)
        for agent in presence.with_interval(team.exclude(user=user)).order_by("user__name")
    ]
    item = item_of(conversation)
    units = item.queue.units if item else 0
    rung = [
        dataclasses.replace(one, may_be_rung=one.is_available and one.capacity - one.load >= units)
        for one in others
    ]
    return sorted(rung, key=lambda one: not one.may_be_rung)
