"""What the API shows of conversations, and what it takes."""

from __future__ import annotations

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from apps.core.api.serializers import (
    LineField,
    StrictBooleanField,
    StrictCharField,
    StrictChoiceField,
    StrictDateTimeField,
    StrictIntegerField,
    StrictJSONField,
    StrictModelSerializer,
    StrictRelatedField,
    StrictSerializer,
    StrictUUIDField,
    ZoneField,
)

from .. import policy
from ..choices import Sender, Status
from ..models import CannedReply, Conversation, Disposition, Inbox, Note, Tag

MOST_TAGS = 50
_KEY = "0d1f7e52-6a0c-4a54-9d39-0f4d1b6a9a10"


class BodyField(StrictCharField):
    """What somebody says."""

    def __init__(self, **kwargs) -> None:
        super().__init__(max_length=policy.MOST_CHARACTERS, max_bytes=policy.MOST_BYTES, **kwargs)


class AttachmentSerializer(StrictSerializer):
    id = StrictUUIDField(read_only=True)
    name = LineField(read_only=True)
    content_type = LineField(read_only=True)
    size = StrictIntegerField(read_only=True)


class MessageSerializer(StrictSerializer):
    """The same as in the frames of the websockets. `name` is an agent's."""

    seq = StrictIntegerField(read_only=True)
    sender = StrictChoiceField(choices=Sender.choices, read_only=True)
    name = LineField(read_only=True)
    body = StrictCharField(read_only=True)
    at = StrictDateTimeField(read_only=True)
    client_msg_id = StrictUUIDField(read_only=True, allow_null=True)
    attachments = AttachmentSerializer(many=True, read_only=True)


class MessagesSerializer(StrictSerializer):
    results = MessageSerializer(many=True, read_only=True)
    last_seq = StrictIntegerField(
        read_only=True, help_text="The newest there is: ask again while it is not reached."
    )
    status = StrictChoiceField(choices=Status.choices, read_only=True)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A message", value={"client_msg_id": _KEY, "body": "Where is my parcel?"}, request_only=True
        )
    ]
)
class NewMessage(StrictSerializer):
    client_msg_id = StrictUUIDField(
        help_text="A new UUID for each message, and the same one when you try again: it is stored once."
    )
    body = BodyField(allow_blank=True, required=False, default="")
    attachments = serializers.ListField(
        child=StrictUUIDField(), max_length=policy.MOST_ATTACHMENTS, required=False, default=list
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Stored", value={"seq": 4, "at": "2026-03-01T09:31:12.043Z", "is_new": True}, response_only=True
        )
    ]
)
class SentSerializer(StrictSerializer):
    seq = StrictIntegerField(read_only=True)
    at = StrictDateTimeField(read_only=True)
    is_new = StrictBooleanField(read_only=True, help_text="False when this message was stored before.")


class ReadMark(StrictSerializer):
    seq = StrictIntegerField(min_value=0, help_text="Read up to here. A mark never moves back.")


# The customer's side


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Start a chat",
            value={
                "start_key": _KEY,
                "body": "Hello, my order 1815 has not arrived.",
                "name": "Ada",
                "email": "ada@example.com",
                "time_zone": "Europe/London",
            },
            request_only=True,
        )
    ]
)
class ChatStart(StrictSerializer):
    start_key = StrictUUIDField(
        help_text="A new UUID, kept by the browser: repeated, the call finds the conversation it started."
    )
    body = BodyField()
    name = LineField(max_length=100, max_bytes=400, allow_blank=True, required=False, default="")
    email = LineField(max_length=254, allow_blank=True, required=False, default="")
    phone = LineField(max_length=40, allow_blank=True, required=False, default="")
    time_zone = ZoneField(allow_blank=True, required=False, default="")
    language = serializers.RegexField(
        r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,6})?$", max_length=10, allow_blank=True, required=False, default=""
    )
    leave_message = StrictBooleanField(
        required=False, default=False, help_text="Nobody waits at the screen: the answer may come later."
    )
    previous_token = LineField(
        max_length=100,
        allow_blank=True,
        required=False,
        default="",
        help_text="Of an earlier chat here in this browser: the customer stays the same record.",
    )


class StartedSerializer(StrictSerializer):
    token = LineField(read_only=True, help_text="The key to this conversation. It is shown only here.")
    conversation = StrictIntegerField(read_only=True)
    status = StrictChoiceField(choices=Status.choices, read_only=True)
    customer_name = LineField(read_only=True)


class ChatInboxSerializer(StrictModelSerializer):
    class Meta:
        model = Inbox
        fields = ["name", "slug", "greeting", "away_text", "language"]
        read_only_fields = fields


