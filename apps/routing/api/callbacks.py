"""Callbacks: the customers who are called, or written to, when it is their turn, and how that went."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from apps.core.api.filters import StrictFilterSet
from apps.users.choices import Role
from apps.users.permissions import IsAgent, user_of

from .. import selectors
from ..models import Callback
from ..services import callbacks, clock
from .serializers import CallbackSerializer, OutcomeInput
from .work import WorkView


class CallbackFilter(StrictFilterSet):
    class Meta:
        model = Callback
        fields = ["state", "way", "conversation"]


class CallbackViewSet(ReadOnlyModelViewSet):
    """Who asked to be called back in the queues of your teams, newest first."""

    queryset = Callback.objects.none()
    permission_classes = [IsAgent]
    serializer_class = CallbackSerializer
    filterset_class = CallbackFilter
    lookup_value_regex = "[0-9]{1,18}"
    ordering = ("-id",)

    def get_queryset(self) -> QuerySet[Callback]:
        return selectors.callbacks_visible_to(user_of(self.request))


class CallbackOutcomeView(WorkView):
    @extend_schema(operation_id="conversation_callback", request=OutcomeInput, responses={204: None})
    def post(self, request: Request, pk: int) -> Response:
        """You called the customer: say whether you reached him. If not, he is called again later, up to the queue's
        number of tries.

        Agents say it of what they have themselves; supervisors of everything of their teams.
        """
        user, conversation = user_of(request), self.conversation(pk)
        holder = None if user.has_role(Role.SUPERVISOR) else user
        is_reached = self.given(OutcomeInput)["outcome"] == "reached"
        say = callbacks.reached if is_reached else callbacks.not_reached
        say(conversation.pk, by=user, now=clock.now(), holder=holder)
        return Response(status=status.HTTP_204_NO_CONTENT)
