"""Offers: one's own, to accept or decline."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from apps.users.permissions import IsAgent, user_of

from .. import selectors
from ..models import Offer
from ..services import acceptance, clock, offers
from .serializers import AcceptInput, OfferSerializer


class OfferViewSet(ReadOnlyModelViewSet):
    """What you are rung for now."""

    queryset = Offer.objects.none()
    permission_classes = [IsAgent]
    serializer_class = OfferSerializer
    lookup_value_regex = "[0-9]{1,18}"
    ordering = ("id",)

    def get_queryset(self) -> QuerySet[Offer]:
        return selectors.live_offers_of(user_of(self.request))

    @extend_schema(request=AcceptInput, responses=OfferSerializer)
    @action(detail=True, methods=["post"])
    def accept(self, request: Request, pk: str) -> Response:
        """Take the conversation. 409 with the reason when you are too late; then nothing has changed."""
        given = AcceptInput(data=request.data)
        given.is_valid(raise_exception=True)
        offer = acceptance.accept_in_batch(
            int(pk), by=user_of(request), now=clock.now(), **given.validated_data
        )
        return Response(OfferSerializer(selectors.offer_with_names(offer.pk)).data)

    @extend_schema(request=None, responses=OfferSerializer)
    @action(detail=True, methods=["post"])
    def decline(self, request: Request, pk: str) -> Response:
        """Leave it to somebody else; it keeps its place in line."""
        offer = offers.decline(int(pk), by=user_of(request), now=clock.now())
        return Response(OfferSerializer(selectors.offer_with_names(offer.pk)).data)