class ChatSerializer(StrictSerializer):
    """A conversation as its customer sees it."""

    conversation = StrictIntegerField(source="id", read_only=True)
    status = StrictChoiceField(choices=Status.choices, read_only=True)
    agent_name = serializers.SerializerMethodField()
    last_seq = StrictIntegerField(read_only=True)
    read_seq = StrictIntegerField(
        source="agent_read_seq", read_only=True, help_text="The agent has read up to here."
    )
    can_rate = serializers.SerializerMethodField()
    rating = StrictIntegerField(read_only=True, allow_null=True)
    is_left_message = StrictBooleanField(read_only=True)
    inbox = ChatInboxSerializer(read_only=True)

    def get_agent_name(self, conversation: Conversation) -> str | None:
        return conversation.agent.get_short_name() if conversation.agent else None

    def get_can_rate(self, conversation: Conversation) -> bool:
        return not conversation.is_open and conversation.rating is None


@extend_schema_serializer(
    examples=[OpenApiExample("Rate", value={"rating": 5, "comment": "Quick and kind."}, request_only=True)]
)
class RatingInput(StrictSerializer):
    rating = StrictIntegerField(min_value=1, max_value=5)
    comment = StrictCharField(max_length=1000, max_bytes=4000, allow_blank=True, required=False, default="")


# The staff's side


class NamedSerializer(StrictSerializer):
    id = StrictIntegerField(read_only=True)
    name = LineField(read_only=True)


class TagSerializer(StrictModelSerializer):
    class Meta:
        model = Tag
        fields = ["id", "name"]
        read_only_fields = fields


class DispositionSerializer(StrictModelSerializer):
    class Meta:
        model = Disposition
        fields = ["id", "name"]
        read_only_fields = fields


class ConversationSerializer(StrictModelSerializer):
    """`unread` counts what the agent has not read. `preview` is the beginning of the last message."""

    inbox = NamedSerializer(read_only=True)
    customer = NamedSerializer(read_only=True)
    team = NamedSerializer(read_only=True)
    agent = NamedSerializer(read_only=True, allow_null=True)
    tags = TagSerializer(many=True, read_only=True)
    disposition = DispositionSerializer(read_only=True, allow_null=True)
    unread = serializers.SerializerMethodField()

    class Meta:
        model = Conversation
        fields = [
            "id",
            "inbox",
            "customer",
            "team",
            "agent",
            "status",
            "last_seq",
            "unread",
            "customer_read_seq",
            "agent_read_seq",
            "last_message_at",
            "last_sender",
            "preview",
            "is_left_message",
            "tags",
            "opened_at",
            "assigned_at",
            "first_answer_at",
            "closed_at",
            "close_reason",
            "disposition",
            "rating",
            "rating_comment",
        ]
        read_only_fields = fields

    def get_unread(self, conversation: Conversation) -> int:
        return conversation.last_seq - conversation.agent_read_seq


class NoteSerializer(StrictModelSerializer):
    author = NamedSerializer(read_only=True)

    class Meta:
        model = Note
        fields = ["id", "author", "body", "at"]
        read_only_fields = fields


@extend_schema_serializer(
    examples=[OpenApiExample("A note", value={"body": "Parcel is at the depot."}, request_only=True)]
)
class NewNote(StrictSerializer):
    body = StrictCharField(max_length=4000, max_bytes=16_000)


@extend_schema_serializer(examples=[OpenApiExample("Two tags", value={"tags": [1, 4]}, request_only=True)])
class TagsInput(StrictSerializer):
    tags = serializers.ListField(
        child=StrictIntegerField(min_value=1), max_length=MOST_TAGS, help_text="Ids of tags."
    )

    def validate_tags(self, ids: list[int]) -> list[Tag]:
        """In one query, however many."""
        found = Tag.objects.in_bulk(ids)
        if missing := [pk for pk in ids if pk not in found]:
            raise serializers.ValidationError(_("There is no tag %(id)s.") % {"id": missing[0]})
        return list(found.values())


@extend_schema_serializer(examples=[OpenApiExample("Solved", value={"disposition": 2}, request_only=True)])
class CloseInput(StrictSerializer):
    disposition = StrictRelatedField(
        queryset=Disposition.objects.filter(is_active=True), allow_null=True, required=False, default=None
    )


class EventSerializer(StrictSerializer):
    """One thing that happened. `payload` holds ids; `actor` is like `user:5`, `customer:7` or `system`."""

    id = StrictIntegerField(read_only=True)
    type = LineField(read_only=True)
    at = StrictDateTimeField(read_only=True)
    actor = LineField(read_only=True)
    payload = StrictJSONField(read_only=True)


class CannedReplySerializer(StrictModelSerializer):
    team = NamedSerializer(read_only=True, allow_null=True)

    class Meta:
        model = CannedReply
        fields = ["id", "shortcut", "title", "body", "team"]
        read_only_fields = fields
