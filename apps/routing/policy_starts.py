"""Ready-made policies to begin a queue with: each is a draft to be looked at, changed and saved. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from .policy_drafts import LevelDraft, Needs, PolicyDraft, StepDraft, person


@dataclass(frozen=True, slots=True)
class Crew:
    """What there is to ask for: skills (the commonest first), and somebody to keep work for."""

    skills: Sequence[str] = ()
    agent: int | None = None

    def needs(self, *levels: int) -> Needs:
        """The first skills at these levels; fewer where there are fewer."""
        return tuple(zip(self.skills, levels, strict=False))


@dataclass(frozen=True, slots=True)
class Start:
    key: str
    title: str | Promise
    text: str | Promise
    draft: Callable[[Crew], PolicyDraft]


def _first_come(crew: Crew) -> PolicyDraft:
    return PolicyDraft((StepDraft(0, crew.needs(1)),))


def _bullseye(crew: Crew) -> PolicyDraft:
    steps = (
        StepDraft(0, crew.needs(4, 3)),
        StepDraft(20, crew.needs(2, 2)),
        StepDraft(60, crew.needs(1)),
    )
    return PolicyDraft(steps, settings={"w_fit": 10})


def _preferred_agent(crew: Crew) -> PolicyDraft:
    kept = (person(crew.agent),) if crew.agent else ()
    return PolicyDraft((StepDraft(0, kept), StepDraft(30, crew.needs(1), if_nobody=True)))


def _backup_team(crew: Crew) -> PolicyDraft:
    return PolicyDraft((StepDraft(0, crew.needs(3)), StepDraft(30, crew.needs(1), if_nobody=True)))


def _vip(crew: Crew) -> PolicyDraft:
    return PolicyDraft((StepDraft(0, crew.needs(1)),), (LevelDraft("vip", 90),), {"rate": 2})


def _sticky(crew: Crew) -> PolicyDraft:
    return PolicyDraft((StepDraft(0, crew.needs(1)),), settings={"w_last": 120})


def _spare_experts(crew: Crew) -> PolicyDraft:
    return PolicyDraft((StepDraft(0, crew.needs(1)),), settings={"w_fit": -15})


STARTS = (
    Start(
        "first-come",
        _("First come, first served"),
        _("Whoever waits longest goes to whoever is idle longest."),
        _first_come,
    ),
    Start(
        "bullseye",
        _("Bullseye"),
        _("First the experts; after 20 s and 60 s the circle grows. Better fit counts 10 s a level."),
        _bullseye,
    ),
    Start(
        "preferred-agent",
        _("Preferred agent"),
        _("Kept for one person; after 30 s, or at once when that person is not signed in, for the others."),
        _preferred_agent,
    ),
    Start(
        "backup-team",
        _("Backup"),
        _("The skilled ones first; whoever knows a little helps out after 30 s, or when none is signed in."),
        _backup_team,
    ),
    Start(
        "vip",
        _("VIP"),
        _("Waiting counts double here, and customers of the level “vip” start 90 s ahead."),
        _vip,
    ),
    Start(
        "sticky",
        _("Sticky"),
        _("Two minutes' advantage for the agent whom the customer knows."),
        _sticky,
    ),
    Start(
        "spare-experts",
        _("Keep the experts free"),
        _("Of those who may take it, the least skilled first: 15 s a level."),
        _spare_experts,
    ),
)


def find(key: str) -> Start | None:
    return next((start for start in STARTS if start.key == key), None)
