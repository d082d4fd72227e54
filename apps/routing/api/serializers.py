"""What the API shows of queues, people and offers, and what it takes."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from apps.core.api.serializers import (
    LineField,
    StrictBooleanField,
    StrictChoiceField,
    StrictDateTimeField,
    StrictIntegerField,
    StrictRelatedField,
    StrictSerializer,
    StrictSlugField,
)
from apps.messaging.api.serializers import ChatInboxSerializer
from apps.users.models import User

from .. import selectors, waits
from ..choices import CallbackState, CallbackWay, Chosen, ItemState, OfferState, State
from ..models import Agent, NotReadyReason, Offer, Queue


class EstimateSerializer(StrictSerializer):
    """How long it will take, as a range of round numbers: nine in ten waits end in it or sooner."""

    low_seconds = StrictIntegerField(source="low", read_only=True)
    high_seconds = StrictIntegerField(source="high", read_only=True)


class QueueSerializer(StrictSerializer):
    """A queue and its line now. Times are seconds."""

    id = StrictIntegerField(read_only=True)
    name = LineField(read_only=True)
    slug = StrictSlugField(read_only=True)
    team = StrictIntegerField(source="team_id", read_only=True)
    is_active = StrictBooleanField(read_only=True)
    version = StrictIntegerField(read_only=True, help_text="Of the policy; decisions name the one they used.")
    waiting = StrictIntegerField(read_only=True, help_text="Contacts in line, ringing ones included.")
    longest_wait_seconds = serializers.SerializerMethodField(help_text="Of whoever is in line longest.")
    estimate = serializers.SerializerMethodField(help_text="For whoever comes next.")
    agents_signed_in = StrictIntegerField(read_only=True)
    agents_available = StrictIntegerField(read_only=True)
    service_target_seconds = StrictIntegerField(read_only=True)
    service_target_percent = StrictIntegerField(read_only=True)

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_longest_wait_seconds(self, queue: Any) -> int | None:
        if queue.waiting_since is None:
            return None
        return max(int((timezone.now() - queue.waiting_since).total_seconds()), 0)

    @extend_schema_field(EstimateSerializer(allow_null=True))
    def get_estimate(self, queue: Any) -> dict[str, int] | None:
        told = waits.next_estimate(queue)
        return EstimateSerializer(told).data if told else None


class NeedSerializer(StrictSerializer):
    skill = LineField(source="key", read_only=True, help_text="`agent:<id>` asks for one person.")
    level = StrictIntegerField(read_only=True)


class StepSerializer(StrictSerializer):
    """After so many seconds of waiting, agents with these minimum levels may take it too."""

    after = StrictIntegerField(read_only=True)
    if_nobody = StrictBooleanField(read_only=True)
    needs = NeedSerializer(many=True, read_only=True)


class LevelSerializer(StrictSerializer):
    name = LineField(read_only=True)
    credit = StrictIntegerField(read_only=True, help_text="Seconds of waiting given at the start.")


class QueueDetailSerializer(QueueSerializer):
    """A queue with its whole policy."""

    rate = StrictIntegerField(read_only=True)
    w_fit = StrictIntegerField(read_only=True)
    w_idle = StrictIntegerField(read_only=True)
    w_last = StrictIntegerField(read_only=True)
    units = StrictIntegerField(read_only=True, help_text="Of an agent's capacity, taken by each contact.")
    offer_seconds = StrictIntegerField(read_only=True)
    wrap_up_seconds = StrictIntegerField(read_only=True)
    steps = StepSerializer(many=True, read_only=True)
    levels = LevelSerializer(many=True, read_only=True)


class TargetSerializer(StrictSerializer):
    id = StrictIntegerField(read_only=True)
    name = LineField(read_only=True)
    team_name = LineField(source="team.name", read_only=True)


class NotReadyReasonSerializer(StrictSerializer):
    id = StrictIntegerField(read_only=True)
    name = LineField(read_only=True)


class PresenceSerializer(StrictSerializer):
    """One agent: what he chose, and the state that follows from it, his connection and his work."""

    user = StrictIntegerField(source="user_id", read_only=True)
    name = LineField(source="user.name", read_only=True)
    chosen = StrictChoiceField(choices=Chosen.choices, read_only=True)
    state = serializers.SerializerMethodField()
    reason = serializers.SerializerMethodField()
    since = serializers.SerializerMethodField()
    present_until = StrictDateTimeField(
        read_only=True, allow_null=True, help_text="End of his connection's lease."
    )
    capacity = StrictIntegerField(read_only=True, help_text="Units.")
    load = StrictIntegerField(read_only=True, help_text="Units taken by offers, work and wrap-up.")
    skills = serializers.SerializerMethodField(help_text="Skill → level, 1 to 5.")
    teams = serializers.SerializerMethodField(help_text="Ids.")

    @extend_schema_field(serializers.ChoiceField(choices=State.choices))
    def get_state(self, agent: Agent) -> str:
        return str(self._presence(agent).state)

    def get_reason(self, agent: Agent) -> str:
        return self._presence(agent).reason

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_since(self, agent: Agent) -> Any:
        return self._presence(agent).since

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField()))
    def get_skills(self, agent: Agent) -> dict[str, int]:
        return {level.skill.name: level.level for level in agent.levels.all()}

    @extend_schema_field(serializers.ListField(child=serializers.IntegerField()))
    def get_teams(self, agent: Agent) -> list[int]:
        return [team.pk for team in agent.user.teams.all()]

    @staticmethod
    def _presence(agent: Agent) -> selectors.Presence:
        return selectors.presence_of(agent)


@extend_schema_serializer(
    examples=[
        OpenApiExample("Available", value={"chosen": "available"}, request_only=True),
        OpenApiExample("On a break", value={"chosen": "not_ready", "reason": 1}, request_only=True),
    ]
)
class PresenceInput(StrictSerializer):
    chosen = StrictChoiceField(choices=Chosen.choices)
    reason = StrictRelatedField(
        queryset=NotReadyReason.objects.filter(is_active=True),
        required=False,
        allow_null=True,
        default=None,
        help_text="Id of a not-ready reason; needed with `not_ready`.",
    )


@extend_schema_serializer(examples=[OpenApiExample("Two chats", value={"capacity": 8}, request_only=True)])
class AgentChange(StrictSerializer):
    capacity = StrictIntegerField(min_value=0, max_value=1000, required=False, help_text="Units.")


@extend_schema_serializer(examples=[OpenApiExample("A meeting", value={"reason": 1}, request_only=True)])
class PauseInput(StrictSerializer):
    reason = StrictRelatedField(
        queryset=NotReadyReason.objects.filter(is_active=True), help_text="Id of a not-ready reason."
    )


class OfferedCallbackSerializer(StrictSerializer):
    way = StrictChoiceField(choices=CallbackWay.choices, read_only=True)
    phone = LineField(read_only=True, allow_blank=True)
    tries = StrictIntegerField(read_only=True)


class OfferSerializer(StrictSerializer):
    """Somebody is rung for a conversation until `expires_at`."""

    id = StrictIntegerField(read_only=True)
    state = StrictChoiceField(choices=OfferState.choices, read_only=True)
    epoch = StrictIntegerField(read_only=True, help_text="Send it with `accept` to accept just this offer.")
    offered_at = StrictDateTimeField(read_only=True)
    expires_at = StrictDateTimeField(read_only=True)
    conversation = StrictIntegerField(source="item.conversation_id", read_only=True)
    queue = LineField(source="item.queue.name", read_only=True)
    customer = LineField(source="item.conversation.customer.__str__", read_only=True)
    waiting_since = StrictDateTimeField(source="item.at", read_only=True)
    callback = serializers.SerializerMethodField(
        help_text="How the customer wants to be reached, if he asked."
    )
    why = serializers.SerializerMethodField(
        help_text="The terms of the score: name, raw value, weight, seconds."
    )

    @extend_schema_field(OfferedCallbackSerializer(allow_null=True))
    def get_callback(self, offer: Offer) -> dict[str, Any] | None:
        callback = selectors.callback_of(offer.item.conversation)
        return OfferedCallbackSerializer(callback).data if callback else None

    @extend_schema_field(serializers.ListField(child=serializers.ListField()))
    def get_why(self, offer: Offer) -> list:
        return offer.decision.terms if offer.decision else []


@extend_schema_serializer(
    examples=[
        OpenApiExample("Any", value={}, request_only=True),
        OpenApiExample("This one", value={"epoch": 3}),
    ]
)
class AcceptInput(StrictSerializer):
    epoch = StrictIntegerField(min_value=0, required=False, allow_null=True, default=None)


class DecisionSerializer(StrictSerializer):
    """Why this agent, and why not the others."""

    id = StrictIntegerField(read_only=True)
    at = StrictDateTimeField(read_only=True)
    agent = StrictIntegerField(source="agent.user_id", read_only=True)
    agent_name = LineField(source="agent.user.name", read_only=True)
    queue = LineField(source="queue.name", read_only=True)
    policy = StrictIntegerField(read_only=True, help_text="Version of the queue's policy.")
    score = StrictIntegerField(read_only=True, help_text="Seconds of waiting; the sum of its terms.")
    step = StrictIntegerField(
        read_only=True, help_text="Index of the first open step that accepts the agent."
    )
    terms = serializers.ListField(child=serializers.ListField(), read_only=True)
    others = serializers.SerializerMethodField()
    outcome = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ListField(child=serializers.DictField()))
    def get_others(self, decision: Any) -> list[dict[str, Any]]:
        others = self.context["others"][decision.pk]
        return [{"agent_name": o.agent_name, "score": o.score, "reason": o.reason} for o in others]

    def get_outcome(self, decision: Any) -> str:
        return selectors.outcome_of(decision)


@extend_schema_serializer(
    examples=[
        OpenApiExample("To a queue", value={"queue": 2}, request_only=True),
        OpenApiExample("To an agent", value={"agent": 7}, request_only=True),
    ]
)
class TransferInput(StrictSerializer):
    """Just one of the two."""

    queue = StrictRelatedField(queryset=Queue.objects.none(), required=False)
    agent = StrictRelatedField(queryset=User.objects.none(), required=False, help_text="Id of the user.")

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        if user := self.context.get("by"):
            fields["queue"].queryset = Queue.objects.filter(is_active=True)
            fields["agent"].queryset = selectors.colleagues_of(user)
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Name a queue or an agent.", code="one_of")
        return attrs


class AssignInput(StrictSerializer):
    agent = StrictRelatedField(queryset=User.objects.none(), help_text="Id of the user.")

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        if user := self.context.get("by"):
            fields["agent"].queryset = selectors.colleagues_of(user)
        return fields


class OpeningSerializer(StrictSerializer):
    opens_at = StrictDateTimeField(read_only=True)
    closes_at = StrictDateTimeField(read_only=True)


class StandingSerializer(StrictSerializer):
    """What customers may know of a queue."""

    is_staffed = StrictBooleanField(
        read_only=True, help_text="Whether anybody is signed in for it, and it is open."
    )
    is_open = StrictBooleanField(read_only=True, help_text="By its opening hours.")
    is_full = StrictBooleanField(
        read_only=True, help_text="Too many wait, or for too long: leave a message instead."
    )
    opens_at = StrictDateTimeField(read_only=True, allow_null=True, help_text="While it is closed.")
    closes_at = StrictDateTimeField(
        read_only=True, allow_null=True, help_text="While it is open, if it closes."
    )
    closed_because = LineField(
        read_only=True, allow_blank=True, help_text="The holiday or special day, if it is one."
    )
    openings = OpeningSerializer(
        many=True, read_only=True, help_text="In the next eight days; empty when it never closes."
    )
    offers_callback = StrictBooleanField(
        read_only=True, help_text="Whether you may ask to be called, or written to, when it is your turn."
    )
    estimate = EstimateSerializer(read_only=True, allow_null=True)


class VisitorCallbackSerializer(StrictSerializer):
    """How you are reached when it is your turn."""

    way = StrictChoiceField(choices=CallbackWay.choices, read_only=True)
    phone = LineField(read_only=True, allow_blank=True)
    due_at = StrictDateTimeField(read_only=True, allow_null=True, help_text="When we try again.")


@extend_schema_serializer(
    examples=[
        OpenApiExample("Call me", value={"way": "call", "phone": "+4930901820"}, request_only=True),
        OpenApiExample("Write to me", value={"way": "write"}, request_only=True),
    ]
)
class CallbackInput(StrictSerializer):
    way = StrictChoiceField(choices=CallbackWay.choices)
    phone = LineField(max_length=40, required=False, allow_blank=True, default="")


class WaitSerializer(StandingSerializer):
    """A customer's place in line."""

    state = StrictChoiceField(choices=[*ItemState.choices, ("closed", "Closed")], read_only=True)
    position = StrictIntegerField(read_only=True, allow_null=True, help_text="1 is the next one.")
    callback = VisitorCallbackSerializer(read_only=True, allow_null=True)


