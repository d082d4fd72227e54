"""Questions about the line and the people, scoped to who asks."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from datetime import date, datetime, tzinfo
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, F, IntegerField, Min, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now

from apps.core.among import array
from apps.users.choices import Role
from apps.users.models import User

from . import presence_policy, working_time
from .choices import Chosen, ItemState, OfferState, State
from .models import (
    Agent,
    AgentSkill,
    Callback,
    Decision,
    Item,
    ItemQuerySet,
    Offer,
    PolicyVersion,
    PresenceInterval,
    Queue,
    Skill,
)
from .policy_starts import Crew
from .working_time import Interval, WorkingTime

# Whoever is further behind learns his place when his page asks again.
NEXT_TOLD = 20


# Queues


def queues_visible_to(user: User) -> QuerySet[Queue]:
    if user.has_role(Role.ADMIN):
        return Queue.objects.all()
    if not user.has_role(Role.AGENT):
        return Queue.objects.none()
    return Queue.objects.filter(team_id__in=user.teams.values("id"))


def with_line(queues: QuerySet[Queue], *, now: datetime) -> QuerySet[Queue]:
    """Adds `waiting`, `waiting_since` (of whoever is in line longest), `agents_signed_in` and `agents_available`."""
    return queues.annotate(
        waiting=_of_line(Count("id")),
        waiting_since=Subquery(_line_of_queue().values("queue").annotate(value=Min("at")).values("value")),
        agents_signed_in=_of_team(now),
        agents_available=_of_team(now, chosen=Chosen.AVAILABLE, is_not_responding=False),
    )


def _line_of_queue() -> QuerySet[Item]:
    return Item.objects.in_line().filter(queue=OuterRef("pk")).order_by()


def _of_line(figure: Count) -> Coalesce:
    return Coalesce(Subquery(_line_of_queue().values("queue").annotate(value=figure).values("value")), 0)


def _of_team(now: datetime, **states: object) -> Coalesce:
    here = Agent.objects.connected(now).filter(user__is_active=True, user__teams=OuterRef("team"), **states)
    figures = here.order_by().values("user__teams").annotate(value=Count("id", distinct=True)).values("value")
    return Coalesce(Subquery(figures, output_field=IntegerField()), 0)


def with_policy(queues: QuerySet[Queue]) -> QuerySet[Queue]:
    """Ready to show steps, needs and levels: three queries, however many queues."""
    return queues.prefetch_related("steps__needs__skill", "steps__needs__agent__user", "levels")


def queues_to_pass_on_to() -> QuerySet[Queue]:
    """All that take something: passing on to another department is what a transfer is for."""
    return Queue.objects.filter(is_active=True).select_related("team")


def crew_of(user: User) -> Crew:
    """What a ready-made policy may ask for: the skills most agents have, and somebody of this user's teams."""
    skills = Skill.objects.annotate(agent_count=Count("agents")).order_by("-agent_count", "name")
    first = agents_to_keep_for(user).values_list("pk", flat=True).first()
    return Crew(list(skills.values_list("name", flat=True)[:2]), first)


def agents_to_keep_for(user: User) -> QuerySet[Agent]:
    """Whom this supervisor may name in a policy."""
    rows = agents_visible_to(user).filter(user__is_active=True)
    return rows.select_related("user").order_by("user__name", "pk")


def versions_visible_to(user: User) -> QuerySet[PolicyVersion]:
    return _with_the_one_before().filter(queue__in=queues_visible_to(user).values("pk"))


def versions_of(queue: Queue) -> QuerySet[PolicyVersion]:
    return _with_the_one_before().filter(queue=queue).order_by("-number")


def _with_the_one_before() -> QuerySet[PolicyVersion]:
    """Adds `policy_before`, None where that is not known."""
    earlier = PolicyVersion.objects.filter(queue=OuterRef("queue"), number=OuterRef("number") - 1)
    rows = PolicyVersion.objects.annotate(policy_before=Subquery(earlier.values("policy")[:1]))
    return rows.select_related("queue", "by")


