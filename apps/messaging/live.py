"""What the customer's socket and the agent's socket have in common: sending, reading, typing and catching up."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from apps.core import frame_fields, realtime, threads
from apps.core.realtime import Frame
from apps.core.sockets import Socket
from apps.users.models import User

from . import frames, selectors
from .choices import Sender
from .models import Conversation
from .services import conversations, messages

# Whoever is further behind than this loads the page of messages instead.
MOST_REPLAYED = 1000
# A replay is cut into frames of at most this size, or one message: no frame of ours is larger than theirs may be.
REPLAY_BYTES = 48_000
TYPING_SECONDS = 3.0

_MESSAGE_FIELDS = {"client_msg_id": frame_fields.uuid, "body": frame_fields.text}
_ATTACHMENTS: dict[str, tuple[frame_fields.Reader, Any]] = {"attachments": (frame_fields.uuids, ())}


class Talk:
    """One socket's part in one conversation."""

    def __init__(self, socket: Socket, conversation_id: int, *, side: Sender) -> None:
        self.socket = socket
        self.conversation_id = conversation_id
        self.side = side
        self._typed_at = 0.0

    async def send(
        self, frame: dict[str, Any], *, actor_ref: str, user: User | None = None, **more: Any
    ) -> None:
        """A `message` frame: stored together with what others send at this moment, then acknowledged."""
        fields = frame_fields.read(frame, optional=_ATTACHMENTS, **_MESSAGE_FIELDS, **more)
        draft = messages.Draft(
            conversation_id=self.conversation_id,
            sender=self.side,
            body=fields["body"],
            actor_ref=actor_ref,
            user=user,
            client_msg_id=fields["client_msg_id"],
            attachment_ids=fields["attachments"],
        )
        sent = await messages.send_in_batch(draft)
        self.socket.reply(
            {
                "type": Frame.ACK,
                "client_msg_id": str(fields["client_msg_id"]),
                "seq": sent.seq,
                "at": sent.at.isoformat(),
            }
        )

    async def read(self, seq: int) -> None:
        await threads.run(conversations.mark_read, self.conversation_id, side=self.side, seq=seq)

    def typing(self, name: str) -> None:
        """Tells the other side, once in a while; never stored."""
        now = time.monotonic()
        if now - self._typed_at < TYPING_SECONDS:
            return
        self._typed_at = now
        frame = {
            "type": Frame.TYPING,
            "conversation": self.conversation_id,
            "sender": self.side,
            "name": name,
        }
        # The staff of a conversation is the customer's other side; the customer's own tabs need no echo.
        group = realtime.staff_group if self.side == Sender.CUSTOMER else realtime.conversation_group
        realtime.publish(group(self.conversation_id), frame)

    async def catch_up(self, after_seq: int) -> None:
        """Send what the client has not seen, or tell it to load everything anew."""
        for text in await threads.run(replay, self.conversation_id, after_seq=after_seq):
            self.socket.push(text)


def replay(conversation_id: int, *, after_seq: int) -> list[str]:
    """The messages after `after_seq` as `replay` frames, or one `resync` frame when there are too many.

    The `last_seq` of a frame is that of its last message, and in the last frame the newest of the conversation.
    """
    last_seq = Conversation.objects.values_list("last_seq", flat=True).get(id=conversation_id)
    if last_seq - after_seq > MOST_REPLAYED:
        return [
            realtime.encode({"type": Frame.RESYNC, "conversation": conversation_id, "last_seq": last_seq})
        ]
    parts: list[_Part] = [_Part(last_seq=after_seq)]
    for message in selectors.messages_of(conversation_id, after_seq=after_seq)[:MOST_REPLAYED]:
        text = realtime.encode(frames.message_frame(message))
        if parts[-1].texts and parts[-1].size + len(text.encode()) > REPLAY_BYTES:
            parts.append(_Part(last_seq=message.seq))
        parts[-1].add(text, seq=message.seq)
    parts[-1].last_seq = max(last_seq, parts[-1].last_seq if parts[-1].texts else 0)
    return [part.as_frame(conversation_id) for part in parts]


@dataclasses.dataclass
class _Part:
    last_seq: int
    texts: list[str] = dataclasses.field(default_factory=list)
    size: int = 0

    def add(self, text: str, *, seq: int) -> None:
        self.texts.append(text)
        self.size += len(text.encode())
        self.last_seq = seq

    def as_frame(self, conversation_id: int) -> str:
        # Put together from texts: each message is serialised once.
        head = {"type": Frame.REPLAY, "conversation": conversation_id, "last_seq": self.last_seq}
        return f'{realtime.encode(head)[:-1]},"messages":[{",".join(self.texts)}]}}'
