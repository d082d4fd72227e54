"""What agents come back to, and what became of their answers by e-mail and SMS."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from apps.core.api.idempotency import idempotent
from apps.messaging.errors import ConversationNotFound
from apps.messaging.models import Conversation
from apps.messaging.selectors import conversations_visible_to
from apps.messaging.services import rights
from apps.routing.services import clock
from apps.users.choices import Role
from apps.users.permissions import IsAgent, user_of

from .. import answered, selectors
from ..models import Reminder
from ..services import follow_ups, reminders
from .follow_up_serializers import AnswerSerializer, NewFollowUp
from .serializers import ReminderSerializer

# Of one conversation; more than anybody reads.
MOST_ANSWERS = 100


class FollowUpViewSet(mixins.ListModelMixin, GenericViewSet):
    """What you asked for in conversations, for yourself or for customers, and what you are to be reminded of."""

    queryset = Reminder.objects.none()
    permission_classes = [IsAgent]
    serializer_class = ReminderSerializer
    lookup_value_regex = "[0-9]{1,18}"
    ordering = ("-id",)

    def get_queryset(self) -> QuerySet[Reminder]:
        return selectors.follow_ups_of(user_of(self.request))

    @extend_schema(request=None, responses=ReminderSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Call it off. 404 when it is over already, or another's."""
        row = reminders.cancel(self.get_object().pk, by=user_of(request), now=clock.now())
        return Response(self.get_serializer(row).data)


class ConversationView(APIView):
    permission_classes: list[Any] = [IsAgent]

    def conversation(self, pk: int) -> Conversation:
        """404 for what is not of one's teams."""
        visible = conversations_visible_to(user_of(self.request)).select_related("inbox", "customer", "team")
        found = visible.filter(pk=pk).first()
        if found is None:
            raise ConversationNotFound
        return found


class NewFollowUpView(ConversationView):
    @extend_schema(
        operation_id="conversation_follow_up", request=NewFollowUp, responses={201: ReminderSerializer}
    )
    @idempotent
    def post(self, request: Request, pk: int) -> Response:
        """Remind yourself of this conversation, or its customer. To take it off your list until then, snooze it.

        Agents do so in what they have themselves, supervisors in everything of their teams. Times as for reminders.
        """
        by, conversation = user_of(request), self.conversation(pk)
        if not by.has_role(Role.SUPERVISOR):
            rights.check_own(conversation, by=by)
        rights.check_member(conversation, by=by)
        given = NewFollowUp(data=request.data)
        given.is_valid(raise_exception=True)
        remind = follow_ups.for_customer if given.is_for_customer else follow_ups.for_agent
        row = remind(conversation, given.wish(zone=ZoneInfo(by.time_zone)), by=by, now=clock.now())
        return Response(ReminderSerializer(row).data, status=status.HTTP_201_CREATED)


class AnswersView(ConversationView):
    @extend_schema(operation_id="conversation_answers", responses=AnswerSerializer(many=True))
    def get(self, request: Request, pk: int) -> Response:
        """What became of the answers of agents that go out by e-mail or SMS: the last hundred, newest first. Nothing in
        a chat, where the customer's read mark tells."""
        shown = answered.of_conversation(self.conversation(pk), most=MOST_ANSWERS, now=clock.now())
        return Response(AnswerSerializer(shown, many=True).data)
