"""Small things the desk's templates need."""

from __future__ import annotations

import zoneinfo
from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import urlize
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _

from apps.routing.estimate import Estimate, spoken

register = template.Library()

_PRESENCE_CLASSES = {
    "available": "available",
    "on_contact": "busy",
    "offered": "busy",
    "wrap_up": "wrapup",
    "not_ready": "away",
    "not_responding": "away",
}
_TINTS = 8


@register.filter
def presence_class(state: str) -> str:
    return f"presence--{_PRESENCE_CLASSES.get(state, 'offline')}"


@register.filter
def initials(name: object) -> str:
    words = [word for word in str(name).split() if word[0].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])) or "?"


@register.filter
def tint(number: int | None) -> int:
    return (number or 0) % _TINTS + 1


@register.filter
def said(body: str) -> SafeString:
    """A message's text with its links made clickable; a stranger's page learns nothing of ours."""
    linked = urlize(body, nofollow=True, autoescape=True)
    # Safe to replace: in escaped text no quotation mark is left but those urlize wrote itself.
    return mark_safe(linked.replace('rel="nofollow"', 'rel="nofollow noopener noreferrer" target="_blank"'))


@register.filter
def in_words(told: Estimate) -> str:
    """ "about 2–5 min": what to expect, as short as it can be said."""
    (low, unit), (high, other) = spoken(told.low), spoken(told.high)
    units = {"seconds": _("s"), "minutes": _("min"), "hours": _("h"), "days": _("days")}
    most = f"{high} {units[other]}"
    if not low:
        return _("up to %(time)s") % {"time": most}
    least = str(low) if unit == other else f"{low} {units[unit]} "
    return _("about %(least)s–%(most)s") % {"least": least, "most": most}


@register.filter
def language_name(code: str) -> str:
    """ "de" becomes "German", in the reader's language; what nobody knows stays as it is."""
    try:
        return str(get_language_info(code.split("-")[0].lower())["name_translated"])
    except KeyError:
        return code


@register.filter
def clock_in(zone: str) -> str:
    return f"{_now_in(zone):%H:%M}"


@register.filter
def offset_from_here(zone: str) -> str:
    """How far that clock is from the reader's: "+5 h"; empty when they agree."""
    there, here = _now_in(zone).utcoffset(), timezone.localtime().utcoffset()
    if there is None or here is None or there == here:
        return ""
    hours = (there - here).total_seconds() / 3600
    return f"{hours:+g} h"


def _now_in(zone: str) -> datetime:
    return timezone.now().astimezone(zoneinfo.ZoneInfo(zone))
