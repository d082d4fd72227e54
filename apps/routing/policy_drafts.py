"""A queue's policy as somebody wants it, and what is wrong with it in sentences. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Any

from django.utils.translation import gettext as _

from .choices import Otherwise

MOST_STEPS = 20
MOST_LEVELS = 16
MOST_SECONDS = 86_400
HIGHEST_LEVEL = 5

Needs = tuple[tuple[str, int], ...]

# Every agent is skilled at being himself: a step may ask for one person.
PERSON = "agent:"


@dataclasses.dataclass(frozen=True, slots=True)
class StepDraft:
    after: int
    needs: Needs = ()
    if_nobody: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class LevelDraft:
    name: str
    credit: int


@dataclasses.dataclass(frozen=True, slots=True)
class PolicyDraft:
    """Everything a decision depends on besides weights: those are checked by the queue's own fields."""

    steps: tuple[StepDraft, ...] = ()
    levels: tuple[LevelDraft, ...] = ()
    # Names and numbers of the queue itself: rate, w_fit, units …
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)


def problems(draft: PolicyDraft, *, skills: Collection[str]) -> list[str]:
    """What makes it unusable, one sentence each; `skills` are those that exist, people (`agent:<id>`) among them."""
    return [*_step_problems(draft.steps, skills), *_level_problems(draft.levels)]


def _step_problems(steps: tuple[StepDraft, ...], skills: Collection[str]) -> Iterator[str]:
    if len(steps) > MOST_STEPS:
        yield _("A queue has %(most)s steps at most.") % {"most": MOST_STEPS}
    if steps and min(step.after for step in steps) != 0:
        yield _("The first step must begin after 0 seconds, or nobody could take what just arrived.")
    afters = [step.after for step in steps]
    for after in sorted({after for after in afters if afters.count(after) > 1}):
        yield _("There are two steps after %(after)s s. Make one of them, or let one begin later.") % {
            "after": after
        }
    for step in steps:
        yield from _need_problems(step, skills)
    if any(step.after > MOST_SECONDS for step in steps):
        yield _("A step must begin within a day (%(most)s seconds).") % {"most": MOST_SECONDS}


def _need_problems(step: StepDraft, skills: Collection[str]) -> Iterator[str]:
    names = [name for name, _level in step.needs]
    for name in dict.fromkeys(names):
        if name not in skills and name.startswith(PERSON):
            text = _(
                "Step after %(after)s s: whom it is kept for takes no work any more. Choose somebody else."
            )
            yield text % {"after": step.after}
        elif name not in skills:
            yield _("Step after %(after)s s: there is no skill called “%(name)s”.") % {
                "after": step.after,
                "name": name,
            }
        if names.count(name) > 1:
            text = _("Step after %(after)s s: “%(name)s” is asked for twice.")
            yield text % {"after": step.after, "name": name}
    for name, level in step.needs:
        if not 1 <= level <= HIGHEST_LEVEL:
            text = _("Step after %(after)s s: the level of “%(name)s” must be 1 to %(highest)s.")
            yield text % {"after": step.after, "name": name, "highest": HIGHEST_LEVEL}


def _level_problems(levels: tuple[LevelDraft, ...]) -> Iterator[str]:
    if len(levels) > MOST_LEVELS:
        yield _("A queue has %(most)s priority levels at most.") % {"most": MOST_LEVELS}
    names = [level.name for level in levels]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield _("There are two priority levels called “%(name)s”.") % {"name": name}


def overflow_problems(
    settings: Mapping[str, Any],
    *,
    queue_id: int | None,
    leads_to: Mapping[int, int],
    names: Mapping[int, str],
) -> list[str]:
    """What is wrong with where contacts go while it takes nobody. `leads_to`: queue → the one it overflows to."""
    target = settings["overflow_to"]
    if target is None:
        if Otherwise.OVERFLOW in (settings[name] for name in ("when_closed", "when_unstaffed", "when_full")):
            return [_("Choose the other queue that contacts are sent to.")]
        return []
    found = []
    if not target.is_active:
        text = _("“%(name)s” is switched off: nothing can be sent there.")
        found.append(text % {"name": target.name})
    if loop := loop_from(target.pk, back_to=queue_id, leads_to=leads_to):
        path = " → ".join([settings["name"], *(names[pk] for pk in loop[:-1]), settings["name"]])
        found.append(_("Contacts would be sent in a circle: %(path)s.") % {"path": path})
    return found


