"""Appointments, and the reminders that follow them."""

from __future__ import annotations

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from apps.core import events
from apps.core.events import Actor
from apps.users.models import Customer, Team

from .. import errors
from ..choices import ReminderState
from ..events import AppointmentMoved
from ..models import Appointment, Reminder
from ..recurrence import HORIZON
from . import reminders


def make(
    *,
    customer: Customer,
    team: Team,
    title: str,
    starts_at: datetime,
    now: datetime,
    external_id: str | None = None,
) -> Appointment:
    """Raises TimeOutOfRange for one in the past or too far ahead, AppointmentInvalid (an external id that is taken)."""
    _check(starts_at, now=now)
    row = Appointment(
        customer=customer,
        team=team,
        title=title,
        starts_at=starts_at,
        external_id=external_id or None,
        created_at=now,
    )
    try:
        with transaction.atomic():
            row.full_clean()
            row.save()
    except ValidationError as error:
        raise errors.AppointmentInvalid(fields=error.message_dict) from None
    except IntegrityError:
        # Taken between the look and the writing; nothing else of it can be.
        raise errors.AppointmentInvalid(fields={"external_id": [str(_("This one is taken."))]}) from None
    return row


def move(appointment_id: int, *, starts_at: datetime, by: Actor, now: datetime) -> Appointment:
    """Another time; its reminders move with it."""
    _check(starts_at, now=now)
    with transaction.atomic():
        row = _locked(appointment_id)
        row.starts_at = starts_at
        row.save(update_fields=["starts_at"])
        _revive(row)
        reminders.follow_appointment(row.reminders.active().values_list("id", flat=True), now=now)
        events.record(AppointmentMoved(appointment=row.pk), stream=row.customer.actor_ref, actor=by)
        return row


def _revive(row: Appointment) -> None:
    """Those whose time had come before the appointment was put off have a time again."""
    row.reminders.filter(state=ReminderState.DONE).update(state=ReminderState.ACTIVE)


def cancel(appointment_id: int, *, by: Actor, now: datetime) -> Appointment:
    """It does not take place; nobody is reminded of it."""
    with transaction.atomic():
        row = _locked(appointment_id)
        row.is_cancelled = True
        row.save(update_fields=["is_cancelled"])
        for pk in Reminder.objects.active().filter(appointment=row).values_list("id", flat=True):
            reminders.cancel(pk, by=by, now=now)
        return row


def _check(starts_at: datetime, *, now: datetime) -> None:
    if not now < starts_at <= now + HORIZON:
        raise errors.TimeOutOfRange(fields={"starts_at": [str(errors.TimeOutOfRange.detail)]})


def _locked(appointment_id: int) -> Appointment:
    found = Appointment.objects.select_for_update().filter(pk=appointment_id).first()
    if found is None:
        raise errors.AppointmentNotFound
    if found.is_cancelled:
        raise errors.AppointmentCancelled
    return found