def versions_named_by(decisions: Iterable[Decision]) -> dict[int, int]:
    """Decision → the id of the policy version it used, where that is known; one query for all of them."""
    wanted = {decision.pk: (decision.queue_id, decision.policy) for decision in decisions}
    rows = PolicyVersion.objects.filter(
        queue__in={queue for queue, _ in wanted.values()},
        number__in={number for _, number in wanted.values()},
    )
    ids = {(queue, number): pk for pk, queue, number in rows.values_list("pk", "queue", "number")}
    return {pk: ids[key] for pk, key in wanted.items() if key in ids}


# The line


def position(item: Item) -> int | None:
    """1 for the next one; None when it does not wait in line (any more)."""
    if item.state not in (ItemState.WAITING, ItemState.OFFERED):
        return None
    before = Q(line_key__lt=item.line_key) | Q(line_key=item.line_key, id__lt=item.pk)
    return Item.objects.in_line().filter(before, queue_id=item.queue_id).count() + 1


def next_in_lines(queue_ids: Collection[int]) -> list[int]:
    """The conversations at the heads of these queues' lines."""
    if connection.vendor != "postgresql":
        line = Item.objects.waiting().order_by("line_key", "id").values_list("conversation_id", flat=True)
        return [pk for queue_id in queue_ids for pk in line.filter(queue=queue_id)[:NEXT_TOLD]]
    # Asked after each commit of acceptances; as a union of twenty queries it took as long to write as to answer.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT line.conversation_id FROM unnest(%s::bigint[]) AS queue (id), LATERAL ("
            "SELECT conversation_id FROM routing_item WHERE queue_id = queue.id AND state = %s"
            " ORDER BY line_key, id LIMIT %s) AS line",
            [array(queue_ids), ItemState.WAITING, NEXT_TOLD],
        )
        return [pk for (pk,) in cursor.fetchall()]


def all_at_the_screen(queue_id: int) -> list[int]:
    """The conversations in a queue's line whose customers look on; not those who left a message."""
    line = Item.objects.in_line().filter(queue=queue_id, conversation__is_left_message=False)
    return list(line.order_by("line_key", "id").values_list("conversation_id", flat=True))


def lines_of(agent_id: int) -> list[int]:
    """The queues of his teams in which somebody waits."""
    waiting = Exists(Item.objects.waiting().filter(queue=OuterRef("pk")))
    mine = Queue.objects.filter(waiting, team__members__agent=agent_id)
    return list(mine.order_by("id").values_list("id", flat=True))


def items_visible_to(user: User) -> ItemQuerySet:
    """What waits, rings or is worked on in the teams of this user; administrators see all."""
    items = Item.objects.exclude(state=ItemState.DONE)
    if user.has_role(Role.ADMIN):
        return items
    if not user.has_role(Role.AGENT):
        return items.none()
    return items.filter(conversation__team__in=user.teams.values("id"))


# People


def agents_visible_to(user: User) -> QuerySet[Agent]:
    """Oneself; supervisors also the members of their teams; administrators all."""
    if user.has_role(Role.ADMIN):
        return Agent.objects.all()
    if not user.has_role(Role.SUPERVISOR):
        return Agent.objects.filter(user=user)
    members = User.teams.through.objects.filter(team__in=user.teams.values("id")).values("user_id")
    return Agent.objects.filter(Q(user=user) | Q(user__in=members))


def with_presence(agents: QuerySet[Agent]) -> QuerySet[Agent]:
    """Ready for `presence_of`: what each has in hand, and since when he is in his state, in a constant number of
    queries."""
    current = Prefetch("intervals", PresenceInterval.objects.filter(ended_at=None), to_attr="current")
    skills = Prefetch("levels", AgentSkill.objects.select_related("skill").order_by("skill__name"))
    return (
        agents.select_related("user", "reason")
        .prefetch_related(current, skills, "user__teams")
        .annotate(
            active=_held_in(ItemState.ACTIVE),
            wrapping_up=_held_in(ItemState.WRAP_UP),
            offered=_live_offers(),
            # The leases were written by the database's clock: they are compared with it.
            seen_at=Now(),
        )
    )


