"""The world as the policy sees it: rows turned into plain data, bounded by what could possibly be decided."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db.models import Prefetch

from .. import openings, policy
from ..choices import Chosen
from ..models import Agent, AgentSkill, Item, Need, Queue, Step

# Who declined is not rung again for the same contact before this.
REFUSAL_REST_SECONDS = 15
# So many refused items of a lane are looked at beyond what could be taken.
SPARE_ITEMS = 50


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    now: int
    queues: dict[int, policy.Queue]
    items: list[policy.Item]
    agents: list[policy.Agent]
    rows: dict[int, Item]


def load(*, now: datetime) -> World:
    """Everybody signed in, and of each line as much of its head as they could take."""
    seconds = int(now.timestamp())
    lanes = list(Item.objects.waiting().order_by().values_list("queue_id", "credit").distinct())
    if lanes and (closed := openings.closed_queues(now=now)):
        lanes = [lane for lane in lanes if lane[0] not in closed]
    people = load_agents(now=now) if lanes else []
    queues = load_queues({queue_id for queue_id, _ in lanes}) if people else {}
    room = {number: _places(queue, people) for number, queue in queues.items()}
    rows = {
        row.pk: row
        for queue_id, credit in lanes
        if room.get(queue_id)
        for row in _head(
            queue_id, credit, room[queue_id], sticky=bool(queues[queue_id].w_last), people=people
        )
    }
    items = [plain_item(row) for row in rows.values()]
    return World(seconds, {item.queue: queues[item.queue] for item in items}, items, people, rows)


def _places(queue: policy.Queue, people: list[policy.Agent]) -> int:
    """How many of its items could be taken at once by those who might ever take one."""
    return sum(
        agent.free // queue.units
        for agent in people
        if agent.is_available and any(step.accepts(agent) for step in queue.steps)
    )


def _head(
    queue_id: int, credit: int, most: int, *, sticky: bool, people: list[policy.Agent]
) -> Iterable[Item]:
    """The oldest of one lane (a queue's items of equal credit).

    They age alike, so whoever may take one may take every older one: those behind the first `most` cannot matter,
    unless older ones were refused, or younger ones have the bonus of the last agent. Those are fetched apart.
    """
    lane = (
        Item.objects.waiting()
        .filter(queue_id=queue_id, credit=credit)
        .select_related("queue")
        .order_by("at", "id")
    )
    yield from lane.filter(not_to={})[:most]
    yield from lane.exclude(not_to={})[: most + SPARE_ITEMS]
    if sticky:
        yield from lane.filter(last_agent__in=[agent.id for agent in people if agent.is_available])[:most]


def plain_item(row: Item) -> policy.Item:
    return policy.Item(
        id=row.pk,
        queue=row.queue_id,
        at=int(row.at.timestamp()),
        credit=row.credit,
        last_agent=row.last_agent_id,
        not_to=refusals(row.not_to),
    )


def refusals(not_to: Mapping[str, list]) -> dict[int, policy.Refusal]:
    """As an item keeps them."""
    return {int(agent): policy.Refusal(*parted) for agent, parted in not_to.items()}


def load_queues(queue_ids: Iterable[int]) -> dict[int, policy.Queue]:
    steps = Prefetch("steps", Step.objects.order_by("after", "id"))
    needs = Prefetch("steps__needs", Need.objects.select_related("skill").order_by("id"))
    rows = Queue.objects.filter(id__in=list(queue_ids)).prefetch_related(steps, needs)
    return {row.pk: plain_queue(row) for row in rows}


def plain_queue(row: Queue) -> policy.Queue:
    """A queue without steps takes everybody of its team at once; membership of the team is a need of every step."""
    steps = tuple(
        policy.Step(
            after=step.after,
            needs=(
                *((need.key, need.level) for need in step.needs.all()),
                (team_skill(row.team_id), 1),
            ),
            if_nobody=step.if_nobody,
        )
        for step in row.steps.all()
    )
    return policy.Queue(
        id=row.pk,
        steps=steps or (policy.Step(after=0, needs=((team_skill(row.team_id), 1),)),),
        rate=row.rate,
        w_fit=row.w_fit,
        w_idle=row.w_idle,
        w_last=row.w_last,
        units=row.units,
        version=row.version,
        name=row.name,
    )


def load_agents(*, now: datetime) -> list[policy.Agent]:
    """Everybody connected, with skills and room. Three queries."""
    connected = (
        Agent.objects.connected(now)
        .filter(user__is_active=True)
        .select_related("reason", "user")
        .prefetch_related(
            Prefetch("levels", AgentSkill.objects.select_related("skill")),
            Prefetch("user__teams"),
        )
        .order_by("id")
    )
    return [plain_agent(row) for row in connected]


def plain_agent(row: Agent) -> policy.Agent:
    skills = {level.skill.name: level.level for level in row.levels.all()}
    return policy.Agent(
        id=row.pk,
        skills=skills | {team_skill(team.pk): 1 for team in row.user.teams.all()},
        free=max(row.capacity - row.load, 0),
        free_since=int(row.free_since.timestamp()),
        capacity=row.capacity,
        unavailable=unavailable(
            row.chosen, row.reason.name if row.reason else None, is_not_responding=row.is_not_responding
        ),
    )


def unavailable(chosen: str, reason: str | None, *, is_not_responding: bool) -> str:
    """Stored with the decision, so it is said in English and translated when it is shown."""
    if chosen == Chosen.NOT_READY:
        return f"paused: {reason}" if reason else "paused"
    return "not responding" if is_not_responding else ""


def team_skill(team_id: int) -> str:
    """Membership of a team as a skill, like `agent:<id>`: only members may see the work of its queues."""
    return f"team:{team_id}"
