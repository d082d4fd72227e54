"""Presence: one's own to set, one's teams' to see."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from apps.users.permissions import IsAgent, IsSupervisor, user_of

from .. import selectors
from ..models import Agent
from ..services import agents
from .serializers import PresenceInput, PresenceSerializer


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
        agents.choose(user, now=timezone.now(), by=user, **given.validated_data)
        return self.answer(request)


class HeartbeatView(APIView):
    permission_classes = [IsAgent]

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Stay present for another 30 s; for programs without a desk socket."""
        agents.renew_leases([user_of(request).pk], now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class AgentViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """The agents of your teams: state, since when, and how much of their capacity is taken."""

    queryset = Agent.objects.none()
    permission_classes = [IsSupervisor]
    serializer_class = PresenceSerializer
    lookup_field = "user_id"
    lookup_value_regex = "[0-9]{1,18}"
    ordering = ("id",)

    def get_queryset(self) -> QuerySet[Agent]:
        return selectors.with_presence(selectors.agents_visible_to(user_of(self.request)))