def _held_in(state: ItemState) -> Coalesce:
    held = Item.objects.filter(agent=OuterRef("pk"), state=state).order_by().values("agent")
    return Coalesce(Subquery(held.annotate(value=Count("id")).values("value")), 0)


def _live_offers() -> Coalesce:
    live = Offer.objects.filter(agent=OuterRef("pk"), state=OfferState.OFFERED).order_by().values("agent")
    return Coalesce(Subquery(live.annotate(value=Count("id")).values("value")), 0)


@dataclasses.dataclass(frozen=True, slots=True)
class Presence:
    """What is displayed of an agent: the state, its reason, and since when (None: never signed in)."""

    state: State
    reason: str
    since: datetime | None


def presence_of(agent: Any) -> Presence:
    """Of an agent from `with_presence`, as it was then, also when the sweep has not yet seen a lost connection."""
    state = presence_policy.displayed(
        chosen=agent.chosen,
        is_connected=agent.present_until is not None and agent.present_until > agent.seen_at,
        is_not_responding=agent.is_not_responding,
        active=agent.active,
        offered=agent.offered,
        wrapping_up=agent.wrapping_up,
    )
    reason = agent.reason.name if agent.reason and state == State.NOT_READY else ""
    interval = next(iter(agent.current), None)
    since = interval.started_at if interval and interval.state == state else agent.present_until
    return Presence(state, reason, since)


@dataclasses.dataclass(frozen=True, slots=True)
class AgentDay:
    """What an agent did from midnight to midnight of somebody's zone, or until now."""

    date: date
    intervals: list[Interval]
    time: WorkingTime


def day_of(agent_id: int | None, *, day: date, zone: tzinfo, now: datetime) -> AgentDay:
    """Two queries, however long he has been here. Nothing is known of the future, and of whoever is no agent."""
    start, end = working_time.midnights(day, zone)
    end = min(end, now)
    rows = PresenceInterval.objects.filter(agent=agent_id).order_by("started_at")
    # Intervals meet without a gap: of those that began earlier only the last one can reach into the day.
    before = rows.filter(started_at__lte=start).values_list("started_at", flat=True).last() or start
    seen = rows.filter(started_at__gte=before, started_at__lt=end)
    fields = seen.values_list("state", "reason", "started_at", "ended_at")
    intervals = [
        Interval(state, reason, max(since, start), min(until or end, end))
        for state, reason, since, until in fields
        if (until or end) > start
    ]
    return AgentDay(day, intervals, working_time.total(intervals, start=start, end=end))


def with_work(agents: QuerySet[Agent]) -> QuerySet[Agent]:
    """Adds `held` (active work and wrap-ups) and `ringing` (live offers) of each, in two queries."""
    held = Item.objects.held().select_related("conversation__customer").order_by("id")
    ringing = Offer.objects.live().select_related("item__conversation__customer").order_by("id")
    return agents.prefetch_related(
        Prefetch("items", held, to_attr="held"), Prefetch("offers", ringing, to_attr="ringing")
    )


def with_place(items: QuerySet[Item]) -> QuerySet[Item]:
    """Adds `place` in the line of each one's queue, and `refusals` (the offers that were not accepted)."""
    ahead = Item.objects.in_line().filter(queue=OuterRef("queue")).order_by()
    ahead = ahead.filter(
        Q(line_key__lt=OuterRef("line_key")) | Q(line_key=OuterRef("line_key"), id__lt=OuterRef("pk"))
    )
    place = Coalesce(Subquery(ahead.values("queue").annotate(value=Count("id")).values("value")), 0) + 1
    refused = Offer.objects.filter(state__in=[OfferState.DECLINED, OfferState.LAPSED])
    refusals = Prefetch("offers", refused.select_related("agent__user").order_by("id"), to_attr="refusals")
    return items.annotate(place=place).prefetch_related(refusals)


