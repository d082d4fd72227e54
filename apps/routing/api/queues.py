"""Queues: their lines and their people, now."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.viewsets import ReadOnlyModelViewSet

from apps.users.permissions import IsAgent, user_of

from .. import selectors
from ..models import NotReadyReason, Queue
from .serializers import NotReadyReasonSerializer, QueueSerializer


class QueueViewSet(ReadOnlyModelViewSet):
    """The queues of your teams, each with the figures of its line. A constant number of queries."""

    queryset = Queue.objects.none()
    permission_classes = [IsAgent]
    serializer_class = QueueSerializer
    lookup_value_regex = "[0-9]{1,18}"
    ordering = ("id",)

    def get_queryset(self) -> QuerySet[Queue]:
        return selectors.with_line(selectors.queues_visible_to(user_of(self.request)), now=timezone.now())


class NotReadyReasonViewSet(ReadOnlyModelViewSet):
    """Why an agent may be not ready."""

    queryset = NotReadyReason.objects.filter(is_active=True)
    permission_classes = [IsAgent]
    serializer_class = NotReadyReasonSerializer
    lookup_value_regex = "[0-9]{1,18}"
    ordering = ("id",)
