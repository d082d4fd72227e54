"""What one may ask about a contact that does not exist, and what is answered."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from apps.core.api.serializers import (
    LineField,
    StrictBooleanField,
    StrictIntegerField,
    StrictRelatedField,
    StrictSerializer,
    StrictSlugField,
)
from apps.users.models import Customer
from apps.users.selectors import customers_visible_to

from ..policy_drafts import HIGHEST_LEVEL, MOST_SECONDS

MOST_NEEDS = 20


class NeedInput(StrictSerializer):
    skill = StrictSlugField(max_length=50)
    level = StrictIntegerField(min_value=1, max_value=HIGHEST_LEVEL, required=False, default=1)


@extend_schema_serializer(
    examples=[
        OpenApiExample("A stranger, now", value={}, request_only=True),
        OpenApiExample(
            "A VIP who needs more",
            value={"priority": "vip", "waited_seconds": 20, "needs": [{"skill": "english", "level": 4}]},
            request_only=True,
        ),
    ]
)
class TrialInput(StrictSerializer):
    priority = StrictSlugField(
        max_length=50,
        required=False,
        default="",
        help_text="One of the queue's levels; else the customer's own.",
    )
    customer = StrictRelatedField(
        queryset=Customer.objects.none(), required=False, allow_null=True, default=None
    )
    waited_seconds = StrictIntegerField(min_value=0, max_value=MOST_SECONDS, required=False, default=0)
    needs = NeedInput(
        many=True, required=False, default=list, help_text="On top of what the queue's steps ask."
    )

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        if user := self.context.get("by"):
            fields["customer"].queryset = customers_visible_to(user)
        return fields

    def validate_needs(self, needs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(needs) > MOST_NEEDS:
            raise serializers.ValidationError(f"{MOST_NEEDS} at most.", code="too_many")
        return needs

    def wish(self) -> dict[str, Any]:
        given = self.validated_data
        return given | {"needs": tuple((need["skill"], need["level"]) for need in given["needs"])}


class TermSerializer(StrictSerializer):
    name = LineField(read_only=True)
    raw = StrictIntegerField(read_only=True)
    weight = StrictIntegerField(read_only=True)
    value = StrictIntegerField(read_only=True, help_text="Seconds of waiting.")


class StandingSerializer(StrictSerializer):
    agent = StrictIntegerField(source="agent.user_id", read_only=True)
    agent_name = LineField(source="agent.user.name", read_only=True)
    score = StrictIntegerField(read_only=True, allow_null=True, help_text="Of who could have it.")
    reason = LineField(read_only=True, help_text="Why not; empty for who would be rung.")
    terms = TermSerializer(many=True, read_only=True)


class TrialSerializer(StrictSerializer):
    """The live ranking."""

    winner = StandingSerializer(read_only=True, allow_null=True, help_text="null: it would wait.")
    others = StandingSerializer(many=True, read_only=True)
    step = StrictIntegerField(read_only=True, allow_null=True, help_text="Index of the step that let him in.")
    version = StrictIntegerField(read_only=True, help_text="Of the queue's policy.")
    waiting = StrictIntegerField(read_only=True, help_text="In line in this queue now.")
    is_closed = StrictBooleanField(read_only=True, help_text="Nobody is rung before it opens.")
