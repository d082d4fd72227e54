"""Who is there, in which state, and since when."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from django.db.models import (
    Prefetch,
    QuerySet,
)

from apps.routing.choices import Chosen, State
from apps.routing.models import Agent, NotReadyReason, PresenceInterval
from apps.users.models import User


@dataclasses.dataclass(frozen=True, slots=True)
class Presence:
    """The state to show, since when, and what is chosen for afterwards."""

    state: State
    reason: str
    since: datetime | None
    chosen: str
    chosen_reason: str
    load: int
    capacity: int
    agent: Agent | None = None
    # Only told where somebody is looked for: has room for the contact in question.
    may_be_rung: bool = False

    @property
    def label(self) -> str:
        return self.reason if self.state == State.NOT_READY and self.reason else str(self.state.label)

    @property
    def is_not_responding(self) -> bool:
        """Also while he talks to others: nothing new is offered to him."""
        return self.agent is not None and self.agent.is_not_responding and self.chosen == Chosen.AVAILABLE

    @property
    def is_available(self) -> bool:
        return self.chosen == Chosen.AVAILABLE and not self.is_not_responding

    def has_room_for(self, units: int) -> bool:
        return self.is_available and self.capacity - self.load >= units

    @property
    def comes_next(self) -> str:
        """What he chose while still at work: "Lunch" after this contact."""
        at_work = self.state in (State.ON_CONTACT, State.OFFERED, State.WRAP_UP)
        return self.chosen_reason if at_work and self.chosen == Chosen.NOT_READY else ""


def presence_of(user: User, *, now: datetime) -> Presence:
    agent = with_interval(Agent.objects.filter(user=user)).first()
    if agent is None:
        return Presence(State.SIGNED_OUT, "", None, Chosen.SIGNED_OUT, "", 0, 0)
    return shown(agent, now=now)


def with_interval(agents: QuerySet[Agent]) -> QuerySet[Agent]:
    current = Prefetch("intervals", PresenceInterval.objects.filter(ended_at=None), to_attr="current")
    return agents.select_related("user", "reason").prefetch_related(current)


def shown(agent: Any, *, now: datetime) -> Presence:
    interval = agent.current[0] if agent.current else None
    state = State(interval.state) if interval else State.SIGNED_OUT
    if agent.chosen != Chosen.SIGNED_OUT and (agent.present_until is None or agent.present_until <= now):
        # The sweep will write it down in a moment.
        state = State.DISCONNECTED
    reason = agent.reason.name if agent.reason else ""
    return Presence(
        state=state,
        reason=interval.reason if interval else "",
        since=interval.started_at if interval else None,
        chosen=agent.chosen,
        chosen_reason=reason,
        load=agent.load,
        capacity=agent.capacity,
        agent=agent,
    )


def not_ready_reasons() -> QuerySet[NotReadyReason]:
    return NotReadyReason.objects.filter(is_active=True)
