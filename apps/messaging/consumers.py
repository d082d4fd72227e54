"""The customer's socket: authenticated by the visitor's token, good for one conversation."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.utils import timezone

from apps.core import frame_fields, realtime, threads
from apps.core.hub import hub
from apps.core.realtime import CloseCode, Frame
from apps.core.sockets import Socket

from . import selectors
from .choices import Sender
from .live import Talk
from .services import visitors
from .services.visitors import Visitor


class ChatSocket(Socket):
    visitor: Visitor
    talk: Talk
    name: str

    async def authenticate(self, frame: dict[str, Any] | None) -> bool:
        if frame is None:
            return False  # a cookie is no key here
        fields = frame_fields.read(
            frame, token=frame_fields.text, optional={"after_seq": (frame_fields.number, 0)}
        )
        visitor = await threads.run(visitors.authenticate, fields["token"], now=timezone.now())
        if visitor is None:
            return False
        self.visitor, self.owner = visitor, visitor.actor_ref
        self.talk = Talk(self, visitor.conversation_id, side=Sender.CUSTOMER)
        return True

    async def welcome(self, frame: dict[str, Any] | None) -> None:
        # Joined before the replay is read: what is said meanwhile arrives twice rather than never.
        hub.join(realtime.conversation_group(self.visitor.conversation_id), self)
        state = await threads.run(selectors.visitor_state, self.visitor.conversation_id)
        self.name = state.pop("customer_name")
        self.reply({"type": Frame.READY, **state})
        await self.talk.catch_up((frame or {}).get("after_seq", 0))

    async def message(self, frame: dict[str, Any]) -> None:
        await self.talk.send(frame, actor_ref=self.visitor.actor_ref)

    async def typing(self, frame: dict[str, Any]) -> None:
        frame_fields.read(frame)
        self.talk.typing(self.name)

    async def read(self, frame: dict[str, Any]) -> None:
        await self.talk.read(frame_fields.read(frame, seq=frame_fields.number)["seq"])

    async def resume(self, frame: dict[str, Any]) -> None:
        await self.talk.catch_up(frame_fields.read(frame, after_seq=frame_fields.number)["after_seq"])

    frames = {"message": message, "typing": typing, "read": read, "resume": resume}

    @classmethod
    async def beat(cls, sockets: list[ChatSocket]) -> None:  # type: ignore[override]
        """Sessions that ended lose their socket; the others learn the newest seq."""
        ids = {socket.visitor.session_id for socket in sockets}
        known = await threads.run(selectors.live_sessions, ids, now=timezone.now())
        for socket in sockets:
            if (session := known.get(socket.visitor.session_id)) is None:
                socket.close(CloseCode.UNAUTHENTICATED)
                continue
            # After a merge the conversation belongs to another record.
            socket.visitor = dataclasses.replace(socket.visitor, customer_id=session.customer_id)
            socket.ping(last_seq={str(socket.visitor.conversation_id): session.last_seq})
