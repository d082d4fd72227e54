"""What the API says of campaigns."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.serializers import (
    LineField,
    StrictChoiceField,
    StrictDateTimeField,
    StrictIntegerField,
    StrictSerializer,
)

from ..choices import CampaignState, Reason, Way
from ..models import Campaign

_COUNTS = serializers.DictField(child=StrictIntegerField())


class CampaignSerializer(StrictSerializer):
    """One text to many customers."""

    id = StrictIntegerField(read_only=True)
    name = LineField(read_only=True)
    state = StrictChoiceField(choices=CampaignState.choices, read_only=True)
    template = StrictIntegerField(source="template_id", read_only=True)
    ways = serializers.ListField(child=StrictChoiceField(choices=Way.choices), read_only=True)
    team = StrictIntegerField(
        source="team_id", read_only=True, allow_null=True, help_text="Null: everybody's customers."
    )
    segment = StrictIntegerField(
        source="segment_id", read_only=True, allow_null=True, help_text="Null: an uploaded list."
    )
    local_start = serializers.SerializerMethodField(
        help_text="A wall time in `zone`; null: as soon as it is started."
    )
    zone = LineField(read_only=True, help_text="Empty: each recipient's own.")
    per_minute = StrictIntegerField(read_only=True)
    starts_at = StrictDateTimeField(
        read_only=True, allow_null=True, help_text="When its recipients are listed; null: not started."
    )
    ended_at = StrictDateTimeField(read_only=True, allow_null=True)
    created_at = StrictDateTimeField(read_only=True)

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_local_start(self, campaign: Campaign) -> str | None:
        wall = campaign.wall
        return wall.isoformat(timespec="minutes") if wall else None


class ProgressSerializer(StrictSerializer):
    """Counts of messages, one for each recipient and way; `planned` is the sum of the others but `delivered`."""

    planned = StrictIntegerField(read_only=True)
    waiting = StrictIntegerField(read_only=True)
    held = serializers.SerializerMethodField(help_text="By reason.")
    under_way = StrictIntegerField(read_only=True, help_text="In the sending queue.")
    sent = StrictIntegerField(read_only=True)
    delivered = StrictIntegerField(read_only=True, help_text="Of those sent, where the provider says so.")
    suppressed = serializers.SerializerMethodField(help_text="Not sent, by reason.")
    failed = StrictIntegerField(read_only=True)
    review = StrictIntegerField(read_only=True, help_text="Outcome unknown, held for a person.")
    cancelled = StrictIntegerField(read_only=True)

    @extend_schema_field(_COUNTS)
    def get_held(self, progress: Any) -> dict[str, int]:
        return {Reason(reason).value: count for reason, count in progress.held.items()}

    @extend_schema_field(_COUNTS)
    def get_suppressed(self, progress: Any) -> dict[str, int]:
        return {Reason(reason).value: count for reason, count in progress.suppressed.items()}


class CampaignDetailSerializer(CampaignSerializer):
    progress = ProgressSerializer(read_only=True)
