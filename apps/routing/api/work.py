"""Routing's side of a conversation: pass it on, end the wrap-up, ask why it went where it went."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.messaging import selectors as messaging
from apps.messaging.errors import ConversationNotFound
from apps.messaging.models import Conversation
from apps.users.choices import Role
from apps.users.permissions import IsAgent, IsSupervisor, user_of

from .. import selectors
from ..services import clock, snoozes, work
from .serializers import AssignInput, DecisionSerializer, SnoozeInput, TransferInput

# Of one conversation; more than anybody reads.
MOST_DECISIONS = 100


class WorkView(APIView):
    permission_classes: list[Any] = [IsAgent]

    def conversation(self, pk: int) -> Conversation:
        """404 for what is not of one's teams."""
        found = messaging.conversations_visible_to(user_of(self.request)).filter(pk=pk).first()
        if found is None:
            raise ConversationNotFound
        return found

    def given(self, serializer: type) -> dict[str, Any]:
        data = serializer(data=self.request.data, context={"by": user_of(self.request)})
        data.is_valid(raise_exception=True)
        return data.validated_data


class DecisionsView(WorkView):
    @extend_schema(operation_id="conversation_decisions", responses=DecisionSerializer(many=True))
    def get(self, request: Request, pk: int) -> Response:
        """Every routing decision about this conversation, newest first, with everybody else's reason."""
        decisions = list(selectors.decisions_of(self.conversation(pk).pk)[:MOST_DECISIONS])
        context = {"others": selectors.others_of(decisions)}
        return Response(DecisionSerializer(decisions, many=True, context=context).data)


class TransferView(WorkView):
    @extend_schema(operation_id="conversation_transfer", request=TransferInput, responses={204: None})
    def post(self, request: Request, pk: int) -> Response:
        """Pass it on to a queue, or ring one agent for it. It keeps its place in line.

        Agents pass on what they have themselves; supervisors everything of their teams.
        """
        user, conversation = user_of(request), self.conversation(pk)
        given, holder = self.given(TransferInput), None if user.has_role(Role.SUPERVISOR) else user
        if queue := given.get("queue"):
            work.transfer_to_queue(conversation.pk, to=queue, by=user, now=clock.now(), holder=holder)
        else:
            work.transfer_to_agent(
                conversation.pk, to=given["agent"], by=user, now=clock.now(), holder=holder
            )
        return Response(status=status.HTTP_204_NO_CONTENT)


class AssignView(WorkView):
    permission_classes = [IsSupervisor]

    @extend_schema(operation_id="conversation_assign", request=AssignInput, responses={204: None})
    def post(self, request: Request, pk: int) -> Response:
        """Give it to an agent without asking him; 409 when he has no room or is not signed in.

        Given to yourself, you take it over; if you were not signed in, open the console within 90 s to keep it.
        """
        user, conversation = user_of(request), self.conversation(pk)
        to = self.given(AssignInput)["agent"]
        if to == user:
            work.take_over(conversation.pk, by=user, now=clock.now())
        else:
            work.reassign(conversation.pk, to=to, by=user, now=clock.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class SnoozeView(WorkView):
    @extend_schema(operation_id="conversation_snooze", request=SnoozeInput, responses={204: None})
    def post(self, request: Request, pk: int) -> Response:
        """Take it off its agent's list `until` then, or until the customer writes. It keeps its place in line, and goes
        back to its agent if he is available and has room.

        Agents snooze what they have themselves; supervisors everything of their teams.
        """
        user, conversation = user_of(request), self.conversation(pk)
        holder = None if user.has_role(Role.SUPERVISOR) else user
        snoozes.snooze(conversation.pk, by=user, now=clock.now(), holder=holder, **self.given(SnoozeInput))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(operation_id="conversation_wake", request=None, responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """It comes back now. 409 `not_snoozed` when it is not, or (for agents) is another's."""
        user, conversation = user_of(request), self.conversation(pk)
        holder = None if user.has_role(Role.SUPERVISOR) else user
        snoozes.wake(conversation.pk, by=user, now=clock.now(), holder=holder)
        return Response(status=status.HTTP_204_NO_CONTENT)


class EndWrapUpView(WorkView):
    @extend_schema(operation_id="conversation_end_wrap_up", request=None, responses={204: None})
    def post(self, request: Request, pk: int) -> Response:
        """You are done before the timer: take the next one."""
        user = user_of(request)
        work.end_wrap_up(self.conversation(pk).pk, by=user, now=clock.now(), user=user)
        return Response(status=status.HTTP_204_NO_CONTENT)
