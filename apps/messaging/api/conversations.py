"""The staff's API of conversations. What is not of your teams does not exist for you."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from apps.core.api.filters import refuse_unknown
from apps.core.api.idempotency import idempotent
from apps.users.permissions import IsAgent, user_of

from .. import downloads, errors, frames, selectors
from ..choices import Sender
from ..models import CannedReply, Conversation, Disposition
from ..services import attachments, conversations, notes, rights
from ..services import messages as sending
from . import uploads
from .queries import AFTER_SEQ, MOST_MESSAGES, ConversationFilter, after_seq_of
from .serializers import (
    AttachmentSerializer,
    CannedReplySerializer,
    CloseInput,
    ConversationSerializer,
    DispositionSerializer,
    EventSerializer,
    MessagesSerializer,
    NewMessage,
    NewNote,
    NoteSerializer,
    ReadMark,
    SentSerializer,
    TagsInput,
)


class ConversationViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    queryset = Conversation.objects.none()
    permission_classes = [IsAgent]
    serializer_class = ConversationSerializer
    filterset_class = ConversationFilter
    lookup_value_regex = "[0-9]{1,18}"
    ordering = ("-id",)

    def get_queryset(self) -> QuerySet[Conversation]:
        return selectors.with_names(selectors.conversations_visible_to(user_of(self.request)))

    def conversation(self) -> Conversation:
        """The one in the address, without the filters of the list."""
        visible = selectors.conversations_visible_to(user_of(self.request))
        found = visible.filter(pk=self.kwargs["pk"]).first()
        if found is None:
            raise errors.ConversationNotFound
        return found

    def answer(self) -> Response:
        shown = self.get_queryset().get(pk=self.kwargs["pk"])
        return Response(ConversationSerializer(shown).data)

    @extend_schema(methods=["GET"], parameters=[AFTER_SEQ], responses=MessagesSerializer, filters=False)
    @action(detail=True, pagination_class=None)
    def messages(self, request: Request, pk: str) -> Response:
        """What was said after `after_seq`, in order, 200 messages at most."""
        refuse_unknown(request, {AFTER_SEQ.name})
        conversation = self.conversation()
        shown = selectors.messages_of(conversation.pk, after_seq=after_seq_of(request))[:MOST_MESSAGES]
        results = [frames.message_body(message) for message in shown]
        return Response(
            {"results": results, "last_seq": conversation.last_seq, "status": conversation.status}
        )

    @extend_schema(request=NewMessage, responses={201: SentSerializer}, filters=False)
    @messages.mapping.post
    def send(self, request: Request, pk: str) -> Response:
        """Say something to the customer of your conversation. Safe to repeat with the same `client_msg_id`."""
        given = self.valid(NewMessage)
        draft = sending.Draft(
            conversation_id=self.conversation().pk,
            sender=Sender.AGENT,
            body=given["body"],
            actor_ref=user_of(request).actor_ref,
            user=user_of(request),
            client_msg_id=given["client_msg_id"],
            attachment_ids=tuple(given["attachments"]),
        )
        return Response(SentSerializer(sending.send(draft)).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses=NoteSerializer(many=True), filters=False)
    @action(detail=True, filterset_class=None, ordering=("id",))
    def notes(self, request: Request, pk: str) -> Response:
        """What the staff wrote for each other, oldest first. Customers never see it."""
        return self.page(selectors.notes_of(self.conversation().pk), NoteSerializer)

    @extend_schema(request=NewNote, responses={201: NoteSerializer}, filters=False)
    @notes.mapping.post
    @idempotent
    def add_note(self, request: Request, pk: str) -> Response:
        """Write a note."""
        conversation = self.conversation()
        rights.check_member(conversation, by=user_of(request))
        body = self.valid(NewNote)["body"]
        note = notes.add(conversation, body=body, by=user_of(request), now=timezone.now())
        return Response(NoteSerializer(note).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=TagsInput, responses=ConversationSerializer, filters=False)
    @action(detail=True, methods=["put"])
    def tags(self, request: Request, pk: str) -> Response:
        """Make these the tags of the conversation."""
        conversation = self.conversation()
        rights.check_member(conversation, by=user_of(request))
        conversations.set_tags(conversation.pk, tags=self.valid(TagsInput)["tags"], by=user_of(request))
        return self.answer()

    @extend_schema(request=CloseInput, responses=ConversationSerializer, filters=False)
    @action(detail=True, methods=["post"])
    def close(self, request: Request, pk: str) -> Response:
        """End the conversation: your own, or as a supervisor any of your teams."""
        conversation = self.conversation()
        rights.check_may_close(conversation, by=user_of(request))
        disposition = self.valid(CloseInput)["disposition"]
        conversations.close(conversation.pk, by=user_of(request), now=timezone.now(), disposition=disposition)
        return self.answer()

    @extend_schema(request=ReadMark, responses=ReadMark, filters=False)
    @action(detail=True, methods=["post"])
    def read(self, request: Request, pk: str) -> Response:
        """You have read your conversation up to here. Answers where the mark stands."""
        conversation = self.conversation()
        rights.check_own(conversation, by=user_of(request))
        seq = self.valid(ReadMark)["seq"]
        return Response({"seq": conversations.mark_read(conversation.pk, side=Sender.AGENT, seq=seq)})

    @extend_schema(responses=EventSerializer(many=True), filters=False)
    @action(detail=True, filterset_class=None, ordering=("id",))
    def timeline(self, request: Request, pk: str) -> Response:
        """Everything that happened to the conversation, oldest first."""
        return self.page(selectors.timeline_of(self.conversation().pk), EventSerializer)

    @extend_schema(
        request={"multipart/form-data": uploads.UploadInput},
        responses={201: AttachmentSerializer},
        filters=False,
    )
    @action(detail=True, methods=["post"], parser_classes=uploads.PARSERS)
    def attachments(self, request: Request, pk: str) -> Response:
        """Upload a file for your next message in your conversation: a picture, PDF or plain text."""
        conversation = self.conversation()
        rights.check_own(conversation, by=user_of(request))
        file = uploads.uploaded_file(request)
        attachment = attachments.store(conversation, file, by=user_of(request), now=timezone.now())
        return Response(AttachmentSerializer(attachment).data, status=status.HTTP_201_CREATED)

    def valid(self, serializer_class: type[BaseSerializer]) -> dict[str, Any]:
        data = serializer_class(data=self.request.data)
        data.is_valid(raise_exception=True)
        return data.validated_data

    def page(self, rows: QuerySet, serializer_class: type[BaseSerializer]) -> Response:
        page = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(serializer_class(page, many=True).data)


class AttachmentView(APIView):
    permission_classes = [IsAgent]

    @extend_schema(
        operation_id="attachment_retrieve", responses={(200, "application/octet-stream"): OpenApiTypes.BINARY}
    )
    def get(self, request: Request, attachment: UUID) -> HttpResponse:
        """A file of a conversation you may see, as a download."""
        found = selectors.attachments_visible_to(user_of(request)).filter(pk=attachment).first()
        if found is None:
            raise errors.AttachmentNotFound
        return downloads.response(found)


class DispositionViewSet(mixins.ListModelMixin, GenericViewSet):
    """What a conversation can come to."""

    queryset = Disposition.objects.none()
    permission_classes = [IsAgent]
    serializer_class = DispositionSerializer
    ordering = ("name",)

    def get_queryset(self) -> QuerySet[Disposition]:
        return selectors.active_dispositions()


class CannedReplyViewSet(mixins.ListModelMixin, GenericViewSet):
    """Ready texts, with their placeholders: those for all teams and those of yours."""

    queryset = CannedReply.objects.none()
    permission_classes = [IsAgent]
    serializer_class = CannedReplySerializer
    ordering = ("shortcut", "id")

    def get_queryset(self) -> QuerySet[CannedReply]:
        return selectors.canned_replies_for(user_of(self.request)).select_related("team")
