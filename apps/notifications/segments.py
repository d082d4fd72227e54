"""The filter of a segment: which names it may hold, and the customers it means. All of it must hold.

There is no language of filters; whoever needs another question asks for another name here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import available_timezones

from django.db.models import CharField, Exists, OuterRef, Q, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.messaging.models import Conversation
from apps.users.models import ContactPoint, Customer

from .choices import Way
from .errors import SegmentInvalid
from .models import Preference
from .services.preferences import CONTACT_KINDS

MOST_LISTED = 50
MOST_ATTRIBUTES = 10
MOST_VALUE_CHARACTERS = 500
MOST_DAYS = 36_500
_ATTRIBUTE = re.compile(r"[A-Za-z0-9_-]{1,40}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")

NAMES: dict[str, str | Promise] = {
    "languages": _("languages"),
    "zones": _("time zones or regions"),
    "attributes": _("attributes"),
    "tags": _("tags of a conversation"),
    "reachable_by": _("can be reached by"),
    "agreed_to": _("agreed to"),
    "created_from": _("known since, from"),
    "created_until": _("known since, until"),
    "contact_within_days": _("in contact within days"),
    "no_contact_for_days": _("not in contact for days"),
}


def checked(said: Any) -> dict[str, Any]:
    """The filter as it is kept: what is empty is left out. SegmentInvalid says by name what is wrong."""
    if not isinstance(said, Mapping):
        raise SegmentInvalid(fields={"filter": [_now("A filter is an object of names and values.")]})
    kept: dict[str, Any] = {}
    wrong: dict[str, list[str]] = {}
    for name, value in said.items():
        try:
            if name not in NAMES:
                raise ValueError(_now("There is no such filter."))
            if value not in (None, "", [], {}):
                kept[name] = _CHECKS[name](value)
        except ValueError as error:
            wrong[str(name)[:100]] = [str(error)]
    first, last = kept.get("created_from"), kept.get("created_until")
    if first and last and first > last:
        wrong["created_until"] = [_now("The last day lies before the first one.")]
    if wrong:
        raise SegmentInvalid(fields=wrong)
    return kept


def _texts(value: Any, fits: Callable[[str], bool], said: str) -> list[str]:
    if not isinstance(value, list) or len(value) > MOST_LISTED:
        raise ValueError(_now("This is a list of up to %(most)s values.") % {"most": MOST_LISTED})
    for one in value:
        if not isinstance(one, str) or not fits(one):
            raise ValueError(said % {"value": str(one)[:50]})
    return list(dict.fromkeys(value))


def _languages(value: Any) -> list[str]:
    return _texts(
        value,
        lambda one: bool(_LANGUAGE.fullmatch(one)),
        _now("“%(value)s” is no language like de or pt-br."),
    )


def _zones(value: Any) -> list[str]:
    """Whole zones ("Europe/Berlin") and regions ("Europe")."""
    known = available_timezones()
    regions = {name.partition("/")[0] for name in known if "/" in name}
    return _texts(
        value,
        lambda one: one in known or one in regions,
        _now("“%(value)s” is no time zone or region like Europe/Berlin or Europe."),
    )


def _ways(value: Any) -> list[str]:
    return _texts(value, lambda one: one in CONTACT_KINDS, _now("“%(value)s” is neither email nor sms."))


def _attributes(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > MOST_ATTRIBUTES:
        raise ValueError(_now("These are up to %(most)s names with values.") % {"most": MOST_ATTRIBUTES})
    for name, text in value.items():
        if not isinstance(name, str) or not _ATTRIBUTE.fullmatch(name):
            raise ValueError(_now("“%(value)s” is no name of an attribute.") % {"value": str(name)[:50]})
        if not isinstance(text, str) or not text or len(text) > MOST_VALUE_CHARACTERS or "\0" in text:
            raise ValueError(_now("The value of “%(name)s” is a text.") % {"name": name})
    return dict(value)


def _numbers(value: Any) -> list[int]:
    if not isinstance(value, list) or len(value) > MOST_LISTED or not all(_is_number(one) for one in value):
        raise ValueError(_now("These are the numbers of rows."))
    return sorted(set(value))


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**63


def _day(value: Any) -> str:
    try:
        found = date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(_now("This is a date like 2026-01-31.")) from None
    if not 1900 <= found.year <= 2200:
        raise ValueError(_now("This is a date like 2026-01-31."))
    return found.isoformat()


def _days(value: Any) -> int:
    if type(value) is not int or not 0 < value <= MOST_DAYS:
        raise ValueError(_now("This is a number of days."))
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "languages": _languages,
    "zones": _zones,
    "attributes": _attributes,
    "tags": _numbers,
    "reachable_by": _ways,
    "agreed_to": _numbers,
    "created_from": _day,
    "created_until": _day,
    "contact_within_days": _days,
    "no_contact_for_days": _days,
}


# The customers


def customers(kept: Mapping[str, Any], *, now: datetime) -> QuerySet[Customer]:
    """Whom a filter that was `checked` means, merged doubles left out. Days begin by the installation's clock."""
    found: QuerySet[Customer] = Customer.objects.current()
    for number, (name, text) in enumerate(kept.get("attributes", {}).items()):
        # Numbers are compared as they are written.
        fact = {f"fact_{number}": Cast(KeyTextTransform(name, "attributes"), CharField())}
        found = found.alias(**fact).filter(**{f"fact_{number}": text})
    return found.filter(
        *(_conditions[name](value, now) for name, value in kept.items() if name in _conditions)
    )


