"""Live frames for open screens, after the commit."""

from __future__ import annotations

from apps.core import realtime
from apps.core.events import listen
from apps.core.models import Event
from apps.core.realtime import Frame, conversation_group, publish, staff_group

from . import frames
from .events import (
    ConversationAssigned,
    ConversationClosed,
    ConversationRated,
    ConversationReleased,
    ConversationTagged,
    MessageSent,
    NoteAdded,
)


@listen(MessageSent)
def push_message(event: Event) -> None:
    message, files = event.subject
    realtime.publish(conversation_group(message.conversation_id), frames.message_frame(message, files))


@listen(ConversationAssigned, ConversationReleased, ConversationClosed, ConversationRated)
def push_change(event: Event) -> None:
    frame = {
        "type": Frame.CONVERSATION_CHANGED,
        "conversation": event.payload["conversation"],
        "what": event.type.rpartition(".")[2],
    }
    publish(conversation_group(event.payload["conversation"]), frame)
    if agent := event.payload.get("agent"):
        publish(realtime.user_group(agent), frame)


@listen(NoteAdded)
def push_note(event: Event) -> None:
    publish(staff_group(event.payload["conversation"]), {"type": Frame.NOTE_ADDED, **event.payload})


@listen(ConversationTagged)
def push_tags(event: Event) -> None:
    conversation = event.payload["conversation"]
    frame = {"type": Frame.CONVERSATION_CHANGED, "conversation": conversation, "what": "tagged"}
    publish(staff_group(conversation), frame)
