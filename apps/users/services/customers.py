"""Customer records: made, changed, reached by contacts, and merged when one person has two."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from apps.core import events
from apps.core.errors import Invalid
from apps.core.events import Actor

from .. import contacts, errors
from ..events import CustomerChanged, CustomerCreated, CustomerMerged
from ..models import ContactPoint, Customer, Team

FIELDS = frozenset({"name", "time_zone", "language", "external_id", "attributes"})


class Contact(NamedTuple):
    kind: str
    value: str
    is_verified: bool = False


def create(
    *, by: Actor, contacts: Iterable[Contact] = (), teams: Iterable[Team] = (), **fields: Any
) -> Customer:
    """Make a customer who is seen by `teams`. Raises ExternalIdTaken, ContactTaken and what is wrong with a contact."""
    with transaction.atomic():
        customer = _saved(Customer(), changes=_checked(fields))
        customer.teams.add(*teams)
        for contact in contacts:
            _add_contact(customer, contact, is_dialled=True)
        events.record(CustomerCreated(customer=customer.pk), stream=customer.actor_ref, actor=by)
        return customer


def update(customer: Customer, *, by: Actor, version: int | None = None, **changes: Any) -> Customer:
    """Change fields of a record. With `version`, only if nobody changed it since: else StaleVersion."""
    with transaction.atomic():
        customer = _locked(customer)
        if version is not None and version != customer.version:
            raise errors.StaleVersion
        changed = {
            name: value for name, value in _checked(changes).items() if getattr(customer, name) != value
        }
        if not changed:
            return customer
        _saved(customer, changes=changed)
        _record_change(customer, fields=sorted(changed), by=by)
        return customer


def set_teams(customer: Customer, *, teams: Iterable[Team], by: Actor) -> Customer:
    """Make these the teams that see the customer."""
    with transaction.atomic():
        customer = _locked(customer)
        customer.teams.set(teams)
        _raise_version(customer)
        _record_change(customer, fields=["teams"], by=by)
        return customer


def add_contact(
    customer: Customer,
    *,
    kind: str,
    value: str,
    by: Actor,
    is_verified: bool = False,
    is_dialled: bool = True,
) -> ContactPoint:
    """Note an address or number; one that is there already is kept (and verified, if it is now).

    `is_dialled=False` for a number that called us and that we shall never call. ContactTaken when it is verified for
    somebody else.
    """
    with transaction.atomic():
        customer = _locked(customer)
        point, is_change = _add_contact(customer, Contact(kind, value, is_verified), is_dialled=is_dialled)
        if is_change:
            _raise_version(customer)
            _record_change(customer, fields=["contacts"], by=by)
        return point


def remove_contact(customer: Customer, *, contact_id: int, by: Actor) -> None:
    """Forget an address or number; repeating it changes nothing."""
    with transaction.atomic():
        customer = _locked(customer)
        if customer.contact_points.filter(id=contact_id).delete()[0]:
            _raise_version(customer)
            _record_change(customer, fields=["contacts"], by=by)


def merge(keep: Customer, double: Customer, *, by: Actor) -> Customer:
    """Make one of two records of the same person: `keep` gets what it lacks, `double` points to it from now on.

    Contacts and teams move here; what other floors hold moves by the event. MergedAlready when either is a double.
    """
    if keep.pk == double.pk:
        raise errors.MergeWithItself
    with transaction.atomic():
        # In the order of their ids, so that two merges the other way round cannot wait for each other.
        rows = Customer.objects.select_for_update().order_by("id").in_bulk([keep.pk, double.pk])
        keep, double = rows[keep.pk], rows[double.pk]
        if keep.merged_into_id or double.merged_into_id:
            raise errors.MergedAlready
        _fill_gaps(keep, double)
        _move_contacts(keep, double)
        keep.teams.add(*double.teams.all())
        Customer.objects.filter(merged_into=double).update(merged_into=keep)
        fact = CustomerMerged(customer=double.pk, into=keep.pk)
        events.record(fact, stream=keep.actor_ref, actor=by)
        return keep


def _fill_gaps(keep: Customer, double: Customer) -> None:
    external_id = double.external_id
    double.merged_into, double.external_id, double.version = keep, None, double.version + 1
    # First the double, because no two records may have the same external id even for a moment.
    double.save(update_fields=["merged_into", "external_id", "version"])
    keep.external_id = keep.external_id or external_id
    keep.attributes = double.attributes | keep.attributes
    for name in ("name", "time_zone", "language"):
        setattr(keep, name, getattr(keep, name) or getattr(double, name))
    _raise_version(keep, "external_id", "attributes", "name", "time_zone", "language")


def _move_contacts(keep: Customer, double: Customer) -> None:
    own = {(point.kind, point.value): point for point in keep.contact_points.all()}
    for point in double.contact_points.all():
        if (same := own.get((point.kind, point.value))) is None:
            point.customer = keep
            point.save(update_fields=["customer"])
            continue
        point.delete()
        if point.is_verified and not same.is_verified:
            same.is_verified = True
            same.save(update_fields=["is_verified"])


def _locked(customer: Customer) -> Customer:
    customer = Customer.objects.select_for_update().get(pk=customer.pk)
    if customer.merged_into_id:
        raise errors.MergedAlready
    return customer


def _checked(changes: dict[str, Any]) -> dict[str, Any]:
    if unknown := changes.keys() - FIELDS:
        raise TypeError(f"customers have no {', '.join(sorted(unknown))} to change")
    if "external_id" in changes:
        # Empty means none: of two empty texts the second would not be unique.
        changes = changes | {"external_id": changes["external_id"] or None}
    return changes


def _saved(customer: Customer, *, changes: dict[str, Any]) -> Customer:
    for name, value in changes.items():
        setattr(customer, name, value)
    customer.version += customer.pk is not None
    try:
        customer.clean_fields(exclude=["merged_into"])
        with transaction.atomic():
            customer.save()
    except ValidationError as error:
        raise Invalid(fields=error.message_dict) from None
    except IntegrityError:
        raise errors.ExternalIdTaken from None
    return customer


def _raise_version(customer: Customer, *fields: str) -> None:
    customer.version += 1
    customer.save(update_fields=["version", *fields])


def _add_contact(customer: Customer, contact: Contact, *, is_dialled: bool) -> tuple[ContactPoint, bool]:
    value = contacts.normalised(contact.kind, contact.value, is_dialled=is_dialled)
    verified_for = ContactPoint.objects.filter(kind=contact.kind, value=value, is_verified=True)
    if contact.is_verified and verified_for.exclude(customer=customer).exists():
        raise errors.ContactTaken
    try:
        with transaction.atomic():
            point, is_new = customer.contact_points.get_or_create(
                kind=contact.kind, value=value, defaults={"is_verified": contact.is_verified}
            )
            is_change = is_new or (contact.is_verified and not point.is_verified)
            if is_change and not is_new:
                point.is_verified = True
                point.save(update_fields=["is_verified"])
    except IntegrityError:
        raise errors.ContactTaken from None
    return point, is_change


def _record_change(customer: Customer, *, fields: list[str], by: Actor) -> None:
    fact = CustomerChanged(customer=customer.pk, fields=fields)
    events.record(fact, stream=customer.actor_ref, actor=by)
