"""What customers may know of the line: whether anybody is there, and their own place."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.throttles import ChatWrite
from apps.messaging.api.authentication import IsVisitor, VisitorAuthentication, visitor_of

from .. import lobby
from ..choices import CallbackWay
from ..services import callbacks, clock
from .serializers import (
    AvailabilitySerializer,
    CallbackInput,
    VisitorCallbackSerializer,
    WaitSerializer,
)


class AvailabilityView(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="chat_availability",
        responses=AvailabilitySerializer,
        parameters=[OpenApiParameter("inbox", OpenApiTypes.STR, OpenApiParameter.PATH)],
    )
    def get(self, request: Request, inbox: str) -> Response:
        """Whether somebody is there for this chat, when it is open, how many wait and for how long."""
        return Response(AvailabilitySerializer(lobby.availability(inbox, now=clock.now())).data)


class WaitView(APIView):
    authentication_classes = [VisitorAuthentication]
    permission_classes = [IsVisitor]

    @extend_schema(operation_id="chat_wait", responses=WaitSerializer)
    def get(self, request: Request) -> Response:
        """Your place in line, and how long it will take."""
        return Response(
            WaitSerializer(lobby.wait_of(visitor_of(request).conversation_id, now=clock.now())).data,
            headers={"Cache-Control": "no-store"},
        )


class CallbackView(APIView):
    authentication_classes = [VisitorAuthentication]
    permission_classes = [IsVisitor]
    throttle_classes = [ChatWrite]

    @extend_schema(
        operation_id="chat_callback", request=CallbackInput, responses={201: VisitorCallbackSerializer}
    )
    def post(self, request: Request) -> Response:
        """You do not wait at the screen: we call you, or write to you here, when it is your turn.

        You keep your place in line. Asked again, it is changed; 409 when it is not offered at the moment.
        """
        data, visitor = CallbackInput(data=request.data), visitor_of(request)
        data.is_valid(raise_exception=True)
        given = data.validated_data
        callback = callbacks.request(
            visitor.conversation_id,
            way=CallbackWay(given["way"]),
            phone=given["phone"],
            by=visitor,
            now=clock.now(),
        )
        return Response(VisitorCallbackSerializer(callback).data, status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="chat_cancel_callback", request=None, responses={204: None})
    def delete(self, request: Request) -> Response:
        """You wait here after all."""
        visitor = visitor_of(request)
        callbacks.cancel(visitor.conversation_id, by=visitor, now=clock.now())
        return Response(status=status.HTTP_204_NO_CONTENT)
