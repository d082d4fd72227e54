"""Questions about texts, wishes, campaigns and notices."""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import QuerySet

from apps.users.models import Customer, User

from .choices import Reason, Way
from .models import Notice, Preference, Purpose, Suppression
from .services.preferences import CONTACT_KINDS, wants

NOTICES_SHOWN = 30


class Choice(NamedTuple):
    """One box of the preference page."""

    purpose: Purpose
    way: Way
    is_wanted: bool

    @property
    def key(self) -> str:
        return f"{self.purpose.pk}-{self.way}"


def ways_of(customer: Customer) -> list[Way]:
    """The ways the customer can be reached by; e-mail when nothing is known yet."""
    kinds = set(customer.contact_points.values_list("kind", flat=True))
    return [way for way, kind in CONTACT_KINDS.items() if kind in kinds] or [Way.EMAIL]


def choices_of(customer: Customer) -> list[Choice]:
    """All that a customer can choose, with what holds now."""
    said = {(row.purpose_id, row.way): row.is_wanted for row in Preference.objects.filter(customer=customer)}
    ways = ways_of(customer)
    return [
        Choice(purpose, way, wants(said.get((purpose.pk, way)), purpose=purpose))
        for purpose in Purpose.objects.filter(is_for_staff=False)
        for way in ways
    ]


def stopped_of(customer: Customer) -> QuerySet[Suppression]:
    """Addresses of the customer that nothing is sent to because he asked for it."""
    values = customer.contact_points.values("value")
    return Suppression.objects.filter(
        address__in=values, way__in=list(CONTACT_KINDS), reason=Reason.OPTED_OUT
    )


def notices_of(user: User) -> QuerySet[Notice]:
    """His notification centre, the newest first."""
    return Notice.objects.filter(user=user).order_by("-id")


def unread_notices(user: User) -> int:
    return Notice.objects.filter(user=user, read_at=None).count()
