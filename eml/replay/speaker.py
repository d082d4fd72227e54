"""Saying things until they are acknowledged: shared by both sides."""

from __future__ import annotations

import asyncio
import uuid

from .journal import Journal
from .line import Line

ASK_AGAIN_SECONDS = 5.0


class Speaker:
    def __init__(self, line: Line, journal: Journal, *, names_conversation: bool) -> None:
        # An agent's socket has many conversations, a customer's has one.
        self._line, self._journal, self._names_conversation = line, journal, names_conversation
        self._waiting: dict[str, asyncio.Event] = {}

    async def say(self, conversation: int, body: str) -> None:
        """Send one message; the same `client_msg_id` again until the server acknowledges it."""
        key = str(uuid.uuid4())
        self._journal.send(key, conversation, body)
        acknowledged = self._waiting[key] = asyncio.Event()
        frame = {"type": "message", "client_msg_id": key, "body": body}
        if self._names_conversation:
            frame["conversation"] = conversation
        while not acknowledged.is_set():
            await self._line.say(frame)
            try:
                await asyncio.wait_for(acknowledged.wait(), ASK_AGAIN_SECONDS)
            except TimeoutError:
                continue

    def take(self, frame: dict) -> None:
        """An `ack` frame ends the asking."""
        key = frame["client_msg_id"]
        self._journal.ack(key, frame["seq"])
        if waiting := self._waiting.pop(key, None):
            waiting.set()
