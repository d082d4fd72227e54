"""What the API shows of people, and what it takes."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from apps.core.api.serializers import (
    LineField,
    StrictBooleanField,
    StrictChoiceField,
    StrictIntegerField,
    StrictJSONField,
    StrictModelSerializer,
    StrictRelatedField,
    StrictSerializer,
    ZoneField,
)

from .. import policy, selectors
from ..choices import ContactKind, Role
from ..models import ContactPoint, Customer, Team, User, validate_attributes
from ..permissions import user_of
from ..services.customers import Contact

# What one call may bring along; more than a person has.
MOST_CONTACTS = 20


class TeamSerializer(StrictModelSerializer):
    class Meta:
        model = Team
        fields = ["id", "name"]


class ColleagueSerializer(StrictModelSerializer):
    """A user as other agents see him."""

    class Meta:
        model = User
        fields = ["id", "name"]


class UserSerializer(StrictModelSerializer):
    """A user as supervisors see him."""

    teams = TeamSerializer(many=True, read_only=True)
    role = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ["id", "name", "email", "role", "teams", "time_zone", "language", "is_active", "created_at"]

    @extend_schema_field(StrictChoiceField(choices=Role.choices, allow_null=True))
    def get_role(self, user: User) -> str | None:
        # From the prefetched groups, so that a page of users costs no query each.
        own = {group.name for group in user.groups.all() if group.name in Role.values}
        return policy.highest(own | {Role.ADMIN} if user.is_superuser else own)


class MeSerializer(UserSerializer):
    """Who is asking; name, time zone and language may be changed here."""

    name = LineField(max_length=100)
    time_zone = ZoneField()
    language = StrictChoiceField(choices=settings.LANGUAGES)

    class Meta(UserSerializer.Meta):
        read_only_fields = ["id", "email", "is_active", "created_at"]


class ContactSerializer(StrictModelSerializer):
    kind = StrictChoiceField(choices=ContactKind.choices)
    value = LineField(max_length=254, help_text="An e-mail address, or an international phone number.")
    is_verified = StrictBooleanField(default=False)

    class Meta:
        model = ContactPoint
        fields = ["id", "kind", "value", "is_verified"]
        # The service knows what is unique, and says so in better words.
        validators: list = []


class OwnTeamField(StrictRelatedField):
    """Only teams of whoever asks: others do not exist for him."""

    def get_queryset(self) -> Any:
        return selectors.teams_visible_to(user_of(self.context["request"]))


class VisibleCustomerField(StrictRelatedField):
    """Only customers whoever asks may see."""

    def get_queryset(self) -> Any:
        return selectors.customers_visible_to(user_of(self.context["request"]))


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A customer",
            value={
                "id": 7,
                "name": "Ada Lovelace",
                "time_zone": "Europe/London",
                "language": "en",
                "external_id": "crm-1815",
                "attributes": {"plan": "gold"},
                "contacts": [{"id": 3, "kind": "phone", "value": "+442079460018", "is_verified": False}],
                "teams": [{"id": 1, "name": "Support"}],
                "version": 2,
                "created_at": "2026-03-01T09:30:00Z",
            },
            response_only=True,
        )
    ]
)
class CustomerSerializer(StrictModelSerializer):
    contacts = ContactSerializer(source="contact_points", many=True, read_only=True)
    teams = TeamSerializer(many=True, read_only=True)

    class Meta:
        model = Customer
        fields = [
            "id",
            "name",
            "time_zone",
            "language",
            "external_id",
            "attributes",
            "contacts",
            "teams",
            "version",
            "created_at",
        ]
        read_only_fields = fields


class CustomerInput(StrictSerializer):
    name = LineField(max_length=200, max_bytes=800, allow_blank=True, required=False)
    time_zone = ZoneField(allow_blank=True, required=False)
    language = LineField(max_length=10, allow_blank=True, required=False)
    external_id = LineField(max_length=100, allow_null=True, allow_blank=True, required=False)
    attributes = StrictJSONField(required=False, validators=[validate_attributes])


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A new customer",
            value={
                "name": "Ada Lovelace",
                "time_zone": "Europe/London",
                "contacts": [{"kind": "phone", "value": "+44 20 7946 0018"}],
                "teams": [1],
            },
            request_only=True,
        )
    ]
)
class NewCustomer(CustomerInput):
    contacts = ContactSerializer(many=True, required=False, max_length=MOST_CONTACTS)  # type: ignore[call-arg]
    teams = OwnTeamField(
        queryset=Team.objects.none(),
        many=True,
        required=False,
        help_text="Who sees the customer; your own teams if you leave it out.",
    )

    def to_service(self) -> dict[str, Any]:
        """Arguments of `customers.create`."""
        data = dict(self.validated_data)
        data["contacts"] = [Contact(**contact) for contact in data.pop("contacts", [])]
        data.setdefault("teams", list(user_of(self.context["request"]).teams.all()))
        return data


@extend_schema_serializer(
    examples=[OpenApiExample("Rename", value={"name": "Ada King", "version": 2}, request_only=True)]
)
class CustomerChange(CustomerInput):
    version = StrictIntegerField(
        required=False,
        min_value=1,
        help_text="Change only this version of the record. The If-Match header may say it too.",
    )


@extend_schema_serializer(examples=[OpenApiExample("Merge", value={"double": 8}, request_only=True)])
class MergeInput(StrictSerializer):
    double = VisibleCustomerField(
        queryset=Customer.objects.none(), help_text="The record that becomes part of the one in the address."
    )
