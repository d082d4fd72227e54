"""What customers may know of the line: whether anybody is there, and their own place."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.messaging.api.authentication import IsVisitor, VisitorAuthentication, visitor_of

from .. import selectors
from ..services import clock
from .serializers import AvailabilitySerializer, WaitSerializer


class AvailabilityView(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="chat_availability",
        responses=AvailabilitySerializer,
        parameters=[OpenApiParameter("inbox", OpenApiTypes.STR, OpenApiParameter.PATH)],
    )
    def get(self, request: Request, inbox: str) -> Response:
        """Whether somebody is signed in for this chat, and how many wait."""
        return Response(AvailabilitySerializer(selectors.availability(inbox, now=clock.now())).data)


class WaitView(APIView):
    authentication_classes = [VisitorAuthentication]
    permission_classes = [IsVisitor]

    @extend_schema(operation_id="chat_wait", responses=WaitSerializer)
    def get(self, request: Request) -> Response:
        """Your place in line."""
        return Response(
            WaitSerializer(selectors.wait_of(visitor_of(request).conversation_id, now=clock.now())).data,
            headers={"Cache-Control": "no-store"},
        )