def loop_from(start: int, *, back_to: int | None, leads_to: Mapping[int, int]) -> list[int]:
    """The way from `start` back to a queue, both included; empty when it does not lead there."""
    way = [start]
    while way[-1] != back_to:
        following = leads_to.get(way[-1])
        if following is None or following in way:
            return []
        way.append(following)
    return way


def hints(draft: PolicyDraft) -> list[str]:
    """What works, but hardly as it was meant. Steps only ever add agents, so each should ask for less."""
    found = []
    steps = sorted(draft.steps, key=lambda step: step.after)
    for number, step in enumerate(steps):
        wider = next((earlier for earlier in steps[:number] if _accepts_all_of(earlier, step)), None)
        if wider:
            text = _(
                "The step after %(after)s s adds nobody: whoever satisfies it may take it since %(since)s s."
            )
            found.append(text % {"after": step.after, "since": wider.after})
    if steps and steps[0].if_nobody:
        found.append(_("“At once if nobody” means nothing for the first step: it is open from the start."))
    found += _overflow_hints(draft.settings)
    for fewer, more in pairwise(sorted(draft.levels, key=lambda level: level.credit)):
        if fewer.credit == more.credit:
            names = {"one": fewer.name, "other": more.name}
            found.append(_("The priority levels “%(one)s” and “%(other)s” give the same head start.") % names)
    return found


def _overflow_hints(settings: Mapping[str, Any]) -> Iterator[str]:
    if settings.get("when_closed", Otherwise.MESSAGE) != Otherwise.MESSAGE and not settings.get("calendar"):
        yield _("What happens while it is closed never happens: it has no opening hours.")
    limits = (settings.get("most_waiting"), settings.get("longest_wait_seconds"))
    if settings.get("when_full", Otherwise.MESSAGE) != Otherwise.MESSAGE and limits == (None, None):
        yield _("What happens when it is full never happens: it has no limit.")


def _accepts_all_of(earlier: StepDraft, step: StepDraft) -> bool:
    """Whether everybody who satisfies `step` satisfies `earlier` already."""
    asked = dict(step.needs)
    return all(asked.get(name, 0) >= level for name, level in earlier.needs)


_NEED = re.compile(r"(?P<name>[-\w]+)(?:\s*(?:>=|≥|:|=)?\s*(?P<level>\d+))?", re.ASCII)


def person(agent_id: int) -> tuple[str, int]:
    """The need for just this agent."""
    return f"{PERSON}{agent_id}", 1


def agent_of(name: str) -> int | None:
    """Whom a need asks for by person; None for a skill."""
    return int(name.removeprefix(PERSON)) if name.startswith(PERSON) else None


def agents_named(draft: PolicyDraft) -> list[int]:
    names = (name for step in draft.steps for name, _level in step.needs)
    return [agent for name in names if (agent := agent_of(name)) is not None]


def read_needs(text: str) -> Needs:
    """`cards 3, de 2` as needs; a skill without a number means level 1. ValueError with a sentence."""
    needs = []
    for part in (part.strip() for part in re.split(r"[,;\n]", text)):
        if not part:
            continue
        found = _NEED.fullmatch(part)
        if found is None:
            raise ValueError(
                _("“%(part)s” is not understood. Write skills like: cards 3, de 2.") % {"part": part[:50]}
            )
        needs.append((found["name"], int(found["level"] or 1)))
    return tuple(needs)


def write_needs(needs: Needs) -> str:
    return ", ".join(f"{name} {level}" for name, level in needs)
