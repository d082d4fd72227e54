"""A sending rule in words, for people who want to know what they have set up. Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import time
from typing import Any

from django.utils.formats import time_format
from django.utils.translation import gettext as _

WEEKDAYS = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))


def in_words(rule: Any) -> str:
    """Of anything with the fields of a SendingRule."""
    said = [_days(rule.weekdays), _hours(rule.quiet_from, rule.quiet_until)]
    if rule.holidays_country:
        where = "-".join(filter(None, (rule.holidays_country, rule.holidays_region)))
        said.append(_("not on public holidays of %(where)s") % {"where": where})
    said.append(_caps(rule.most_per_day, rule.most_per_week))
    return ", ".join(filter(None, said)) + _(" (the recipient's clock)")


def _days(weekdays: Collection[int]) -> str:
    if len(set(weekdays)) == 7:
        return _("every day")
    return ", ".join(str(WEEKDAYS[day]) for day in sorted(set(weekdays))) or _("on no day at all")


def _hours(start: time | None, end: time | None) -> str:
    if start is None or end is None or start == end:
        return _("at any time")
    span = {"from": time_format(end), "until": time_format(start)}
    if start > end:
        return _("between %(from)s and %(until)s") % span
    return _("before %(until)s or from %(from)s on") % span


def _caps(per_day: int | None, per_week: int | None) -> str:
    said = []
    if per_day is not None:
        said.append(_("at most %(count)d a day") % {"count": per_day})
    if per_week is not None:
        said.append(_("at most %(count)d a week") % {"count": per_week})
    return ", ".join(said)
