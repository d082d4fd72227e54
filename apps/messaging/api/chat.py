"""The customer's API: one conversation, opened by its token. No cookies, nothing in the address."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from apps.core.api.filters import refuse_unknown
from apps.core.api.throttles import ChatStart as StartLimit
from apps.core.api.throttles import ChatWrite, PerCaller, Upload

from .. import downloads, errors, frames, selectors
from ..choices import CloseReason, Sender
from ..models import Conversation
from ..services import attachments, conversations, visitors
from ..services import messages as sending
from . import uploads
from .authentication import IsVisitor, VisitorAuthentication, visitor_of
from .queries import AFTER_SEQ, MOST_MESSAGES, after_seq_of
from .serializers import (
    AttachmentSerializer,
    ChatSerializer,
    ChatStart,
    MessagesSerializer,
    NewMessage,
    RatingInput,
    ReadMark,
    SentSerializer,
    StartedSerializer,
)


class ChatView(APIView):
    """What a visitor may ask of his conversation."""

    authentication_classes = [VisitorAuthentication]
    permission_classes: list[Any] = [IsVisitor]

    def get_throttles(self) -> list[BaseThrottle]:
        return [PerCaller()] if self.request.method in ("GET", "HEAD", "OPTIONS") else [ChatWrite()]

    @property
    def conversation_id(self) -> int:
        return visitor_of(self.request).conversation_id

    def conversation(self) -> Conversation:
        return Conversation.objects.select_related("agent", "inbox").get(pk=self.conversation_id)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        # Tokens and private words: in no cache, shared or not.
        answer.setdefault("Cache-Control", "no-store")
        return answer


class StartView(ChatView):
    authentication_classes = []
    permission_classes = [AllowAny]

    def get_throttles(self) -> list[BaseThrottle]:
        return [StartLimit()]

    @extend_schema(
        operation_id="chat_start",
        request=ChatStart,
        responses={201: StartedSerializer},
        parameters=[OpenApiParameter("inbox", OpenApiTypes.STR, OpenApiParameter.PATH)],
    )
    def post(self, request: Request, inbox: str) -> Response:
        """Start a chat with its first message. Safe to repeat with the same `start_key`."""
        found = selectors.active_inboxes().filter(slug=inbox).first()
        if found is None:
            raise errors.InboxNotFound
        data = ChatStart(data=request.data)
        data.is_valid(raise_exception=True)
        given = data.validated_data
        conversation, token = visitors.open_chat(
            found,
            claims=visitors.Claims(
                name=given["name"].strip(),
                email=given["email"],
                phone=given["phone"],
                time_zone=given["time_zone"],
                language=given["language"],
            ),
            body=given["body"],
            start_key=given["start_key"],
            now=timezone.now(),
            is_left_message=given["leave_message"],
            previous_token=given["previous_token"],
        )
        started = {
            "token": token,
            "conversation": conversation.pk,
            "status": conversation.status,
            "customer_name": conversation.customer.name,
        }
        return Response(StartedSerializer(started).data, status=status.HTTP_201_CREATED)


class ConversationView(ChatView):
    @extend_schema(operation_id="chat_conversation", responses=ChatSerializer)
    def get(self, request: Request) -> Response:
        """How the conversation stands."""
        return Response(ChatSerializer(self.conversation()).data)


class MessagesView(ChatView):
    @extend_schema(operation_id="chat_messages", parameters=[AFTER_SEQ], responses=MessagesSerializer)
    def get(self, request: Request) -> Response:
        """What was said after `after_seq`, in order, 200 messages at most."""
        refuse_unknown(request, {AFTER_SEQ.name})
        shown = selectors.messages_of(self.conversation_id, after_seq=after_seq_of(request))[:MOST_MESSAGES]
        results = [frames.message_body(message) for message in shown]
        newest, state = Conversation.objects.values_list("last_seq", "status").get(pk=self.conversation_id)
        return Response({"results": results, "last_seq": newest, "status": state})

    @extend_schema(operation_id="chat_send", request=NewMessage, responses={201: SentSerializer})
    def post(self, request: Request) -> Response:
        """Say something. Safe to repeat with the same `client_msg_id`."""
        data = NewMessage(data=request.data)
        data.is_valid(raise_exception=True)
        sent = sending.send(
            sending.Draft(
                conversation_id=self.conversation_id,
                sender=Sender.CUSTOMER,
                body=data.validated_data["body"],
                actor_ref=visitor_of(request).actor_ref,
                client_msg_id=data.validated_data["client_msg_id"],
                attachment_ids=tuple(data.validated_data["attachments"]),
            )
        )
        return Response(SentSerializer(sent).data, status=status.HTTP_201_CREATED)


class AttachmentsView(ChatView):
    parser_classes = uploads.PARSERS

    def get_throttles(self) -> list[BaseThrottle]:
        return [Upload()]

    @extend_schema(
        operation_id="chat_upload",
        request={"multipart/form-data": uploads.UploadInput},
        responses={201: AttachmentSerializer},
    )
    def post(self, request: Request) -> Response:
        """Upload a file for your next message: a picture, PDF or plain text. Ten in an hour at most."""
        file = uploads.uploaded_file(request)
        attachment = attachments.store(self.conversation(), file, by=visitor_of(request), now=timezone.now())
        return Response(AttachmentSerializer(attachment).data, status=status.HTTP_201_CREATED)


class AttachmentView(ChatView):
    @extend_schema(
        operation_id="chat_attachment", responses={(200, "application/octet-stream"): OpenApiTypes.BINARY}
    )
    def get(self, request: Request, attachment: UUID) -> HttpResponse:
        """A file of this conversation, as a download."""
        found = selectors.attachment_of_conversation(attachment, conversation_id=self.conversation_id)
        if found is None:
            raise errors.AttachmentNotFound
        return downloads.response(found)


class ReadView(ChatView):
    @extend_schema(operation_id="chat_read", request=ReadMark, responses=ReadMark)
    def post(self, request: Request) -> Response:
        """You have read up to here. Answers where the mark stands."""
        data = ReadMark(data=request.data)
        data.is_valid(raise_exception=True)
        seq = conversations.mark_read(
            self.conversation_id, side=Sender.CUSTOMER, seq=data.validated_data["seq"]
        )
        return Response({"seq": seq})


class EndView(ChatView):
    @extend_schema(operation_id="chat_end", request=None, responses=ChatSerializer)
    def post(self, request: Request) -> Response:
        """End the conversation; it can be read and rated for a day."""
        reason = CloseReason.ENDED_BY_CUSTOMER
        conversations.close(self.conversation_id, by=visitor_of(request), now=timezone.now(), reason=reason)
        return Response(ChatSerializer(self.conversation()).data)


class RatingView(ChatView):
    @extend_schema(operation_id="chat_rate", request=RatingInput, responses=ChatSerializer)
    def post(self, request: Request) -> Response:
        """Rate the conversation after its end, once."""
        data = RatingInput(data=request.data)
        data.is_valid(raise_exception=True)
        conversations.rate(self.conversation_id, by=visitor_of(request), **data.validated_data)
        return Response(ChatSerializer(self.conversation()).data)
