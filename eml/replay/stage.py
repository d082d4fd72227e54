"""What a replay needs in the database: an inbox with its queue, and agents; taken down again afterwards."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils import timezone

from apps.core import threads
from apps.core.events import SYSTEM
from apps.messaging.models import Disposition, Inbox
from apps.routing.choices import Chosen
from apps.routing.models import InboxRoute, Queue
from apps.routing.policy_drafts import PolicyDraft
from apps.routing.services import agents, policies
from apps.users.models import Team, User
from apps.users.services import people, tokens

P = ParamSpec("P")
R = TypeVar("R")
# So long a database may be away.
PATIENCE_SECONDS = 60.0


@dataclasses.dataclass
class Stage:
    inbox: Inbox
    disposition: Disposition
    users: list[User]
    agent_ids: list[int]


def build(*, how_many: int) -> Stage:
    """An own team, queue, inbox and agents, so that nobody else is disturbed."""
    key = secrets.token_hex(4)
    team = Team.objects.create(name=f"Replay {key}")
    settings = {"name": f"Replay {key}", "slug": f"replay-{key}", "team": team, "wrap_up_seconds": 0}
    queue = policies.create(draft=PolicyDraft(settings=settings), by=SYSTEM)
    inbox = Inbox.objects.create(name=f"Replay {key}", slug=f"replay-{key}", team=team)
    InboxRoute.objects.create(inbox=inbox, queue=queue)
    disposition, _ = Disposition.objects.get_or_create(name="Replayed")
    users = [
        people.create(email=f"replay-{key}-{n}@replay.invalid", name=f"Replay {n}", teams=[team], by=SYSTEM)
        for n in range(how_many)
    ]
    return Stage(inbox, disposition, users, [agents.of(user).pk for user in users])


def sign_in(stage: Stage) -> None:
    for user in stage.users:
        agents.choose(user, chosen=Chosen.AVAILABLE, now=timezone.now(), by=user)


def access_token_for(user: User) -> str:
    return tokens.issue(user).access


async def patiently(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Ask the database, and again while it restarts. Only for what may be repeated."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await threads.run(function, *args, **kwargs)
        except (OperationalError, InterfaceError):
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.5)


def take_down(stage: Stage) -> None:
    """Nobody is left signed in, and the inbox takes nobody in any more; the record stays. May be repeated."""
    # What the database forgot while it was away must not be asked.
    close_old_connections()
    for user in stage.users:
        agents.choose(user, chosen=Chosen.SIGNED_OUT, now=timezone.now(), by=user)
        people.deactivate(user, by=SYSTEM)
    Inbox.objects.filter(pk=stage.inbox.pk).update(is_active=False)
    Queue.objects.filter(slug=stage.inbox.slug).update(is_active=False)