def _speaks(languages: list[str], _at: datetime) -> Q:
    """`de` means `de-at` too."""
    return _any(Q(language__iexact=one) | Q(language__istartswith=f"{one}-") for one in languages)


def _lives(zones: list[str], _at: datetime) -> Q:
    return _any(Q(time_zone=one) | Q(time_zone__startswith=f"{one}/") for one in zones)


def _any(conditions: Any) -> Q:
    found = Q()
    for one in conditions:
        found |= one
    return found


def _is_tagged(tags: list[int], _at: datetime) -> Q:
    through = Conversation.tags.through.objects
    return Q(Exists(through.filter(conversation__customer=OuterRef("pk"), tag__in=tags)))


def _is_reachable(ways: list[str], _at: datetime) -> Q:
    kinds = [CONTACT_KINDS[Way(way)] for way in ways]
    return Q(Exists(ContactPoint.objects.filter(customer=OuterRef("pk"), kind__in=kinds)))


def _has_agreed(purposes: list[int], _at: datetime) -> Q:
    """By any way; what holds at the moment of sending is looked at then."""
    return Q(Exists(Preference.objects.filter(customer=OuterRef("pk"), purpose__in=purposes, is_wanted=True)))


def _known_from(day: str, _at: datetime) -> Q:
    return Q(created_at__gte=_midnight(date.fromisoformat(day)))


def _known_until(day: str, _at: datetime) -> Q:
    return Q(created_at__lt=_midnight(date.fromisoformat(day) + timedelta(days=1)))


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()), timezone.get_default_timezone())


def _was_in_contact(days: int, at: datetime) -> Q:
    return Q(_lately(days, at))


def _was_silent(days: int, at: datetime) -> Q:
    return ~Q(_lately(days, at))


def _lately(days: int, at: datetime) -> Exists:
    since = at - timedelta(days=days)
    return Exists(Conversation.objects.filter(customer=OuterRef("pk"), last_message_at__gte=since))


_conditions: dict[str, Callable[[Any, datetime], Q]] = {
    "languages": _speaks,
    "zones": _lives,
    "tags": _is_tagged,
    "reachable_by": _is_reachable,
    "agreed_to": _has_agreed,
    "created_from": _known_from,
    "created_until": _known_until,
    "contact_within_days": _was_in_contact,
    "no_contact_for_days": _was_silent,
}
