"""A small API of its own, so that the ground floor is tested without any house on it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django_filters import rest_framework as django_filters
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import mixins, serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from apps.core.api import filters, throttles
from apps.core.api import serializers as strict
from apps.core.api.errors import csrf_failure, handler400, handler403, handler404, handler500
from apps.core.api.idempotency import idempotent
from apps.core.errors import Conflict
from apps.core.models import Event

__all__ = ["csrf_failure", "handler400", "handler403", "handler404", "handler500"]


class Caller:
    """Somebody who is signed in by saying so."""

    is_authenticated = True

    def __init__(self, name: str) -> None:
        self.pk, self.actor_ref = name, f"user:{name}"


class SayWhoYouAre(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        name = request.headers.get("X-Test-Caller")
        return (Caller(name), None) if name else None

    def authenticate_header(self, request: Request) -> str:
        return "Test"


class SayWhoYouAreScheme(OpenApiAuthenticationExtension):
    target_class = SayWhoYouAre
    name = "test"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": "X-Test-Caller"}


class Open:
    authentication_classes = (SayWhoYouAre,)
    permission_classes = (AllowAny,)


class EventSerializer(strict.StrictModelSerializer):
    class Meta:
        model = Event
        fields = ("id", "type", "stream", "payload", "actor", "at")
        read_only_fields = ("id",)


class EventFilters(filters.StrictFilterSet):
    n = django_filters.NumberFilter(field_name="id")
    uid = django_filters.UUIDFilter(method="nothing")
    after = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="gt")
    handled = filters.StrictBooleanFilter(field_name="handlings", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Event
        fields = ("type",)

    def nothing(self, queryset: Any, name: str, value: Any) -> Any:
        return queryset.none()


class EventView(
    Open,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.UpdateModelMixin,
    GenericViewSet,
):
    queryset = Event.objects.all()
    serializer_class = EventSerializer
    filterset_class = EventFilters
    ordering = ("-at",)
    ordering_fields = ("at", "type")
    http_method_names: ClassVar[list[str]] = ["get", "post", "patch"]

    @idempotent
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().create(request, *args, **kwargs)
        if request.data["type"] == "refuse":
            raise Conflict
        if request.data["type"] == "answer-409":
            return Response({}, status=409)
        return response

    @action(detail=False, methods=["get"])
    def raw(self, request: Request) -> Response:
        """Rows as dictionaries, as hot lists have them."""
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset()).values("id", "at", "type"))
        return self.get_paginated_response(rows)


class OtherEvents(Open, mixins.ListModelMixin, GenericViewSet):
    queryset = Event.objects.all()
    serializer_class = EventSerializer
    ordering = ("-at",)


class AllFields(strict.StrictSerializer):
    number = strict.StrictIntegerField(required=False)
    big = strict.StrictIntegerField(required=False, max_value=2**63 - 1)
    share = strict.StrictFloatField(required=False)
    flag = strict.StrictBooleanField(required=False)
    text = strict.StrictCharField(required=False, max_length=5_000, max_bytes=10_000)
    line = strict.LineField(required=False, max_length=200)
    mail = strict.StrictEmailField(required=False)
    zone = strict.ZoneField(required=False)
    uid = strict.StrictUUIDField(required=False)
    at = strict.StrictDateTimeField(required=False)
    choice = strict.StrictChoiceField(required=False, choices=["a", "1"])
    free = strict.StrictJSONField(required=False, max_bytes=1_000)
    event = strict.StrictRelatedField(required=False, queryset=Event.objects.all())
    server = serializers.CharField(read_only=True)
    hidden = serializers.HiddenField(default="h")


class Fields(Open, APIView):
    def post(self, request: Request) -> Response:
        serializer = AllFields(data=request.data)
        serializer.is_valid(raise_exception=True)
        data = dict(serializer.validated_data)
        data["event"] = getattr(data.get("event"), "pk", None)
        return Response(data)


class Fails(Open, APIView):
    """Raises what a test put here."""

    error: ClassVar[Exception] = Exception()

    def get(self, request: Request) -> Response:
        raise self.error


class Closed(APIView):
    """Names no policy."""

    authentication_classes = (SayWhoYouAre,)

    def get(self, request: Request) -> Response:
        return Response({})


class Limited(Open, APIView):
    throttle_classes: ClassVar[list[type]] = [throttles.PerCaller]

    def get(self, request: Request) -> Response:
        return Response({})


class LimitedLogin(Limited):
    throttle_classes: ClassVar[list[type]] = [throttles.Login]


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.LANGUAGE_CODE} {request.user.is_authenticated}")


def stranger(request: HttpRequest) -> HttpResponse:
    """A page that doesn't look who asks."""
    return HttpResponse("hello")


def page_fails(request: HttpRequest) -> HttpResponse:
    raise Fails.error


router = SimpleRouter()
router.register("events", EventView, basename="event")
router.register("others", OtherEvents, basename="other")

urlpatterns = [
    path("api/v1/", include(router.urls)),
    path("api/v1/fields/", Fields.as_view()),
    path("api/v1/fails/", Fails.as_view()),
    path("api/v1/closed/", Closed.as_view()),
    path("api/v1/limited/", Limited.as_view()),
    path("api/v1/login/", LimitedLogin.as_view()),
    path("api/plain/", page_fails),
    path("page/", page),
    path("stranger/", stranger),
    path("page-fails/", page_fails),
    path("health/", include("apps.core.urls")),
]
