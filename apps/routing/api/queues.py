"""Queues: their lines and their people, now."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ReadOnlyModelViewSet

from apps.users.permissions import IsAgent, IsSupervisor, user_of

from .. import selectors, waits
from ..models import NotReadyReason, Queue
from ..services import clock, trial
from .serializers import NotReadyReasonSerializer, QueueDetailSerializer, QueueSerializer, TargetSerializer
from .trial import TrialInput, TrialSerializer


class QueueViewSet(ReadOnlyModelViewSet):
    """The queues of your teams, each with the figures of its line. A constant number of queries."""

    queryset = Queue.objects.none()
    permission_classes = [IsAgent]
    serializer_class = QueueSerializer
    lookup_value_regex = "[0-9]{1,18}"
    ordering = ("id",)

    def get_queryset(self) -> QuerySet[Queue]:
        now = clock.now()
        queues = selectors.with_line(selectors.queues_visible_to(user_of(self.request)), now=now)
        queues = waits.with_places(queues, now=now)
        return selectors.with_policy(queues) if self.action == "retrieve" else queues

    def get_serializer_class(self) -> type[BaseSerializer]:
        return QueueDetailSerializer if self.action == "retrieve" else QueueSerializer

    @extend_schema(responses=TargetSerializer(many=True))
    @action(detail=False)
    def targets(self, request: Request) -> Response:
        """Every queue that a conversation can be passed on to, those of other departments too: only their names."""
        page = self.paginate_queryset(self.filter_queryset(selectors.queues_to_pass_on_to()))
        return self.get_paginated_response(TargetSerializer(page, many=True).data)

    @extend_schema(request=TrialInput, responses=TrialSerializer)
    @action(detail=True, methods=["post"], url_path="try", permission_classes=[IsSupervisor])
    def try_it(self, request: Request, pk: str) -> Response:
        """Who would get a contact now, and why not the others. Nothing is changed, nobody is rung."""
        queue = self.get_object()
        given = TrialInput(data=request.data, context={"by": user_of(request)})
        given.is_valid(raise_exception=True)
        wish = trial.Wish(queue=queue, **given.wish())
        return Response(TrialSerializer(trial.run(wish, now=clock.now())).data)


class NotReadyReasonViewSet(ReadOnlyModelViewSet):
    """Why an agent may be not ready."""

    queryset = NotReadyReason.objects.filter(is_active=True)
    permission_classes = [IsAgent]
    serializer_class = NotReadyReasonSerializer
    lookup_value_regex = "[0-9]{1,18}"
    ordering = ("id",)
