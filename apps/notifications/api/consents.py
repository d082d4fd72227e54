"""What a customer wants to be sent, by purpose and way: read and set, with where it comes from."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.permissions import ReadOnly
from apps.core.api.serializers import StrictBooleanField, StrictChoiceField, StrictSerializer, StrictSlugField
from apps.users.models import Customer
from apps.users.permissions import IsAgent, IsSupervisor, user_of
from apps.users.selectors import customers_visible_to

from .. import selectors
from ..choices import ConsentSource, PurposeKind, Way
from ..models import Purpose
from ..services import preferences

WAYS = [(way.value, way.label) for way in preferences.CONTACT_KINDS]
# What another program may say for a customer; the others are the customer's own acts.
SOURCES = [(one.value, one.label) for one in (ConsentSource.API, ConsentSource.STAFF, ConsentSource.IMPORT)]


class ConsentSerializer(StrictSerializer):
    """What holds. Without a word of the customer (`source` and `at` are null) that is everything but marketing."""

    purpose = serializers.CharField(source="purpose.slug")
    name = serializers.CharField(source="purpose.name")
    kind = serializers.ChoiceField(source="purpose.kind", choices=PurposeKind.choices)
    way = serializers.ChoiceField(choices=WAYS)
    is_wanted = serializers.BooleanField()
    source = serializers.ChoiceField(choices=ConsentSource.choices, allow_null=True)  # type: ignore[assignment]
    at = serializers.DateTimeField(allow_null=True)


class ConsentInput(StrictSerializer):
    purpose = StrictSlugField(max_length=50, help_text="The key of a purpose.")
    way = StrictChoiceField(choices=WAYS)
    is_wanted = StrictBooleanField()
    source = StrictChoiceField(choices=SOURCES, default=ConsentSource.API.value)  # type: ignore[assignment]

    def validate_purpose(self, slug: str) -> Purpose:
        found = selectors.purposes_of_customers().filter(slug=slug).first()
        if found is None:
            raise serializers.ValidationError(_("There is no such purpose."), code="does_not_exist")
        return found


class ConsentsView(APIView):
    """Agents read; supervisors and administrators write."""

    permission_classes: list[Any] = [IsSupervisor | (IsAgent & ReadOnly)]

    @extend_schema(operation_id="customer_consents", responses=ConsentSerializer(many=True))
    def get(self, request: Request, pk: int) -> Response:
        """Every purpose customers are written to for, by each way."""
        return self._answer(self._customer(request, pk))

    @extend_schema(
        operation_id="customer_set_consent", request=ConsentInput, responses=ConsentSerializer(many=True)
    )
    def put(self, request: Request, pk: int) -> Response:
        """Set one of them. Saying what holds already changes nothing."""
        row = self._customer(request, pk)
        data = ConsentInput(data=request.data)
        data.is_valid(raise_exception=True)
        said = data.validated_data
        wish = preferences.Wish(said["purpose"].pk, Way(said["way"]), said["is_wanted"])
        source = ConsentSource(said["source"])
        preferences.set_wishes(row, [wish], source=source, by=user_of(request), now=timezone.now())
        return self._answer(row)

    @staticmethod
    def _customer(request: Request, pk: int) -> Customer:
        found = customers_visible_to(user_of(request)).filter(pk=pk).first()
        if found is None:
            raise Http404
        return found

    @staticmethod
    def _answer(customer: Customer) -> Response:
        return Response(ConsentSerializer(selectors.consents_of(customer), many=True).data)
