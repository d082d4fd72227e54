"""The world as the policy sees it: rows turned into plain data, bounded by what could possibly be decided."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from django.db.models import Prefetch
from django.utils.translation import gettext as _

from .. import policy
from ..choices import Chosen
from ..models import Agent, AgentSkill, Item, Need, Queue, Step

# Who declined is not rung again for the same contact before this.
REFUSAL_REST_SECONDS = 15
# Beyond the free places: heads of the line that nobody free may take must not hide the rest.
SPARE_ITEMS = 50


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    now: int
    queues: dict[int, policy.Queue]
    items: list[policy.Item]
    agents: list[policy.Agent]
    rows: dict[int, Item]


def load(*, now: datetime) -> World:
    """Everybody signed in, and of each queue as much of the head of its line as they could take."""
    seconds = int(now.timestamp())
    waiting = Item.objects.waiting().values_list("queue_id", flat=True).distinct()
    queue_ids = list(waiting)
    people = load_agents(now=now) if queue_ids else []
    if not any(agent.is_available and agent.free > 0 for agent in people):
        return World(seconds, {}, [], [], {})
    queues = load_queues(queue_ids)
    most = sum(agent.free for agent in people if agent.is_available) + SPARE_ITEMS
    rows = [row for queue_id in queue_ids for row in _heads(queue_id, most)]
    items = [plain_item(row) for row in rows]
    return World(seconds, queues, items, people, {row.pk: row for row in rows})


def _heads(queue_id: int, most: int) -> list[Item]:
    line = Item.objects.waiting().filter(queue_id=queue_id).order_by("line_key", "id")
    return list(line.select_related("queue", "conversation")[:most])


def plain_item(row: Item) -> policy.Item:
    return policy.Item(
        id=row.pk,
        queue=row.queue_id,
        at=int(row.at.timestamp()),
        credit=row.credit,
        last_agent=row.last_agent_id,
        not_to={int(agent): at for agent, at in row.not_to.items()},
    )


def load_queues(queue_ids: list[int]) -> dict[int, policy.Queue]:
    steps = Prefetch("steps", Step.objects.order_by("after", "id"))
    needs = Prefetch("steps__needs", Need.objects.select_related("skill").order_by("id"))
    return {
        row.pk: plain_queue(row)
        for row in Queue.objects.filter(id__in=queue_ids).prefetch_related(steps, needs)
    }


def plain_queue(row: Queue) -> policy.Queue:
    """A queue without steps takes everybody of its team at once; membership of the team is a need of every step."""
    member = (team_skill(row.team_id), 1)
    steps = tuple(
        policy.Step(
            after=step.after,
            needs=(*((need.skill.name, need.level) for need in step.needs.all()), member),
            if_nobody=step.if_nobody,
        )
        for step in row.steps.all()
    )
    return policy.Queue(
        id=row.pk,
        steps=steps or (policy.Step(after=0, needs=(member,)),),
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
        unavailable=_unavailable(row),
    )


def _unavailable(row: Agent) -> str:
    if row.chosen == Chosen.NOT_READY:
        return _("paused: %(reason)s") % {"reason": row.reason.name if row.reason else "-"}
    return _("not responding") if row.is_not_responding else ""


def team_skill(team_id: int) -> str:
    """Membership of a team as a skill, like `agent:<id>`: a queue belongs to a team, and only members may see its work."""
    return f"team:{team_id}"