class AvailabilitySerializer(StandingSerializer):
    inbox = ChatInboxSerializer(read_only=True)
    waiting = StrictIntegerField(read_only=True)


class CallbackSerializer(StrictSerializer):
    """A customer who is called, or written to, when it is his turn."""

    id = StrictIntegerField(read_only=True)
    conversation = StrictIntegerField(source="conversation_id", read_only=True)
    customer = LineField(source="conversation.customer.__str__", read_only=True)
    queue = LineField(source="conversation.item.queue.name", read_only=True)
    way = StrictChoiceField(choices=CallbackWay.choices, read_only=True)
    phone = LineField(read_only=True, allow_blank=True, help_text="E.164.")
    state = StrictChoiceField(choices=CallbackState.choices, read_only=True)
    tries = StrictIntegerField(read_only=True)
    requested_at = StrictDateTimeField(read_only=True)
    due_at = StrictDateTimeField(
        read_only=True, allow_null=True, help_text="Of the next try, after one that failed."
    )
    expires_at = StrictDateTimeField(read_only=True, allow_null=True)
    ended_at = StrictDateTimeField(read_only=True, allow_null=True)


class OutcomeInput(StrictSerializer):
    outcome = StrictChoiceField(choices=[("reached", "Reached"), ("not_reached", "Not reached")])


class SnoozeInput(StrictSerializer):
    until = StrictDateTimeField(help_text="Within the next 90 days.")
