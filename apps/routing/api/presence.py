"""Presence: one's own to set, one's teams' to see."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from apps.users.permissions import IsAgent, IsSupervisor, user_of

from .. import errors, selectors
from ..models import Agent
from ..services import agents, clock, supervision
from .days import DATE, DaySerializer, date_of
from .serializers import AgentChange, PauseInput, PresenceInput, PresenceSerializer


class PresenceView(APIView):
    permission_classes = [IsAgent]

    def answer(self, request: Request) -> Response:
        agent = agents.of(user_of(request))
        return Response(
            PresenceSerializer(selectors.with_presence(Agent.objects.filter(pk=agent.pk)).get()).data
        )

    @extend_schema(responses=PresenceSerializer)
    def get(self, request: Request) -> Response:
        """Your own presence."""
        return self.answer(request)

    @extend_schema(request=PresenceInput, responses=PresenceSerializer)
    def put(self, request: Request) -> Response:
        """Say what you are: available, not ready (with a reason) or signed out. Renews your lease for 30 s."""
        given = PresenceInput(data=request.data)
        given.is_valid(raise_exception=True)
        user = user_of(request)
        agents.choose(user, now=clock.now(), by=user, **given.validated_data)
        return self.answer(request)


class OwnDayView(APIView):
    permission_classes = [IsAgent]

    @extend_schema(operation_id="presence_day", parameters=[DATE], responses=DaySerializer)
    def get(self, request: Request) -> Response:
        """Your own day: how long you were in which state."""
        own = Agent.objects.filter(user=user_of(request)).values_list("pk", flat=True).first()
        return day_answer(request, own)


class HeartbeatView(APIView):
    permission_classes = [IsAgent]

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Stay present for another 30 s; for programs without a desk socket.

        409 `agent_not_there` when you are signed out, by yourself or because you were silent for too long.
        """
        if not agents.renew_leases([user_of(request).pk], now=clock.now()):
            raise errors.AgentNotThere
        return Response(status=status.HTTP_204_NO_CONTENT)


class AgentViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """The agents of your teams: state, since when, and how much of their capacity is taken."""

    queryset = Agent.objects.none()
    permission_classes = [IsSupervisor]
    serializer_class = PresenceSerializer
    query_parameters: tuple[str, ...] = ()
    lookup_field = "user_id"
    lookup_value_regex = "[0-9]{1,18}"
    ordering = ("id",)

    def get_queryset(self) -> QuerySet[Agent]:
        return selectors.with_presence(selectors.agents_visible_to(user_of(self.request)))

    def answer(self) -> Response:
        return Response(PresenceSerializer(self.get_object()).data)

    def given(self, serializer: type[BaseSerializer]) -> dict[str, Any]:
        data = serializer(data=self.request.data)
        data.is_valid(raise_exception=True)
        return data.validated_data

    @extend_schema(request=AgentChange, responses=PresenceSerializer)
    def partial_update(self, request: Request, user_id: str) -> Response:
        """Change the capacity. 409 when the agent holds more than that now."""
        agent, given = self.get_object(), self.given(AgentChange)
        if "capacity" in given:
            supervision.set_capacity(agent, capacity=given["capacity"], by=user_of(request))
        return self.answer()

    @extend_schema(request=PauseInput, responses=PresenceSerializer)
    @action(detail=True, methods=["post"], url_path="not-ready")
    def not_ready(self, request: Request, user_id: str) -> Response:
        """Pause an agent who is signed in. What rings at him rings elsewhere; his work stays his."""
        agent, given = self.get_object(), self.given(PauseInput)
        supervision.pause(agent, reason=given["reason"], by=user_of(request), now=clock.now())
        return self.answer()

    @extend_schema(request=None, responses=PresenceSerializer)
    @action(detail=True, methods=["post"], url_path="sign-out")
    def sign_out(self, request: Request, user_id: str) -> Response:
        """Sign an agent out at once: sessions and tokens end, and his work waits again at its old place."""
        supervision.sign_out(self.get_object(), by=user_of(request), now=clock.now())
        return self.answer()

    @extend_schema(parameters=[DATE], responses=DaySerializer)
    @action(detail=True, query_parameters=(DATE.name,))
    def day(self, request: Request, user_id: str) -> Response:
        """An agent's day: how long he was in which state, exact to the second, in your time zone."""
        return day_answer(request, self.get_object().pk)


def day_answer(request: Request, agent_id: int | None) -> Response:
    zone = ZoneInfo(user_of(request).time_zone)
    now = clock.now()
    asked = date_of(request) or now.astimezone(zone).date()
    shown = selectors.day_of(agent_id, day=asked, zone=zone, now=now)
    return Response(DaySerializer(shown, context={"zone": zone}).data)