def agents_to_hand_to(user: User, *, now: datetime) -> QuerySet[Agent]:
    """Whom this supervisor may give work to: the signed-in agents of his teams, those with most room first."""
    here = Agent.objects.connected(now).filter(
        user__is_active=True, pk__in=agents_visible_to(user).values("pk")
    )
    return here.select_related("user", "reason").order_by(F("load") - F("capacity"), "user__name")


def colleagues_of(user: User) -> QuerySet[User]:
    """Whom work can be given to: active members of one's teams (administrators: everybody active)."""
    active = User.objects.filter(is_active=True)
    if user.has_role(Role.ADMIN):
        return active
    members = User.teams.through.objects.filter(team__in=user.teams.values("id")).values("user_id")
    return active.filter(pk__in=members)


# Offers and decisions


def live_offers_of(user: User) -> QuerySet[Offer]:
    related = ("item__queue", "item__conversation__customer", "item__conversation__inbox", "decision")
    live = Offer.objects.live().filter(agent__user=user).select_related(*related)
    return live.prefetch_related(open_callbacks("item__conversation__")).order_by("offered_at")


def offer_with_names(offer_id: int) -> Offer:
    related = ("item__queue", "item__conversation__customer", "decision")
    offers = Offer.objects.select_related(*related)
    return offers.prefetch_related(open_callbacks("item__conversation__")).get(pk=offer_id)


def open_callbacks(way_there: str = "") -> Prefetch:
    """For `callback_of`, from conversations or whatever leads to them."""
    return Prefetch(f"{way_there}callbacks", Callback.objects.open(), to_attr="open_callbacks")


def callback_of(conversation: Any) -> Callback | None:
    """How the customer of a conversation with `open_callbacks` wants to be reached."""
    return next(iter(conversation.open_callbacks), None)


def open_callback(conversation_id: int) -> Callback | None:
    return Callback.objects.open().filter(conversation=conversation_id).first()


def callbacks_visible_to(user: User) -> QuerySet[Callback]:
    callbacks = Callback.objects.select_related("conversation__customer", "conversation__item__queue")
    if user.has_role(Role.ADMIN):
        return callbacks
    if not user.has_role(Role.AGENT):
        return callbacks.none()
    return callbacks.filter(conversation__team__in=user.teams.values("id"))


def decisions_of(conversation_id: int) -> QuerySet[Decision]:
    rows = Decision.objects.filter(item__conversation_id=conversation_id)
    return rows.select_related("agent__user", "queue", "offer").order_by("-id")


def decisions_visible_to(user: User) -> QuerySet[Decision]:
    if user.has_role(Role.ADMIN):
        return Decision.objects.all()
    if not user.has_role(Role.AGENT):
        return Decision.objects.none()
    return Decision.objects.filter(item__conversation__team__in=user.teams.values("id"))


@dataclasses.dataclass(frozen=True, slots=True)
class Other:
    """Somebody who was not chosen, and why. A score only if he could have had it."""

    agent: int
    agent_name: str
    score: int | None
    reason: str


def others_of(decisions: Iterable[Decision]) -> dict[int, list[Other]]:
    """The reasons of everybody else, with names, for each decision (its id → others); one query for all of them."""
    decisions = list(decisions)
    ids = {agent for decision in decisions for agent, _score, _reason in decision.others}
    names = {row.pk: str(row) for row in Agent.objects.filter(id__in=ids).select_related("user")}
    return {
        decision.pk: [
            Other(agent, names.get(agent, "–"), score, text) for agent, score, text in decision.others
        ]
        for decision in decisions
    }


def outcome_of(decision: Decision) -> str:
    """What became of it, in words; the offer may have been made to somebody who was gone at once."""
    offer = getattr(decision, "offer", None)
    return str(offer.get_state_display()) if offer else "–"
