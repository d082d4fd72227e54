"""The policy of a queue, changed as a whole: checked in sentences, numbered, and in force for what already waits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from apps.core import events
from apps.core.events import Actor
from apps.users.models import Team, User

from .. import errors, policy_drafts, policy_history
from ..choices import ItemState
from ..events import PolicyChanged
from ..models import Agent, Item, Need, PolicyVersion, PriorityLevel, Queue, Skill, Step
from ..policy_drafts import LevelDraft, PolicyDraft, StepDraft
from . import clock, lease, queueing

# Of the queue itself; what `save` takes in `PolicyDraft.settings`.
SETTINGS = (
    "name",
    "slug",
    "team",
    "rate",
    "w_fit",
    "w_idle",
    "w_last",
    "units",
    "offer_seconds",
    "wrap_up_seconds",
    "service_target_seconds",
    "service_target_percent",
    "is_active",
    "calendar",
    "when_closed",
    "when_unstaffed",
    "most_waiting",
    "longest_wait_seconds",
    "when_full",
    "overflow_to",
    "callback_tries",
    "callback_retry_minutes",
    "callback_hours",
)


def draft_of(queue: Queue) -> PolicyDraft:
    """The policy a queue has now."""
    steps = queue.steps.prefetch_related("needs__skill").order_by("after", "id")
    return PolicyDraft(
        steps=tuple(
            StepDraft(
                after=step.after,
                needs=tuple(sorted((need.key, need.level) for need in step.needs.all())),
                if_nobody=step.if_nobody,
            )
            for step in steps
        ),
        levels=tuple(
            LevelDraft(level.name, level.credit) for level in queue.levels.order_by("credit", "name")
        ),
        settings={name: getattr(queue, name) for name in SETTINGS},
    )


def problems(draft: PolicyDraft) -> list[str]:
    """Why this policy cannot be saved, one sentence each."""
    names = {name for step in draft.steps for name, _level in step.needs}
    known = set(Skill.objects.filter(name__in=names).values_list("name", flat=True))
    people = _people_named(draft)
    found = policy_drafts.problems(draft, skills=known | people.keys())
    team = draft.settings.get("team")
    return found + (_strangers(draft, team, people) if isinstance(team, Team) else [])


def _people_named(draft: PolicyDraft) -> dict[str, str]:
    """`agent:<id>` → name, of those whom the draft asks for and who may take work."""
    rows = Agent.objects.filter(pk__in=policy_drafts.agents_named(draft), user__is_active=True)
    return {policy_drafts.person(row.pk)[0]: str(row) for row in rows.select_related("user")}


def _strangers(draft: PolicyDraft, team: Team, people: dict[str, str]) -> list[str]:
    """Only members of its team see what waits in a queue."""
    asked = Agent.objects.filter(pk__in=policy_drafts.agents_named(draft))
    members = {
        policy_drafts.person(pk)[0] for pk in asked.filter(user__teams=team).values_list("pk", flat=True)
    }
    text = _("%(name)s is not in the team %(team)s, so nothing of this queue can be kept for that person.")
    return [text % {"name": name, "team": team} for key, name in sorted(people.items()) if key not in members]


def create(*, draft: PolicyDraft, by: Actor) -> Queue:
    """A new queue with its policy. PolicyInvalid in sentences."""
    return save(Queue(version=0), draft=draft, by=by)


def save(queue: Queue, *, draft: PolicyDraft, by: Actor, seen: int | None = None) -> Queue:
    """Make this the queue's policy: a new version, unless nothing changed.

    Raises PolicyInvalid in sentences, PolicyStale when `seen` is not the version it has (somebody else saved first).
    Settings that the draft does not name stay as they are. What waits is served by the new policy from now on; routers
    wait meanwhile, so that a decision never mixes two versions.
    """
    with transaction.atomic():
        lease.lock()
        if queue.pk:
            queue = Queue.objects.select_for_update().get(pk=queue.pk)
            if seen not in (None, queue.version):
                raise errors.PolicyStale
        before = draft_of(queue) if queue.pk else None
        wanted = _completed(queue, draft)
        _check(queue, wanted)
        if wanted == before:
            return queue
        old_rate = queue.rate
        _write(queue, wanted)
        if before and queue.rate != old_rate:
            _rekey(queue, old_rate=old_rate)
        if before and before.settings["team"] != queue.team:
            queueing.follow_teams()
        _remember(queue, wanted, by=by, now=clock.now())
        fact = PolicyChanged(queue=queue.pk, version=queue.version)
        events.record(fact, stream=f"queue:{queue.pk}", actor=by)
        return queue


def _remember(queue: Queue, draft: PolicyDraft, *, by: Actor, now: datetime) -> None:
    PolicyVersion.objects.create(
        queue=queue,
        number=queue.version,
        at=now,
        by=by if isinstance(by, User) else None,
        policy=policy_history.snapshot(draft, people=_people_named(draft)),
    )


def _completed(queue: Queue, draft: PolicyDraft) -> PolicyDraft:
    """In the one form that can be compared: every setting, steps and needs in order."""
    now: dict[str, Any] = {
        name: getattr(queue, name, None) for name in SETTINGS if name != "team" or queue.team_id
    }
    return PolicyDraft(
        steps=tuple(
            StepDraft(step.after, tuple(sorted(step.needs)), step.if_nobody)
            for step in sorted(draft.steps, key=lambda step: step.after)
        ),
        levels=tuple(sorted(draft.levels, key=lambda level: (level.credit, level.name))),
        settings=now | draft.settings,
    )


def _check(queue: Queue, draft: PolicyDraft) -> None:
    found = problems(draft) + _overflow_problems(queue, draft)
    if queue.pk and not draft.settings["is_active"] and queue.routes.exists():
        inboxes = ", ".join(queue.routes.values_list("inbox__name", flat=True))
        found.append(_("Inboxes lead here: %(inboxes)s. Send them elsewhere first.") % {"inboxes": inboxes})
    if found:
        raise errors.PolicyInvalid(" ".join(found))


def _overflow_problems(queue: Queue, draft: PolicyDraft) -> list[str]:
    """Whoever saves a policy has the router's turn, so no two can close a loop together."""
    names = dict(Queue.objects.values_list("pk", "name"))
    leads_to = dict(Queue.objects.exclude(overflow_to=None).values_list("pk", "overflow_to_id"))
    found = policy_drafts.overflow_problems(draft.settings, queue_id=queue.pk, leads_to=leads_to, names=names)
    if not draft.settings["is_active"] and queue.pk:
        sources = ", ".join(queue.overflow_from.values_list("name", flat=True))
        if sources:
            found.append(_("These queues overflow here: %(names)s. Change them first.") % {"names": sources})
    return found


