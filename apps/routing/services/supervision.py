"""What supervisors do to agents. Rights first: nobody manages people above himself or outside his teams."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.users.models import User
from apps.users.services import people, rights

from ..models import Agent, NotReadyReason
from . import agents, leaving


def pause(agent: Agent, *, reason: NotReadyReason, by: User, now: datetime) -> None:
    """Set him not ready. Raises AgentNotThere, AboveYourRole, NotYourTeam."""
    rights.check_may_manage(agent.user, by=by)
    agents.set_not_ready(agent.pk, reason=reason, now=now, by=by)


def sign_out(agent: Agent, *, by: User, now: datetime) -> None:
    """Force log-out: his work waits again at its old place, and every session and token of his ends."""
    rights.check_may_manage(agent.user, by=by)
    # First nobody may offer him anything, then he is out: two transactions, since users are locked before agents
    # nowhere else. Cut off between them, he is signed out here and the supervisor sees an error.
    leaving.sign_out(agent.pk, reason="signed_out", by=by, now=now)
    people.sign_out_everywhere(agent.user, by=by)


def set_capacity(agent: Agent, *, capacity: int, by: User) -> Agent:
    """How many units he may hold. Raises CapacityTooLow, AboveYourRole, NotYourTeam."""
    rights.check_may_manage(agent.user, by=by)
    return agents.set_capacity(agent.pk, capacity=capacity, by=by)


def start_as_agent(user: User, *, capacity: int, by: User) -> Agent:
    """Make a user an agent before his first sign-in, so that his skills can be set."""
    rights.check_may_manage(user, by=by)
    with transaction.atomic():
        return agents.set_capacity(agents.of(user).pk, capacity=capacity, by=by)
