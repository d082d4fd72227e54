"""Today's figures, from rows and the event log, scoped to the teams of who asks. A constant number of queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import reduce
from operator import add
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Count,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    IntegerField,
    Min,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, Concat
from django.db.models.lookups import LessThanOrEqual

from apps.core.models import Event
from apps.messaging.choices import CloseReason
from apps.messaging.events import ConversationAssigned, ConversationReleased
from apps.routing import policy, presence_policy
from apps.routing.choices import Chosen, ItemState, State
from apps.routing.events import ItemBack, SnoozeEnded, WorkFinished
from apps.routing.models import Agent, AgentSkill, Item, Need, Offer, Queue, Step
from apps.routing.selectors import agents_visible_to, queues_visible_to
from apps.routing.services import world
from apps.users.models import User

from .days import Day, day_of
from .metrics import SHORT_ABANDON_SECONDS, Handling, Line, Tally

# What of a tally is counted by the database under the same name.
_COUNTED = [
    tally.name for tally in fields(Tally) if tally.name not in ("closed_unanswered", "answered_wait_seconds")
]
IN_LINE = (ItemState.WAITING, ItemState.OFFERED)


@dataclass(frozen=True, slots=True)
class AgentNow:
    """An agent who is not signed out: what he does, and what he can do."""

    state: State
    profile: policy.Agent


@dataclass(frozen=True, slots=True)
class QueueToday:
    """One queue: its line now, today's arrivals, and the agents of any of its steps by state."""

    queue: Queue
    line: Line
    tally: Tally
    agents: dict[str, int]


@dataclass(frozen=True, slots=True)
class Today:
    now: datetime
    day: Day
    line: Line
    tally: Tally
    handling: Handling
    hours: list[Tally]
    queues: list[QueueToday]
    states: list[State] = field(default_factory=list)
    signed_out: int = 0


def today(user: User, *, now: datetime) -> Today:
    """What `user` may see of the day that is today in his time zone.

    Contacts belong to the hour and day in which they entered the line, whenever they were answered: so each bar and
    each row adds up. "Offered to a queue" are those of them that are in that queue now, or were in it last.
    """
    day = day_of(now, ZoneInfo(user.time_zone))
    queues = queues_visible_to(user)
    lines, arrivals = lines_of(queues), _arrivals(queues, day=day, now=now)
    people = agents_now(agents_visible_to(user), now=now)
    rows = _rows(queues, lines=lines, arrivals=arrivals, people=people)
    return Today(
        now=now,
        day=day,
        line=reduce(add, lines.values(), Line()),
        tally=_total(arrivals.values()),
        handling=_handling(queues, day=day),
        hours=[
            _total(tally for (_, at), tally in arrivals.items() if at == hour)
            for hour in range(len(day.hours))
        ],
        queues=rows,
        states=[agent.state for agent in people],
        signed_out=agents_visible_to(user).filter(chosen=Chosen.SIGNED_OUT, user__is_active=True).count(),
    )


def _rows(
    queues: QuerySet[Queue],
    *,
    lines: dict[int, Line],
    arrivals: dict[tuple[int, int], Tally],
    people: list[AgentNow],
) -> list[QueueToday]:
    """A queue that is switched off is listed only as long as something of it is left to tell."""
    of_queue: dict[int, Tally] = {}
    for (queue_id, _), tally in arrivals.items():
        of_queue[queue_id] = of_queue.get(queue_id, Tally()) + tally
    listed = queues.filter(Q(is_active=True) | Q(id__in={*of_queue, *lines})).prefetch_related(*_with_steps())
    return [
        QueueToday(
            queue,
            lines.get(queue.pk, Line()),
            of_queue.get(queue.pk, Tally()),
            _states_for(world.plain_queue(queue), people),
        )
        for queue in listed
    ]


def _with_steps() -> tuple[Prefetch, ...]:
    return (
        Prefetch("steps", Step.objects.order_by("after", "id")),
        Prefetch("steps__needs", Need.objects.select_related("skill").order_by("id")),
    )


def _states_for(queue: policy.Queue, people: list[AgentNow]) -> dict[str, int]:
    able = (agent for agent in people if any(step.accepts(agent.profile) for step in queue.steps))
    return dict(Counter(agent.state for agent in able))


def _total(tallies: Iterable[Tally]) -> Tally:
    return reduce(add, tallies, Tally())


def lines_of(queues: QuerySet[Queue]) -> dict[int, Line]:
    """Who waits now, by queue. One query; a queue in which nobody waits is left out."""
    came_back = (
        Event.objects.filter(
            type__in=[ItemBack.type, SnoozeEnded.type], stream=_stream(OuterRef("conversation_id"))
        )
        .order_by("-id")
        .values("at")[:1]
    )
    waiting = Item.objects.filter(
        state__in=IN_LINE, queue__in=queues.order_by(), conversation__closed_at=None
    )
    is_left = Q(conversation__is_left_message=True)
    rows = (
        waiting.annotate(
            since=Case(When(answered_at=None, then=F("at")), default=Coalesce(Subquery(came_back), F("at")))
        )
        .values("queue_id")
        .annotate(
            waiting=Count("id", filter=~is_left),
            left=Count("id", filter=is_left),
            longest=Min("since", filter=~is_left),
        )
    )
    return {row["queue_id"]: Line(row["waiting"], row["left"], row["longest"]) for row in rows}


