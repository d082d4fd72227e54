"""An agent's day, as the API asks for it and tells it."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from apps.core.api.filters import refuse_unknown
from apps.core.api.serializers import LineField, StrictChoiceField, StrictDateTimeField, StrictSerializer
from apps.core.errors import Invalid

from ..choices import State
from ..selectors import AgentDay
from ..working_time import read_day

DATE = OpenApiParameter("date", OpenApiTypes.DATE, description="Default: today, in your time zone.")


def date_of(request: Request) -> date | None:
    """The day that was asked for; Invalid when it is none."""
    refuse_unknown(request, {DATE.name})
    asked = request.query_params.get(DATE.name)
    if asked is None:
        return None
    day = read_day(asked)
    if day is None:
        raise Invalid(fields={DATE.name: [str(_("Write the day like 2026-11-26."))]})
    return day


class IntervalSerializer(StrictSerializer):
    state = StrictChoiceField(choices=State.choices, read_only=True)
    reason = LineField(read_only=True)
    started_at = StrictDateTimeField(read_only=True)
    ended_at = StrictDateTimeField(read_only=True, help_text="Of what still lasts: now.")


class DaySerializer(StrictSerializer):
    """Sums of presence intervals; all parts add up to the whole."""

    date = serializers.DateField(read_only=True)
    time_zone = serializers.SerializerMethodField()
    staffed_seconds = serializers.IntegerField(
        source="time.staffed", read_only=True, help_text="Between signing in and out."
    )
    by_state = serializers.SerializerMethodField(help_text="State → seconds.")
    not_ready_by_reason = serializers.SerializerMethodField(help_text="Reason → seconds.")
    occupancy = serializers.FloatField(
        source="time.occupancy",
        read_only=True,
        allow_null=True,
        help_text="On contact ÷ (on contact + available); null when he was neither.",
    )
    intervals = IntervalSerializer(many=True, read_only=True)

    def get_time_zone(self, day: AgentDay) -> str:
        return str(self.context["zone"])

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField()))
    def get_by_state(self, day: AgentDay) -> dict[str, Any]:
        return {str(state): day.time.of(state) for state in State}

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField()))
    def get_not_ready_by_reason(self, day: AgentDay) -> dict[str, int]:
        return day.time.by_reason
