"""How long before or after an appointment: minutes for programs, words for people. Pure."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

DAYS, HOURS, MINUTES = "days", "hours", "minutes"
_MINUTES_OF = {DAYS: 24 * 60, HOURS: 60, MINUTES: 1}
_WORDS: dict[str, Callable[[int], str]] = {
    DAYS: lambda count: ngettext("%(count)s day", "%(count)s days", count),
    HOURS: lambda count: ngettext("%(count)s hour", "%(count)s hours", count),
    MINUTES: lambda count: ngettext("%(count)s minute", "%(count)s minutes", count),
}


def minutes_of(count: int, unit: str, *, is_before: bool) -> int:
    """Minutes after it: those before are negative."""
    minutes = count * _MINUTES_OF[unit]
    return -minutes if is_before else minutes


def in_words(minutes: int) -> str:
    """By the largest unit that leaves nothing over: “3 days before it begins”."""
    if minutes == 0:
        return _("when it begins")
    unit = next(unit for unit, size in _MINUTES_OF.items() if minutes % size == 0)
    count = abs(minutes) // _MINUTES_OF[unit]
    span = {"span": _WORDS[unit](count) % {"count": count}}
    return (_("%(span)s before it begins") if minutes < 0 else _("%(span)s after it begins")) % span