def _arrivals(queues: QuerySet[Queue], *, day: Day, now: datetime) -> dict[tuple[int, int], Tally]:
    """Today's tallies by (queue, hour). One query that returns at most queues × 25 rows."""
    hour = Case(
        *(When(at__lt=begin, then=Value(n)) for n, begin in enumerate(day.hours[1:])),
        default=Value(len(day.hours) - 1),
        output_field=IntegerField(),
    )
    # An item is in line since its conversation was opened, and that column has the index.
    came = Item.objects.filter(
        conversation__opened_at__gte=day.start,
        conversation__opened_at__lt=day.end,
        conversation__is_left_message=False,
        queue__in=queues.order_by(),
    )
    rows = came.annotate(hour=hour).values("queue_id", "hour").annotate(**_counts(now))
    return {(row["queue_id"], row["hour"]): _tally(row) for row in rows}


def _counts(now: datetime) -> dict[str, Count | Sum]:
    target = ExpressionWrapper(
        Cast("queue__service_target_seconds", IntegerField()) * Value(timedelta(seconds=1)),
        output_field=DurationField(),
    )
    is_open = Q(answered_at=None, conversation__closed_at=None)
    has_left = Q(
        answered_at=None,
        conversation__close_reason__in=[CloseReason.ABANDONED, CloseReason.ENDED_BY_CUSTOMER],
    )
    waited, stayed = F("answered_at") - F("at"), F("conversation__closed_at") - F("at")
    so_far = ExpressionWrapper(Value(now) - F("at"), output_field=DurationField())
    return {
        "offered": Count("id"),
        "answered": Count("answered_at"),
        "answered_in_time": Count("id", filter=_within(waited, target) & Q(answered_at__isnull=False)),
        "abandoned": Count("id", filter=has_left),
        "abandoned_in_time": Count("id", filter=has_left & _within(stayed, target)),
        "abandoned_short": Count(
            "id", filter=has_left & _within(stayed, Value(timedelta(seconds=SHORT_ABANDON_SECONDS)))
        ),
        "waiting": Count("id", filter=is_open),
        "overdue": Count("id", filter=is_open & ~_within(so_far, target)),
        "answered_wait": Sum(ExpressionWrapper(waited, output_field=DurationField())),
    }


def _within(duration: Any, limit: Any) -> Q:
    return Q(LessThanOrEqual(ExpressionWrapper(duration, output_field=DurationField()), limit))


def _tally(row: Mapping[str, Any]) -> Tally:
    wait = row["answered_wait"]
    done = row["answered"] + row["abandoned"] + row["waiting"]
    return Tally(
        **{name: row[name] for name in _COUNTED},
        closed_unanswered=row["offered"] - done,
        answered_wait_seconds=wait.total_seconds() if wait else 0,
    )


def agents_now(agents: QuerySet[Agent], *, now: datetime) -> list[AgentNow]:
    """Everybody not signed out: state, skills and teams. Three queries."""
    rows = _at_work(agents).prefetch_related(
        Prefetch("levels", AgentSkill.objects.select_related("skill")), Prefetch("user__teams")
    )
    return [AgentNow(_state(row, now=now), world.plain_agent(row)) for row in rows]


def states_now(agents: QuerySet[Agent], *, now: datetime) -> list[State]:
    """The states alone. One query."""
    return [_state(row, now=now) for row in _at_work(agents)]


def _at_work(agents: QuerySet[Agent]) -> QuerySet[Agent]:
    held = Item.objects.filter(agent=OuterRef("pk"))
    return (
        Agent.objects.filter(id__in=agents.order_by().values("id"), user__is_active=True)
        .exclude(chosen=Chosen.SIGNED_OUT)
        .annotate(
            has_contact=Exists(held.filter(state=ItemState.ACTIVE)),
            wraps_up=Exists(held.filter(state=ItemState.WRAP_UP)),
            is_rung=Exists(Offer.objects.live().filter(agent=OuterRef("pk"))),
        )
        .select_related("reason", "user")
    )


def _state(row: Any, *, now: datetime) -> State:
    """Of a row of `_at_work`, from the three axes at this moment: true even while nobody sweeps ended leases."""
    return presence_policy.displayed(
        chosen=row.chosen,
        is_connected=row.present_until is not None and row.present_until > now,
        is_not_responding=row.is_not_responding,
        active=int(row.has_contact),
        offered=int(row.is_rung),
        wrapping_up=int(row.wraps_up),
    )


def _handling(queues: QuerySet[Queue], *, day: Day) -> Handling:
    """Time in agents' hands, from the log. One query.

    An agent has a contact from its assignment until it is released (passed on, taken away) or its work is finished
    (after the wrap-up). So the sum of all ends minus the sum of all beginnings is the time, however often it changed
    hands; each moment is counted from the day's start to keep the sums small.
    """
    item = Item.objects.filter(
        pk=Cast(KeyTextTransform("item", OuterRef("payload")), BigIntegerField()), queue__in=queues.order_by()
    )
    finished = (
        Event.objects.filter(Exists(item), type=WorkFinished.type, at__gte=day.start, at__lt=day.end)
        # A line that became one shorter without an agent is no handled contact.
        .exclude(payload__agent=None)
    )
    ends = [ConversationReleased.type, WorkFinished.type]
    moment = ExpressionWrapper(F("at") - Value(day.start), output_field=DurationField())
    sums = Event.objects.filter(
        stream__in=finished.values("stream"), type__in=[ConversationAssigned.type, *ends]
    ).aggregate(
        handled=Count("id", filter=Q(type=WorkFinished.type)),
        ended=Sum(moment, filter=Q(type__in=ends)),
        begun=Sum(moment, filter=Q(type=ConversationAssigned.type)),
    )
    if not sums["handled"]:
        return Handling()
    return Handling(sums["handled"], (sums["ended"] - (sums["begun"] or timedelta())).total_seconds())


def _stream(conversation_id: Any) -> Concat:
    return Concat(Value("conversation:"), Cast(conversation_id, CharField()), output_field=CharField())
