"""A policy as it was, kept readable for ever, and what changed from one to the next in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from .policy_drafts import PolicyDraft

# {"settings": {name: value}, "levels": {name: credit}, "steps": [{"after", "needs": [[words, level]], "if_nobody"}]}
Snapshot = Mapping[str, Any]


def snapshot(draft: PolicyDraft, *, people: Mapping[str, str]) -> dict[str, Any]:
    """The draft as JSON. `people` are the names behind `agent:<id>`: they must be readable when nobody knows the id."""
    return {
        "settings": {name: _plain(value) for name, value in draft.settings.items()},
        "steps": [
            {
                "after": step.after,
                "needs": [
                    [people[name], None] if name in people else [name, level] for name, level in step.needs
                ],
                "if_nobody": step.if_nobody,
            }
            for step in draft.steps
        ],
        "levels": {level.name: level.credit for level in draft.levels},
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def changes(before: Snapshot | None, after: Snapshot, *, labels: Mapping[str, Any]) -> list[str]:
    """One sentence for each difference; `labels` are the words for settings. Nothing is said of what is unknown."""
    if before is None:
        return []
    return [
        *_of_settings(before["settings"], after["settings"], labels),
        *_of_steps(_by_after(before), _by_after(after)),
        *_of_levels(before["levels"], after["levels"]),
    ]


def _of_settings(before: Snapshot, after: Snapshot, labels: Mapping[str, Any]) -> Iterator[str]:
    for name, now in after.items():
        # A setting that the program did not have then was not changed by anybody.
        if name in before and before[name] != now:
            yield f"{labels.get(name, name)}: {_said(before[name])} → {_said(now)}"


def _of_steps(before: dict[int, Snapshot], after: dict[int, Snapshot]) -> Iterator[str]:
    for seconds in sorted(before.keys() | after.keys()):
        was, now = before.get(seconds), after.get(seconds)
        if was is None:
            yield _("Step after %(after)s s is new: %(step)s") % {
                "after": seconds,
                "step": step_in_words(now),
            }
        elif now is None:
            yield _("Step after %(after)s s is gone: %(step)s") % {
                "after": seconds,
                "step": step_in_words(was),
            }
        elif was != now:
            words = {"after": seconds, "was": step_in_words(was), "now": step_in_words(now)}
            yield _("Step after %(after)s s: %(was)s → %(now)s") % words


def _of_levels(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was is None:
            yield _("Priority level “%(name)s” is new: %(credit)s s") % {"name": name, "credit": now}
        elif now is None:
            yield _("Priority level “%(name)s” is gone: %(credit)s s") % {"name": name, "credit": was}
        elif was != now:
            words = {"name": name, "was": was, "now": now}
            yield _("Priority level “%(name)s”: %(was)s → %(now)s s") % words


def step_in_words(step: Any) -> str:
    """`cards 3, de 2 (at once if nobody)`; a person is asked for without a level."""
    asked = (words if level is None else f"{words} {level}" for words, level in step["needs"])
    needs = ", ".join(asked) or _("the whole team")
    return f"{needs} ({_('at once if nobody')})" if step["if_nobody"] else needs


def _by_after(policy: Snapshot) -> dict[int, Snapshot]:
    return {step["after"]: step for step in policy["steps"]}


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return "–" if value in (None, "") else str(value)