def _write(queue: Queue, draft: PolicyDraft) -> None:
    for name, value in draft.settings.items():
        setattr(queue, name, value)
    queue.version += 1
    try:
        queue.full_clean()
    except ValidationError as error:
        raise errors.PolicyInvalid(fields=error.message_dict) from None
    queue.save()
    _write_steps(queue, draft.steps)
    _write_levels(queue, draft.levels)


def _write_steps(queue: Queue, steps: Iterable[StepDraft]) -> None:
    """All anew: decisions name the number of a step, never its row."""
    queue.steps.all().delete()
    skills = {skill.name: skill for skill in Skill.objects.all()}
    for step in steps:
        row = Step.objects.create(queue=queue, after=step.after, if_nobody=step.if_nobody)
        Need.objects.bulk_create(
            Need(step=row, skill=skills.get(name), agent_id=policy_drafts.agent_of(name), level=level)
            for name, level in step.needs
        )


def _write_levels(queue: Queue, levels: Iterable[LevelDraft]) -> None:
    wanted = {level.name: level.credit for level in levels}
    queue.levels.exclude(name__in=wanted).delete()
    for name, credit in wanted.items():
        PriorityLevel.objects.update_or_create(queue=queue, name=name, defaults={"credit": credit})


def _rekey(queue: Queue, *, old_rate: int) -> None:
    """The order of the line at the new rate: line_key is rate·at − credit, so `at` can be had from it exactly."""
    at = (F("line_key") + F("credit")) / old_rate
    Item.objects.filter(queue=queue).exclude(state=ItemState.DONE).update(
        line_key=at * queue.rate - F("credit")
    )
