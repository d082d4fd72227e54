"""A call center for benchmarks: agents with 3 of 20 skills, 20 queues, and as many waiting as wanted."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import timedelta

SKILLS = 20
FAR = timedelta(hours=6)


def make_place() -> int:
    """Twenty queues of one team, one for each skill; the id of the team."""
    from apps.messaging.models import Inbox
    from apps.routing.models import Need, Queue, Skill, Step
    from apps.users.models import Customer, Team

    team = Team.objects.create(name="Bench")
    Inbox.objects.create(name="Bench", slug="bench", team=team)
    Customer.objects.create(name="Customer")
    for number in range(SKILLS):
        skill = Skill.objects.create(name=f"skill-{number}")
        queue = Queue.objects.create(
            name=f"Queue {number}", slug=f"queue-{number}", team=team, wrap_up_seconds=0, offer_seconds=300
        )
        Need.objects.create(step=Step.objects.create(queue=queue, after=0), skill=skill, level=1)
    return team.pk


def make_agents(how_many: int, *, team: int, capacity: int = 12, seed: int = 27) -> list[int]:
    """Signed in and connected for hours; ids of the agents."""
    from django.contrib.auth.models import Group
    from django.utils import timezone

    from apps.routing.choices import Chosen
    from apps.routing.models import Agent, AgentSkill, PresenceInterval, Skill
    from apps.users.models import User

    dice, now, first = random.Random(seed), timezone.now(), User.objects.count()
    users = User.objects.bulk_create(
        User(email=f"agent-{first + n}@bench.invalid", name=f"Agent {first + n}") for n in range(how_many)
    )
    User.teams.through.objects.bulk_create(User.teams.through(user=user, team_id=team) for user in users)
    group = Group.objects.get(name="agent")
    User.groups.through.objects.bulk_create(User.groups.through(user=user, group=group) for user in users)
    agents = Agent.objects.bulk_create(
        Agent(
            user=user,
            capacity=capacity,
            chosen=Chosen.AVAILABLE,
            present_until=now + FAR,
            free_since=now - timedelta(seconds=dice.randrange(600)),
        )
        for user in users
    )
    skills = list(Skill.objects.order_by("id"))
    AgentSkill.objects.bulk_create(
        AgentSkill(agent=agent, skill=skill, level=dice.randint(1, 5))
        for agent in agents
        for skill in dice.sample(skills, 3)
    )
    PresenceInterval.objects.bulk_create(
        PresenceInterval(agent=agent, state="available", started_at=now) for agent in agents
    )
    return [agent.pk for agent in agents]


def put_in_line(how_many: int, *, team: int, seed: int = 1999) -> None:
    """They have waited for up to an hour."""
    from django.utils import timezone

    from apps.messaging.models import Conversation, Inbox
    from apps.routing.models import Item, Queue
    from apps.users.models import Customer

    dice, now = random.Random(seed), timezone.now()
    inbox, customer = Inbox.objects.get(), Customer.objects.get()
    queues = list(Queue.objects.order_by("id").values_list("id", flat=True))
    for begin in range(0, how_many, 10_000):
        number = min(10_000, how_many - begin)
        talks = Conversation.objects.bulk_create(
            Conversation(
                inbox=inbox,
                customer=customer,
                team_id=team,
                opened_at=now - timedelta(seconds=dice.randrange(3600)),
            )
            for _ in range(number)
        )
        Item.objects.bulk_create(
            Item(
                conversation=talk,
                queue_id=dice.choice(queues),
                at=talk.opened_at,
                line_key=int(talk.opened_at.timestamp()),
            )
            for talk in talks
        )


def rung(agents: Iterable[int]) -> list[tuple[int, int]]:
    """Offers that ring at these agents, with the agent. Desks are told by a frame, so asking must not cost much."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, agent_id FROM routing_offer WHERE state = 'offered' AND agent_id = ANY(%s)",
            [list(agents)],
        )
        return cursor.fetchall()


def finish(agents: Iterable[int]) -> None:
    """What these agents have in hand is done: they are free again, and the router is rung. In bulk."""
    from django.db import connection, transaction

    from apps.routing.services import bell

    ids = list(agents)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT id FROM routing_agent WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [ids])
        cursor.execute(
            "UPDATE routing_item SET state = 'done', units = 0, epoch = epoch + 1"
            " WHERE agent_id = ANY(%s) AND state = 'active' RETURNING conversation_id, agent_id",
            [ids],
        )
        rows = cursor.fetchall()
        cursor.execute(
            "UPDATE messaging_conversation SET status = 'closed', closed_at = now() WHERE id = ANY(%s)",
            [[talk for talk, _ in rows]],
        )
        cursor.execute(
            "UPDATE routing_agent a SET free_since = now(), load = coalesce("
            " (SELECT sum(o.units) FROM routing_offer o WHERE o.agent_id = a.id AND o.state = 'offered'), 0)"
            " WHERE a.id = ANY(%s)",
            [sorted({agent for _, agent in rows})],
        )
    if rows:
        bell.ring(agents=sorted({agent for _, agent in rows}))


def empty() -> None:
    """Nobody waits and nobody works."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE routing_item, messaging_conversation, routing_agent, core_event CASCADE")
