"""Campaigns over the API: how far they have come, and the acts on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from apps.core.api.filters import StrictFilterSet
from apps.routing.services import clock
from apps.users.permissions import IsSupervisor, user_of

from .. import campaign_figures, selectors
from ..models import Campaign
from ..services import campaigns
from .campaign_serializers import CampaignDetailSerializer, CampaignSerializer


class CampaignFilter(StrictFilterSet):
    class Meta:
        model = Campaign
        fields = ["state", "team", "segment", "template"]


class CampaignViewSet(ReadOnlyModelViewSet):
    """The campaigns of your teams, newest first. They are set up in the admin."""

    queryset = Campaign.objects.none()
    permission_classes = [IsSupervisor]
    serializer_class = CampaignSerializer
    filterset_class = CampaignFilter
    lookup_value_regex = "[0-9]{1,18}"
    ordering = ("-id",)

    def get_queryset(self) -> QuerySet[Campaign]:
        return selectors.campaigns_visible_to(user_of(self.request))

    @extend_schema(responses=CampaignDetailSerializer)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One campaign, with the counts of its messages."""
        return self._answer(self.get_object())

    @extend_schema(request=None, responses=CampaignDetailSerializer)
    @action(detail=True, methods=["post"])
    def start(self, request: Request, pk: str) -> Response:
        """Start a draft: it goes out by itself when its time has come. 409 `campaign_not_ready` says what it lacks."""
        return self._act(campaigns.start)

    @extend_schema(request=None, responses=CampaignDetailSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Send nothing more, until it is resumed."""
        return self._act(campaigns.pause)

    @extend_schema(request=None, responses=CampaignDetailSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Go on where it was paused."""
        return self._act(campaigns.resume)

    @extend_schema(request=None, responses=CampaignDetailSerializer)
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, pk: str) -> Response:
        """End it for good: nothing that waits goes out."""
        return self._act(campaigns.stop)

    def _act(self, act: Callable[..., Campaign]) -> Response:
        return self._answer(act(self.get_object().pk, by=user_of(self.request), now=clock.now()))

    def _answer(self, campaign: Campaign) -> Response:
        campaign.progress = campaign_figures.progress(campaign)  # type: ignore[attr-defined]
        return Response(CampaignDetailSerializer(campaign).data)
