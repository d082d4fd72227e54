"""Reminders and appointments over the API, and why somebody did (not) get something."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ReadOnlyModelViewSet

from apps.core.api.filters import StrictFilterSet, refuse_unknown
from apps.core.api.idempotency import idempotent
from apps.core.api.permissions import ReadOnly
from apps.core.api.serializers import StrictDateTimeField
from apps.core.errors import Invalid, NotFound
from apps.routing.services import clock
from apps.users.permissions import IsAgent, IsSupervisor, user_of
from apps.users.selectors import customers_visible_to

from .. import ledger, selectors
from ..models import Appointment, Reminder
from ..services import appointments, reminders
from .serializers import (
    AppointmentMove,
    AppointmentSerializer,
    LedgerSerializer,
    NewAppointment,
    NewReminder,
    ReminderMove,
    ReminderSerializer,
)

AROUND, LONGEST = timedelta(days=30), timedelta(days=366)
FROM = OpenApiParameter("from", OpenApiTypes.DATETIME, description="Default: 30 days before `to`, or ago.")
TO = OpenApiParameter("to", OpenApiTypes.DATETIME, description="Default: 30 days after now or `from`.")


class _Rows(ReadOnlyModelViewSet):
    """Agents read; supervisors and administrators write."""

    permission_classes: list[Any] = [IsSupervisor | (IsAgent & ReadOnly)]
    lookup_value_regex = "[0-9]{1,18}"
    ordering = ("-id",)

    def given(self, serializer: type) -> Any:
        data = serializer(data=self.request.data, context=self.get_serializer_context())
        data.is_valid(raise_exception=True)
        return data

    def answer(self, row: Any, *, status: int = 200) -> Response:
        return Response(self.get_serializer(row).data, status=status)


class ReminderFilter(StrictFilterSet):
    class Meta:
        model = Reminder
        fields = ["state", "customer", "user", "conversation", "appointment"]


class ReminderViewSet(_Rows):
    """What goes out at a time: to the customers and members of your teams."""

    queryset = Reminder.objects.none()
    serializer_class = ReminderSerializer
    filterset_class = ReminderFilter
    query_parameters: tuple[str, ...] = ()

    def get_queryset(self) -> QuerySet[Reminder]:
        return selectors.reminders_visible_to(user_of(self.request)).select_related("template")

    @extend_schema(request=NewReminder, responses={201: ReminderSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Schedule one: once, by a rule, or relative to an appointment.

        Times are those of the recipient's wall clock. 400 `nonexistent_time` for one that a change of clocks leaves
        out, `ambiguous_time` for one that is there twice (say `fold`), `time_out_of_range` for the past.
        """
        by = user_of(request)
        row = reminders.schedule(self.given(NewReminder).plan(by=by), by=by, now=clock.now())
        return self.answer(row, status=status.HTTP_201_CREATED)

    @extend_schema(request=ReminderMove, responses=ReminderSerializer)
    @action(detail=True, methods=["post"])
    def reschedule(self, request: Request, pk: str) -> Response:
        """Another date and time; what waited for the old one is called off. One that follows an appointment moves with
        it. 409 `reminder_over` when it is over."""
        given = self.given(ReminderMove).validated_data
        row = reminders.reschedule(self.get_object().pk, by=user_of(request), now=clock.now(), **given)
        return self.answer(row)

    @extend_schema(request=None, responses=ReminderSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Call it off. 409 `reminder_over` when it is over already."""
        return self.answer(reminders.cancel(self.get_object().pk, by=user_of(request), now=clock.now()))

    @extend_schema(parameters=[TO], responses=LedgerSerializer, filters=False)
    @action(detail=True, pagination_class=None, filterset_class=None, query_parameters=("to",))
    def ledger(self, request: Request, pk: str) -> Response:
        """What became of it, and what will: each time and way, whether it goes out, when, and why not."""
        refuse_unknown(request, {TO.name})
        now = clock.now()
        until = _moment(request, TO.name) or now + AROUND
        _check_period(now, max(until, now))
        return Response(LedgerSerializer(ledger.of_reminder(self.get_object(), until=until, now=now)).data)


class AppointmentFilter(StrictFilterSet):
    class Meta:
        model = Appointment
        fields = ["customer", "team", "is_cancelled", "external_id"]


class AppointmentViewSet(_Rows):
    """What reminders can be relative to. They move and are cancelled with it."""

    queryset = Appointment.objects.none()
    serializer_class = AppointmentSerializer
    filterset_class = AppointmentFilter

    def get_queryset(self) -> QuerySet[Appointment]:
        return selectors.appointments_visible_to(user_of(self.request))

    @extend_schema(request=NewAppointment, responses={201: AppointmentSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Make one. An `external_id` is unique: another with the same is refused."""
        row = appointments.make(now=clock.now(), **self.given(NewAppointment).validated_data)
        return self.answer(row, status=status.HTTP_201_CREATED)

    @extend_schema(request=AppointmentMove, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def reschedule(self, request: Request, pk: str) -> Response:
        """Another time; its reminders move with it. 409 `appointment_cancelled`."""
        given = self.given(AppointmentMove).validated_data
        by = user_of(request)
        return self.answer(appointments.move(self.get_object().pk, by=by, now=clock.now(), **given))

    @extend_schema(request=None, responses=AppointmentSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """It does not take place, and nobody is reminded of it. 409 `appointment_cancelled` when it is so already."""
        return self.answer(appointments.cancel(self.get_object().pk, by=user_of(request), now=clock.now()))


class CustomerLedgerView(APIView):
    permission_classes = [IsAgent]

    @extend_schema(operation_id="customer_notifications", parameters=[FROM, TO], responses=LedgerSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """Why a customer did (not) get something: all that was meant for him in a period of a year at most, past and
        coming, by time. Coming lines say what happens as things stand."""
        refuse_unknown(request, {FROM.name, TO.name})
        customer = customers_visible_to(user_of(request)).filter(pk=pk).first()
        if customer is None:
            raise NotFound
        now = clock.now()
        start, end = _period(request, now)
        found = ledger.of_customer(customer, start=start, end=end, now=now)
        return Response(LedgerSerializer(found).data)


def _period(request: Request, now: datetime) -> tuple[datetime, datetime]:
    start, end = _moment(request, FROM.name), _moment(request, TO.name)
    if start is None:
        start = (end or now) - AROUND
    if end is None:
        end = max(now, start) + AROUND
    _check_period(start, end)
    return start, end


def _check_period(start: datetime, end: datetime) -> None:
    if not start <= end <= start + LONGEST:
        raise Invalid(fields={TO.name: [str(_("Ask for a year at most, the earlier moment first."))]})


def _moment(request: Request, name: str) -> datetime | None:
    asked = request.query_params.get(name)
    if asked is None:
        return None
    try:
        return StrictDateTimeField().run_validation(asked)
    except ValidationError as error:
        raise Invalid(fields={name: [str(text) for text in error.detail]}) from None
