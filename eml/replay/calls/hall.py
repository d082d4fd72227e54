"""What a call replay needs in the database: a queue, an inbox and a skill for each kind of call, and agents."""

from __future__ import annotations

import dataclasses
import math
import secrets
import uuid
from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from apps.core.events import SYSTEM
from apps.messaging.models import Disposition, Inbox
from apps.messaging.services import conversations, visitors
from apps.routing.choices import Chosen
from apps.routing.models import AgentSkill, InboxRoute, Queue, Skill
from apps.routing.policy_drafts import LevelDraft, PolicyDraft, StepDraft
from apps.routing.services import agents, policies, queueing
from apps.users.models import Customer, Team, User
from apps.users.services import people

from .log import LONGEST_GAP_SECONDS
from .plan import Shift

CREDIT_SECONDS = 90
CREDITED = "credited"
# A call takes an agent whole.
CALL_UNITS = 12


@dataclasses.dataclass(frozen=True)
class Lane:
    """Where calls of one kind come in; `credited_token` opens chats of a customer with a head start."""

    queue: Queue
    inbox: Inbox
    credited_token: str


@dataclasses.dataclass
class Hall:
    lanes: dict[str, Lane]
    users: dict[str, User]
    agent_ids: dict[str, int]
    disposition: Disposition


def build(kinds: Iterable[str], shifts: Iterable[Shift], *, speed: float) -> Hall:
    """An own team, so that nobody else is disturbed. Times of the policy are those of the log, made `speed` shorter."""
    key = secrets.token_hex(4)
    with transaction.atomic():
        team = Team.objects.create(name=f"Calls {key}")
        lanes = {kind: _lane(kind, key=key, team=team, speed=speed) for kind in kinds}
        users = {shift.agent: _agent(shift, key=key, team=team) for shift in shifts}
        disposition, _ = Disposition.objects.get_or_create(name="Replayed")
    ids = {name: agents.of(user).pk for name, user in users.items()}
    return Hall(lanes, users, ids, disposition)


def _lane(kind: str, *, key: str, team: Team, speed: float) -> Lane:
    name = _name(kind, key)
    Skill.objects.create(name=name, description="Replayed calls")
    draft = PolicyDraft(
        (StepDraft(0, ((name, 1),)),),
        (LevelDraft(CREDITED, round(CREDIT_SECONDS / speed)),),
        {
            "name": f"Replay {kind} {key}",
            "slug": name,
            "team": team,
            "units": CALL_UNITS,
            # Agents end it by hand; the timer must not be quicker.
            "wrap_up_seconds": min(3600, math.ceil(LONGEST_GAP_SECONDS / speed) + 60),
        },
    )
    queue = policies.create(draft=draft, by=SYSTEM)
    inbox = Inbox.objects.create(name=f"Replay {kind} {key}", slug=name, team=team)
    InboxRoute.objects.create(inbox=inbox, queue=queue)
    return Lane(queue, inbox, _credited_token(inbox))


def _name(kind: str, key: str) -> str:
    """Of a queue, its inbox and its skill."""
    return f"replay-{key}-{slugify(kind)[:30] or 'other'}"


def _credited_token(inbox: Inbox) -> str:
    """Head starts belong to customers, and a visitor is known by an earlier chat: here is one, over at once."""
    now = timezone.now()
    claims = visitors.Claims(name="Credited")
    conversation, token = visitors.open_chat(inbox, claims=claims, body="–", start_key=uuid.uuid4(), now=now)
    conversations.close(conversation.pk, by=SYSTEM, now=now)
    customer = Customer.objects.filter(pk=conversation.customer_id)
    customer.update(attributes={queueing.PRIORITY: CREDITED})
    return token


def _agent(shift: Shift, *, key: str, team: Team) -> User:
    email = f"replay-{key}-{slugify(shift.agent)[:30]}@replay.invalid"
    user = people.create(email=email, name=f"Replay {shift.agent}", teams=[team], by=SYSTEM)
    agent = agents.of(user)
    for kind in sorted(shift.queues):
        AgentSkill.objects.create(agent=agent, skill=Skill.objects.get(name=_name(kind, key)), level=3)
    return user


def take_down(hall: Hall) -> None:
    """Nobody is left signed in, nothing comes in any more, the skills are gone; the record stays. May be repeated."""
    for user in hall.users.values():
        agents.choose(user, chosen=Chosen.SIGNED_OUT, now=timezone.now(), by=user)
        people.deactivate(user, by=SYSTEM)
    for lane in hall.lanes.values():
        Inbox.objects.filter(pk=lane.inbox.pk).update(is_active=False)
        InboxRoute.objects.filter(queue=lane.queue).delete()
        policies.save(lane.queue, draft=PolicyDraft(settings={"is_active": False}), by=SYSTEM)
        Skill.objects.filter(name=lane.queue.slug).delete()
