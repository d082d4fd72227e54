"""What the API shows of reminders, appointments and what became of them, and what it takes."""

from __future__ import annotations

from datetime import date, time
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from apps.core.api.serializers import (
    LineField,
    StrictBooleanField,
    StrictCharField,
    StrictChoiceField,
    StrictDateTimeField,
    StrictIntegerField,
    StrictModelSerializer,
    StrictRelatedField,
    StrictSerializer,
    StrictSlugField,
    ZoneField,
)
from apps.messaging.models import Conversation
from apps.messaging.selectors import conversations_visible_to
from apps.users.api.serializers import OwnTeamField, VisibleCustomerField
from apps.users.models import Customer, Team, User
from apps.users.permissions import user_of
from apps.users.selectors import users_visible_to

from .. import selectors
from ..choices import CatchUp, Fate, Reason, ReminderState, Way
from ..models import Appointment, Reminder, Template
from ..services import reminders

WAYS = [(way.value, way.label) for way in (Way.EMAIL, Way.SMS, Way.IN_APP)]


class WallDateField(serializers.DateField):
    """A day of the calendar, like 2026-11-26."""

    def to_internal_value(self, value: Any) -> date:
        if not isinstance(value, str) or len(value) != 10 or not value.isascii():
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)


class WallTimeField(serializers.TimeField):
    """What a clock on the wall shows, to the minute, like 09:30."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="%H:%M", input_formats=["%H:%M"], **kwargs)

    def to_internal_value(self, value: Any) -> time:
        if not isinstance(value, str) or len(value) != 5 or not value.isascii():
            self.fail("invalid", format="hh:mm")
        return super().to_internal_value(value)


class TemplateField(StrictSlugField):
    """A template by its short name, which is the same in every installation for the ready-made ones."""

    default_error_messages = {"unknown": _("There is no such template, or it is switched off.")}

    def run_validation(self, data: Any = serializers.empty) -> Any:
        slug = super().run_validation(data)
        template = self.get_queryset().filter(slug=slug).select_related("purpose").first()
        if template is None:
            self.fail("unknown")
        return template

    def get_queryset(self) -> QuerySet[Template]:
        return Template.objects.filter(is_active=True, version__gt=0)


class VisibleUserField(StrictRelatedField):
    def get_queryset(self) -> Any:
        return users_visible_to(user_of(self.context["request"])).filter(is_active=True)


class VisibleConversationField(StrictRelatedField):
    def get_queryset(self) -> Any:
        return conversations_visible_to(user_of(self.context["request"]))


class VisibleAppointmentField(StrictRelatedField):
    def get_queryset(self) -> Any:
        return selectors.appointments_visible_to(user_of(self.context["request"]))


# Appointments


class AppointmentSerializer(StrictModelSerializer):
    class Meta:
        model = Appointment
        fields = [
            "id",
            "customer",
            "team",
            "title",
            "starts_at",
            "is_cancelled",
            "external_id",
            "created_at",
        ]
        read_only_fields = fields


class NewAppointment(StrictSerializer):
    customer = VisibleCustomerField(queryset=Customer.objects.none())
    team = OwnTeamField(queryset=Team.objects.none())
    title = LineField(max_length=200)
    starts_at = StrictDateTimeField()
    external_id = LineField(max_length=100, required=False, allow_null=True)


class AppointmentMove(StrictSerializer):
    starts_at = StrictDateTimeField()


# Reminders


class ReminderSerializer(StrictModelSerializer):
    template = StrictSlugField(source="template.slug", read_only=True)
    ways = serializers.ListField(child=StrictChoiceField(choices=WAYS), read_only=True)
    time = WallTimeField(read_only=True)
    state = StrictChoiceField(choices=ReminderState.choices, read_only=True)

    class Meta:
        model = Reminder
        fields = [
            "id",
            "template",
            "ways",
            "customer",
            "user",
            "conversation",
            "appointment",
            "team",
            "note",
            "date",
            "time",
            "zone",
            "rrule",
            "offset_minutes",
            "expires_at",
            "catch_up",
            "state",
            "next_at",
            "created_at",
        ]
        read_only_fields = fields


WHEN = {
    "fold": "Of a time that the clocks show twice that night: 0 the first, 1 the second.",
    "zone": "Empty: the recipient's own.",
}


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Every day",
            value={
                "template": "follow-up",
                "ways": ["email"],
                "customer": 7,
                "date": "2026-12-01",
                "time": "09:00",
                "rrule": "FREQ=DAILY;COUNT=5",
                "note": "Please send us the signed papers.",
            },
            request_only=True,
        ),
        OpenApiExample(
            "A day before an appointment",
            value={
                "template": "appointment-reminder",
                "ways": ["email", "sms"],
                "customer": 7,
                "appointment": 12,
                "offset_minutes": -1440,
            },
            request_only=True,
        ),
    ]
)
class NewReminder(StrictSerializer):
    """Either `date` and `time`, or `appointment` and `offset_minutes`; either a `customer` or a `user`."""

    template = TemplateField()
    ways = serializers.ListField(child=StrictChoiceField(choices=WAYS), min_length=1, max_length=3)
    customer = VisibleCustomerField(queryset=Customer.objects.none(), required=False)
    user = VisibleUserField(queryset=User.objects.none(), required=False)
    conversation = VisibleConversationField(queryset=Conversation.objects.none(), required=False)
    appointment = VisibleAppointmentField(queryset=Appointment.objects.none(), required=False)
    offset_minutes = StrictIntegerField(required=False, help_text="-1440 is a day before the appointment.")
    date = WallDateField(required=False)
    time = WallTimeField(required=False)
    fold = StrictIntegerField(min_value=0, max_value=1, required=False, help_text=WHEN["fold"])
    zone = ZoneField(allow_blank=True, required=False, help_text=WHEN["zone"])
    rrule = LineField(max_length=300, required=False, help_text="RFC 5545, like FREQ=WEEKLY;BYDAY=MO,TH.")
    note = StrictCharField(
        max_length=500, max_bytes=2000, required=False, help_text="The text's {reminder.note}."
    )
    expires_at = StrictDateTimeField(required=False)
    catch_up = StrictChoiceField(choices=CatchUp.choices, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("customer" in attrs) == ("user" in attrs):
            raise serializers.ValidationError({"customer": [_("Name either a customer or a user.")]})
        return attrs

    def plan(self, *, by: User) -> reminders.Plan:
        data = dict(self.validated_data)
        customer = data.pop("customer", None)
        to = customer or data.pop("user", None)
        return reminders.Plan(to=to, team=selectors.team_for(by, customer), **data)


class ReminderMove(StrictSerializer):
    date = WallDateField()
    time = WallTimeField()
    fold = StrictIntegerField(min_value=0, max_value=1, required=False, help_text=WHEN["fold"])
    zone = ZoneField(required=False, help_text="Left out: as it was.")


# The ledger


class LineSerializer(StrictSerializer):
    """One thing by one way: what became of it, or will."""

    meant_for = StrictDateTimeField(read_only=True)
    at = StrictDateTimeField(
        read_only=True, allow_null=True, help_text="When it went out, or will; null: it does not."
    )
    fate = StrictChoiceField(choices=Fate.choices, read_only=True)
    reason = StrictChoiceField(
        choices=Reason.choices,
        read_only=True,
        allow_null=True,
        help_text="Why it went out late, or did not go out.",
    )
    detail = StrictCharField(read_only=True, help_text="Of what failed: what the provider said.")
    way = StrictChoiceField(source="row.way", choices=Way.choices, read_only=True)
    cause = LineField(source="row.cause", read_only=True, help_text="What it is about, like `reminder:12`.")
    template = serializers.SerializerMethodField(help_text="Its short name; null: it has none.")
    delivery = StrictIntegerField(
        source="row.pk", read_only=True, allow_null=True, help_text="null: it is still to be made."
    )

    @extend_schema_field(StrictSlugField(allow_null=True))
    def get_template(self, line: Any) -> str | None:
        version = line.row.template_version
        return version.template.slug if version else None


class LedgerSerializer(StrictSerializer):
    is_cut = StrictBooleanField(
        read_only=True, help_text="There is more than is shown; ask for a shorter period."
    )
    lines = LineSerializer(many=True, read_only=True)
