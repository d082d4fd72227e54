"""Why you: a stored decision in one sentence. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

Term = Sequence[Any]  # name, raw, weight, value: as stored with a decision

# What tells one agent from another; the rest of the score belongs to the contact and is the same for all.
_ABOUT_THE_AGENT = ("last agent", "fit", "idle")


def sentence(terms: Sequence[Term], others: Sequence[Sequence[Any]]) -> str:
    """`others` are (agent, score, reason); only those who could have had it carry a score."""
    reasons = _reasons(terms)
    rivals = [other for other in others if other[1] is not None]
    if not rivals:
        alone = (
            _("Nobody else is signed in for it.") if not others else _("You are the only one free for it.")
        )
        return alone if not reasons else f"{alone} {_upper(get_text_list(reasons, _('and')))}."
    because = get_text_list(reasons, _("and")) or _("you come first among equals")
    return _upper(because) + "."


def _reasons(terms: Sequence[Term]) -> list[str]:
    """The terms that speak for this agent, the strongest first."""
    mine = [term for term in terms if term[0] in _ABOUT_THE_AGENT and term[3] > 0]
    return [_SENTENCES[term[0]](int(term[1])) for term in sorted(mine, key=lambda term: -term[3])]


def _fit(levels: int) -> str:
    return ngettext(
        "your skills are %(count)d level above what is asked",
        "your skills are %(count)d levels above what is asked",
        levels,
    ) % {"count": levels}


def duration(seconds: int) -> str:
    if seconds < 60:
        return _("%(seconds)d s") % {"seconds": seconds}
    if seconds < 3600:
        return _("%(minutes)d min") % {"minutes": seconds // 60}
    return _("%(hours)d h %(minutes)d min") % {"hours": seconds // 3600, "minutes": seconds % 3600 // 60}


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


_SENTENCES = {
    "last agent": lambda raw: _("the customer knows you"),
    "fit": _fit,
    "idle": lambda raw: _("nothing new has rung here for %(duration)s") % {"duration": duration(raw)},
}
