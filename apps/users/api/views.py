"""People over the API: who I am, who works here, and the customers."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    PolymorphicProxySerializer,
    extend_schema,
    inline_serializer,
)
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from apps.core.api.filters import StrictFilterSet
from apps.core.api.idempotency import idempotent
from apps.core.api.permissions import ReadOnly
from apps.core.api.serializers import StrictCharField, StrictIntegerField

from .. import selectors
from ..choices import Role
from ..models import Customer, Team, User
from ..permissions import IsAgent, IsSignedIn, IsSupervisor, user_of
from ..services import customers, people, tickets
from . import preconditions
from .filters import SearchFilter
from .serializers import (
    ColleagueSerializer,
    ContactSerializer,
    CustomerChange,
    CustomerSerializer,
    MergeInput,
    MeSerializer,
    NewCustomer,
    TeamSerializer,
    UserSerializer,
)

IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description='The version you saw, like `"2"`. Else 412.',
)


class MeView(APIView):
    permission_classes = [IsSignedIn]

    @extend_schema(operation_id="me_retrieve", responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """Who you are."""
        return Response(MeSerializer(user_of(request)).data)

    @extend_schema(operation_id="me_update", request=MeSerializer, responses=MeSerializer)
    def patch(self, request: Request) -> Response:
        """Change your name, time zone or language."""
        serializer = MeSerializer(user_of(request), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        user = people.update(user_of(request), by=user_of(request), **serializer.validated_data)
        return Response(MeSerializer(user).data)


class TicketView(APIView):
    permission_classes = [IsAgent]

    @extend_schema(
        operation_id="auth_ticket",
        request=None,
        responses=inline_serializer(
            "Ticket", {"ticket": StrictCharField(), "expires_in": StrictIntegerField()}
        ),
    )
    def post(self, request: Request) -> Response:
        """A ticket that opens one websocket, once, within `expires_in` seconds: send it in the first frame."""
        ticket = tickets.issue(user_of(request), now=timezone.now())
        return Response({"ticket": ticket, "expires_in": int(tickets.LIFETIME.total_seconds())})


class UserFilter(StrictFilterSet):
    class Meta:
        model = User
        fields = {"teams": ["exact"], "is_active": ["exact"]}


class UserViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """The members of your teams: their names; for supervisors also how to reach them and what they may do."""

    queryset = User.objects.none()
    permission_classes = [IsAgent]
    filterset_class = UserFilter
    lookup_value_regex = "[0-9]{1,18}"
    ordering = ("name", "id")

    def get_queryset(self) -> QuerySet[User]:
        return selectors.users_visible_to(user_of(self.request)).prefetch_related("teams", "groups")

    def get_serializer_class(self) -> type[BaseSerializer]:
        return UserSerializer if user_of(self.request).has_role(Role.SUPERVISOR) else ColleagueSerializer

    @extend_schema(
        responses=PolymorphicProxySerializer("AnyUser", [UserSerializer, ColleagueSerializer], None)
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(
        responses=PolymorphicProxySerializer("AnyUser", [UserSerializer, ColleagueSerializer], None)
    )
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().retrieve(request, *args, **kwargs)


class TeamViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """Your teams; for administrators all."""

    queryset = Team.objects.none()
    permission_classes = [IsAgent]
    serializer_class = TeamSerializer
    lookup_value_regex = "[0-9]{1,18}"
    ordering = ("name", "id")

    def get_queryset(self) -> QuerySet[Team]:
        return selectors.teams_visible_to(user_of(self.request))


class CustomerViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """The customers of your teams. Agents read; supervisors and administrators write."""

    queryset = Customer.objects.none()
    serializer_class = CustomerSerializer
    permission_classes: list[Any] = [IsSupervisor | (IsAgent & ReadOnly)]
    filter_backends = [SearchFilter]
    lookup_value_regex = "[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[Customer]:
        return selectors.with_contacts(selectors.customers_visible_to(user_of(self.request)))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One customer. The ETag is the version to send back with a change."""
        return self._answer(self.get_object())

    @extend_schema(request=NewCustomer, responses={201: CustomerSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Make a customer. Addresses and numbers are brought into one form; premium and short numbers are refused."""
        data = NewCustomer(data=request.data, context=self.get_serializer_context())
        data.is_valid(raise_exception=True)
        customer = customers.create(by=user_of(request), **data.to_service())
        return self._answer(customer, status=status.HTTP_201_CREATED)

    @extend_schema(request=CustomerChange, responses=CustomerSerializer, parameters=[IF_MATCH])
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a customer. With a version, only if nobody changed the record since (else 412 `stale_version`)."""
        data = CustomerChange(data=request.data)
        data.is_valid(raise_exception=True)
        changes = dict(data.validated_data)
        version = preconditions.version(request, changes.pop("version", None))
        return self._answer(
            customers.update(self.get_object(), by=user_of(request), version=version, **changes)
        )

    @extend_schema(request=MergeInput, responses=CustomerSerializer)
    @action(detail=True, methods=["post"])
    def merge(self, request: Request, pk: str) -> Response:
        """Make this record and its double one. Contacts, teams and conversations move here; the double disappears."""
        data = MergeInput(data=request.data, context=self.get_serializer_context())
        data.is_valid(raise_exception=True)
        return self._answer(
            customers.merge(self.get_object(), data.validated_data["double"], by=user_of(request))
        )

    @extend_schema(request=ContactSerializer, responses={201: CustomerSerializer})
    @action(detail=True, methods=["post"])
    def contacts(self, request: Request, pk: str) -> Response:
        """Add an address or number; one that is there already stays."""
        data = ContactSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        customer = self.get_object()
        customers.add_contact(customer, by=user_of(request), **data.validated_data)
        return self._answer(customer, status=status.HTTP_201_CREATED)

    @extend_schema(
        responses={204: None},
        parameters=[OpenApiParameter("contact_id", OpenApiTypes.INT, OpenApiParameter.PATH)],
    )
    @action(detail=True, methods=["delete"], url_path=r"contacts/(?P<contact_id>[0-9]{1,18})")
    def remove_contact(self, request: Request, pk: str, contact_id: str) -> Response:
        """Forget an address or number."""
        customers.remove_contact(self.get_object(), contact_id=int(contact_id), by=user_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _answer(self, customer: Customer, *, status: int = 200) -> Response:
        """The record as it is now, for whoever may see it."""
        fresh = selectors.with_contacts(Customer.objects.filter(pk=customer.pk)).get()
        return Response(
            self.get_serializer(fresh).data, status=status, headers={"ETag": f'"{fresh.version}"'}
        )
