"""What a message looks like on the wire: the same dictionary in frames, REST answers and replays."""

from __future__ import annotations

from typing import Any

from apps.core.realtime import Frame

from .choices import Sender
from .models import Attachment, Message


def message_frame(message: Message, attachments: list[Attachment] | None = None) -> dict[str, Any]:
    return {
        "type": Frame.MESSAGE,
        "conversation": message.conversation_id,
        **message_body(message, attachments),
    }


def message_body(message: Message, attachments: list[Attachment] | None = None) -> dict[str, Any]:
    files = message.attachments.all() if attachments is None else attachments
    return {
        "seq": message.seq,
        "sender": str(message.sender),
        "name": message.user.get_short_name() if message.sender == Sender.AGENT and message.user else "",
        "body": message.body,
        "at": message.at.isoformat(),
        "client_msg_id": str(message.client_msg_id) if message.client_msg_id else None,
        "attachments": [attachment_body(file) for file in files],
    }


def attachment_body(attachment: Attachment) -> dict[str, Any]:
    return {
        "id": str(attachment.pk),
        "name": attachment.name,
        "content_type": attachment.content_type,
        "size": attachment.size,
    }
