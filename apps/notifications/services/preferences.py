"""What customers want, and addresses nothing is sent to. Every change of a wish is an event with its source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from apps.core import events
from apps.core.events import Actor
from apps.users.choices import ContactKind
from apps.users.models import ContactPoint, Customer

from ..choices import ConsentSource, PurposeKind, Reason, Way
from ..events import AddressReleased, AddressSuppressed, ConsentChanged
from ..models import Preference, Purpose, Suppression

CONTACT_KINDS = {Way.EMAIL: ContactKind.EMAIL, Way.SMS: ContactKind.PHONE}


@dataclass(frozen=True, slots=True)
class Wish:
    purpose_id: int
    way: str
    is_wanted: bool


def wants(wish: bool | None, *, purpose: Purpose) -> bool:
    """What holds: his word, and without one everything but marketing."""
    return not purpose.is_marketing if wish is None else wish


def set_wishes(
    customer: Customer, wishes: Iterable[Wish], *, source: ConsentSource, by: Actor, now: datetime
) -> list[Wish]:
    """Note what the customer said; returns what is new. Repeating it changes nothing and is not recorded again.

    A customer who was merged into another one speaks for that one.
    """
    with transaction.atomic():
        customer = _locked(customer)
        known = {(row.purpose_id, row.way): row for row in Preference.objects.filter(customer=customer)}
        changed = []
        for wish in wishes:
            row = known.get((wish.purpose_id, wish.way))
            if row is None or row.is_wanted != wish.is_wanted:
                _write(customer, wish, source=source, by=by, now=now)
                changed.append(wish)
        return changed


def _locked(customer: Customer) -> Customer:
    """The customer's row, or that of who he was found to be, so that two of his clicks come one after the other."""
    row = Customer.objects.select_for_update().get(pk=customer.pk)
    return _locked(row.merged_into) if row.merged_into else row


def _write(customer: Customer, wish: Wish, *, source: ConsentSource, by: Actor, now: datetime) -> None:
    Preference.objects.update_or_create(
        customer=customer,
        purpose_id=wish.purpose_id,
        way=wish.way,
        defaults={"is_wanted": wish.is_wanted, "source": source, "at": now},
    )
    fact = ConsentChanged(
        customer=customer.pk,
        purpose=wish.purpose_id,
        way=wish.way,
        is_wanted=wish.is_wanted,
        source=source,
    )
    events.record(fact, stream=customer.actor_ref, actor=by)


def merge(double_id: int, into_id: int) -> None:
    """Two records are one person: of two wishes for the same thing the later one holds. Bears repetition."""
    with transaction.atomic():
        own = {(row.purpose_id, row.way): row for row in Preference.objects.filter(customer=into_id)}
        for row in Preference.objects.filter(customer=double_id):
            same = own.get((row.purpose_id, row.way))
            if same is not None and same.at >= row.at:
                row.delete()
                continue
            if same is not None:
                same.delete()
            Preference.objects.filter(pk=row.pk).update(customer=into_id)


# One address, whoever it belongs to


def stop(*, way: Way, address: str, now: datetime) -> None:
    """STOP by SMS: nothing goes to this number any more, and consent given before is taken back."""
    with transaction.atomic():
        _suppress(way, address, Reason.OPTED_OUT, detail="", now=now)
        for customer in _reached_at(way, address):
            agreed = Preference.objects.filter(customer=customer, way=way, is_wanted=True)
            wishes = [Wish(row.purpose_id, row.way, False) for row in agreed]
            set_wishes(customer, wishes, source=ConsentSource.SMS_KEYWORD, by=customer, now=now)


def start(*, way: Way, address: str, now: datetime) -> None:
    """START by SMS takes STOP back, and what STOP took; a bounce stays."""
    with transaction.atomic():
        for suppression in Suppression.objects.filter(
            way=way, address=tidy(way, address), reason=Reason.OPTED_OUT
        ):
            _release(suppression, by=events.SYSTEM)
        for customer in _reached_at(way, address):
            taken = Preference.objects.filter(
                customer=customer, way=way, is_wanted=False, source=ConsentSource.SMS_KEYWORD
            )
            wishes = [Wish(row.purpose_id, row.way, True) for row in taken]
            set_wishes(customer, wishes, source=ConsentSource.SMS_KEYWORD, by=customer, now=now)


def bounced(*, way: Way, address: str, detail: str, now: datetime) -> None:
    """The provider says for good that this address does not work. `detail` holds no personal data."""
    with transaction.atomic():
        _suppress(way, address, Reason.BOUNCED, detail=detail, now=now)


def complained(*, way: Way, address: str, now: datetime) -> None:
    """Marked as spam: nothing goes there any more, and no marketing to the customer by this way."""
    with transaction.atomic():
        _suppress(way, address, Reason.OPTED_OUT, detail=str(ConsentSource.COMPLAINT.value), now=now)
        marketing = Purpose.objects.filter(kind=PurposeKind.MARKETING)
        for customer in _reached_at(way, address):
            wishes = [Wish(purpose.pk, way, False) for purpose in marketing]
            set_wishes(customer, wishes, source=ConsentSource.COMPLAINT, by=customer, now=now)


def release(suppression: Suppression, *, by: Actor) -> None:
    """Somebody knows that the address works again. Repeating it changes nothing."""
    with transaction.atomic():
        _release(suppression, by=by)


def suppress(
    *, way: Way, address: str, reason: Reason = Reason.BOUNCED, detail: str = "", by: Actor, now: datetime
) -> Suppression:
    """Somebody says that nothing is to be sent there. Repeating it changes nothing."""
    with transaction.atomic():
        return _suppress(way, address, reason, detail=detail, now=now, by=by)


def _suppress(
    way: Way, address: str, reason: Reason, *, detail: str, now: datetime, by: Actor = events.SYSTEM
) -> Suppression:
    row, is_new = Suppression.objects.get_or_create(
        way=way,
        address=tidy(way, address),
        defaults={"reason": reason, "detail": detail[:300], "at": now},
    )
    if is_new:
        fact = AddressSuppressed(suppression=row.pk, way=way, reason=reason)
        events.record(fact, stream=f"suppression:{row.pk}", actor=by)
    elif reason == Reason.OPTED_OUT and row.reason != reason:
        # What somebody asked for outlasts a mailbox that was full.
        Suppression.objects.filter(pk=row.pk).update(reason=reason, detail=detail[:300], at=now)
    return row


def _release(suppression: Suppression, *, by: Actor) -> None:
    if Suppression.objects.filter(pk=suppression.pk).delete()[0]:
        fact = AddressReleased(suppression=suppression.pk, way=suppression.way)
        events.record(fact, stream=f"suppression:{suppression.pk}", actor=by)


def tidy(way: str, address: str) -> str:
    """The stored form: e-mail in small letters, numbers as they are (E.164)."""
    return address.strip().lower() if way == Way.EMAIL else address.strip()


def _reached_at(way: Way, address: str) -> list[Customer]:
    kind = CONTACT_KINDS.get(way)
    points = ContactPoint.objects.filter(kind=kind, value=tidy(way, address))
    return list(Customer.objects.current().filter(pk__in=points.values("customer_id")).order_by("pk"))
