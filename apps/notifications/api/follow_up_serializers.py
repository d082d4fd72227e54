"""What the API takes of follow-ups, and shows of answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from apps.core.api.serializers import (
    StrictCharField,
    StrictChoiceField,
    StrictDateTimeField,
    StrictIntegerField,
    StrictSerializer,
    ZoneField,
)

from .. import selectors
from ..choices import DeliveryState, ErrorKind, Reason, Way
from ..models import Template
from ..services import follow_ups
from .serializers import WHEN, TemplateField, WallDateField, WallTimeField

ME, CUSTOMER = "me", "customer"
WAYS = [(way.value, way.label) for way in (Way.EMAIL, Way.SMS)]
QUEUED = "queued"


class FollowUpTemplateField(TemplateField):
    def get_queryset(self) -> QuerySet[Template]:
        return selectors.follow_up_templates()


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "For yourself",
            value={"whom": "me", "date": "2026-12-01", "time": "09:00", "text": "Has the parcel come?"},
            request_only=True,
        ),
        OpenApiExample(
            "For the customer",
            value={
                "whom": "customer",
                "ways": ["email"],
                "date": "2026-12-01",
                "time": "09:00",
                "text": "Please send us the signed papers.",
            },
            request_only=True,
        ),
    ]
)
class NewFollowUp(StrictSerializer):
    """`ways` and `template` are for the customer; for yourself it is a notice in the console."""

    whom = StrictChoiceField(choices=[(ME, _("me")), (CUSTOMER, _("the customer"))])
    date = WallDateField()
    time = WallTimeField()
    fold = StrictIntegerField(min_value=0, max_value=1, required=False, help_text=WHEN["fold"])
    zone = ZoneField(required=False, help_text="Of the date and time. Left out: your own.")
    ways = serializers.ListField(
        child=StrictChoiceField(choices=WAYS), min_length=1, max_length=2, required=False
    )
    template = FollowUpTemplateField(required=False, help_text="Left out: your text is all there is.")
    text = StrictCharField(
        max_length=500, max_bytes=2000, required=False, help_text="The template's {reminder.note}."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["whom"] == CUSTOMER and "ways" not in attrs:
            raise serializers.ValidationError({"ways": [_("Say how to reach the customer.")]})
        if attrs["whom"] == ME and (idle := attrs.keys() & {"ways", "template"}):
            raise serializers.ValidationError({name: [_("This is for the customer only.")] for name in idle})
        return attrs

    @property
    def is_for_customer(self) -> bool:
        return self.validated_data["whom"] == CUSTOMER

    def wish(self, *, zone: ZoneInfo) -> follow_ups.Wish:
        given = self.validated_data
        return follow_ups.Wish(
            at=datetime.combine(given["date"], given["time"]),
            zone=ZoneInfo(given["zone"]) if given.get("zone") else zone,
            text=given.get("text", ""),
            fold=given.get("fold"),
            template=given.get("template"),
            ways=tuple(given.get("ways", ())),
        )


class AnswerSerializer(StrictSerializer):
    """An agent's message, and how far it came."""

    seq = StrictIntegerField(source="message.seq", read_only=True, help_text="Of the message.")
    at = StrictDateTimeField(source="message.at", read_only=True)
    state = StrictChoiceField(
        choices=[(QUEUED, _("Queued")), *DeliveryState.choices],
        read_only=True,
        help_text="`queued`: its delivery is made in a moment. `sent`: the provider has taken it.",
    )
    reason = StrictChoiceField(
        choices=Reason.choices, read_only=True, allow_null=True, help_text="Why it was not sent."
    )
    error = StrictChoiceField(
        choices=ErrorKind.choices, read_only=True, allow_null=True, help_text="Of the last try, if it failed."
    )
    detail = StrictCharField(
        read_only=True, help_text="What the provider said to the last try, word for word."
    )
    came_back = StrictChoiceField(
        choices=[("bounced", _("bounced")), ("failed", _("failed"))],
        read_only=True,
        allow_null=True,
        help_text="What the provider told afterwards.",
    )
    hindrance = StrictChoiceField(
        choices=[
            ("no_gateway", _("no gateway is switched on")),
            ("paused", _("the sending queue is paused")),
            ("resting", _("the gateway rests after failures")),
        ],
        read_only=True,
        allow_null=True,
        help_text="Why what waits does not go out at the moment.",
    )
    due_at = StrictDateTimeField(read_only=True, allow_null=True, help_text="When it is tried (again).")
    sent_at = StrictDateTimeField(read_only=True, allow_null=True)
    delivered_at = StrictDateTimeField(read_only=True, allow_null=True)
    delivery = StrictIntegerField(read_only=True, allow_null=True)
