"""Uploaded lists: who is meant by each line, all of them or none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from apps.core import bulk, events
from apps.core.errors import EMLError
from apps.core.events import Actor
from apps.users import contacts
from apps.users.choices import ContactKind
from apps.users.models import ContactPoint, Customer

from .. import errors
from ..campaign_csv import Line, Mistakes
from ..events import CampaignListChanged
from ..models import Campaign, CampaignRecipient
from . import campaigns

ASKED_AT_ONCE = 1000
MOST_EXTERNAL_ID = 100


@dataclass(frozen=True, slots=True)
class Added:
    """How many people are new in the campaign, and how many lines meant somebody who is in it already."""

    new: int
    again: int


def add(
    campaign_id: int, lines: Sequence[Line], *, by: Actor, now: datetime, mistakes: Mistakes | None = None
) -> Added:
    """Make the customers of these lines recipients of a draft. Who is meant twice gets it once, as the first line says.

    One transaction: ListInvalid names the lines that mean nobody, or several, with those that could not be read
    (`mistakes`), and nothing is taken over then. Raises CampaignHasBegun; CampaignInvalid when the campaign has a
    segment.
    """
    mistakes = mistakes or Mistakes()
    with transaction.atomic():
        row = _without_segment(campaign_id)
        people = _people(row, lines, mistakes)
        mistakes.raise_any()
        there = set(row.recipients.values_list("customer", flat=True))
        new = [(pk, line) for pk, line in people.items() if pk not in there]
        bulk.insert(
            CampaignRecipient,
            [
                CampaignRecipient(campaign=row, customer_id=pk, way=way, values=line.values, due_at=now)
                for pk, line in new
                for way in row.ways
            ],
        )
        if new:
            fact = CampaignListChanged(campaign=row.pk, count=len(new))
            events.record(fact, stream=row.stream, actor=by)
        return Added(len(new), len(lines) - len(new))


def check(campaign_id: int, lines: Sequence[Line], *, mistakes: Mistakes) -> None:
    """What `add` would say of these lines, for lists that are taken over in parts. Raises what it raises besides."""
    with transaction.atomic():
        _people(_without_segment(campaign_id), lines, mistakes)


def remove(campaign_id: int, *, by: Actor) -> int:
    """Take the whole list out of a draft; returns how many people that were. Raises CampaignHasBegun."""
    with transaction.atomic():
        row = campaigns.draft(campaign_id)
        count = row.recipients.values("customer").distinct().count()
        row.recipients.all().delete()
        if count:
            fact = CampaignListChanged(campaign=row.pk, count=-count)
            events.record(fact, stream=row.stream, actor=by)
        return count


def _without_segment(campaign_id: int) -> Campaign:
    row = campaigns.draft(campaign_id)
    if row.segment_id:
        raise errors.CampaignInvalid(_("This campaign has a segment; a list is for those without one."))
    return row


def _people(row: Campaign, lines: Sequence[Line], mistakes: Mistakes) -> dict[int, Line]:
    """The customers meant, each with the first line that means him."""
    tidy = [_tidied(line, mistakes) for line in lines]
    known = {name: _looked_up(row, name, (who[name] for who in tidy if name in who)) for name in _SOURCES}
    people: dict[int, Line] = {}
    for line, who in zip(lines, tidy, strict=True):
        if who and (pk := _one(line, who, known, mistakes)):
            people.setdefault(pk, line)
    return people


def _tidied(line: Line, mistakes: Mistakes) -> dict[str, str]:
    """The stored form of what names the person; empty when it has none."""
    try:
        return {name: _FORMS[name](text) for name, text in line.who.items()}
    except EMLError as error:
        mistakes.add(line.number, str(error))
        return {}


def _one(
    line: Line, who: dict[str, str], known: dict[str, dict[str, set[int]]], mistakes: Mistakes
) -> int | None:
    """All that the line says must mean the same one customer."""
    found = [known[name].get(text, set()) for name, text in who.items()]
    meant = set.intersection(*found)
    if len(meant) == 1:
        return meant.pop()
    named = ", ".join(line.who.values())
    if not meant and all(found):
        mistakes.add(line.number, _("These are different customers: %(who)s.") % {"who": named})
    elif meant:
        mistakes.add(line.number, _("Several customers match: %(who)s.") % {"who": named})
    else:
        mistakes.add(line.number, _("There is no such customer: %(who)s.") % {"who": named})
    return None


def _looked_up(row: Campaign, name: str, texts: Iterable[str]) -> dict[str, set[int]]:
    """Of customers that the campaign may write to. Who has verified an address is meant by it alone."""
    people = Customer.objects.current()
    if row.team_id:
        people = people.filter(teams=row.team_id)
    found: dict[str, set[int]] = defaultdict(set)
    verified: set[str] = set()
    asked = list(dict.fromkeys(texts))
    for start in range(0, len(asked), ASKED_AT_ONCE):
        for pk, text, is_verified in _SOURCES[name](people, asked[start : start + ASKED_AT_ONCE]):
            if text in verified:
                continue
            if is_verified:
                verified.add(text)
                found[text] = {pk}
            else:
                found[text].add(pk)
    return found


# Customer, what names him, and whether that is verified to be his.
Look = Callable[[QuerySet[Customer], Sequence[str]], Iterable[tuple[int, str, bool]]]


def _by_contact(kind: ContactKind) -> Look:
    def look(people: QuerySet[Customer], texts: Sequence[str]) -> Iterable[tuple[int, str, bool]]:
        points = ContactPoint.objects.filter(kind=kind, value__in=texts, customer__in=people)
        return points.values_list("customer_id", "value", "is_verified")

    return look


def _by_external_id(people: QuerySet[Customer], texts: Sequence[str]) -> Iterable[tuple[int, str, bool]]:
    found = people.filter(external_id__in=texts).values_list("pk", "external_id")
    return ((pk, str(text), False) for pk, text in found)


_SOURCES: dict[str, Look] = {
    "email": _by_contact(ContactKind.EMAIL),
    "phone": _by_contact(ContactKind.PHONE),
    "external_id": _by_external_id,
}
_FORMS: dict[str, Callable[[str], str]] = {
    "email": contacts.email,
    "phone": contacts.phone,
    "external_id": lambda text: text[: MOST_EXTERNAL_ID + 1],
}
