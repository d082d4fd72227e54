"""Saying things until they are acknowledged: shared by both sides."""

from __future__ import annotations

import asyncio
import uuid

from apps.messaging.choices import Sender

from .journal import Journal
from .line import Line

# Asked again after this long without an answer. Frames get lost, servers die: the same id makes it safe.
ASK_AGAIN_SECONDS = 3.0
# Answers that stay the same however often one asks. (An agent's `not_found` is not among them: after a reconnect his
# words may overtake the frame that opens the conversation again.)
FINAL_REFUSALS = {"not_your_conversation", "conversation_closed", "client_msg_id_taken"}


class Speaker:
    def __init__(self, line: Line, journal: Journal, *, sender: Sender) -> None:
        self._line, self._journal, self._sender = line, journal, sender
        self._waiting: dict[str, asyncio.Future[bool]] = {}

    async def say(self, conversation: int, body: str) -> bool:
        """Send one message, the same again until the server answers; False when it refuses for good."""
        key = str(uuid.uuid4())
        self._journal.send(key, conversation, self._sender, body)
        answer = self._waiting[key] = asyncio.get_running_loop().create_future()
        frame = {"type": "message", "client_msg_id": key, "body": body}
        if self._sender == Sender.AGENT:
            # An agent's socket has many conversations, a customer's has one.
            frame["conversation"] = conversation  # type: ignore[assignment]
        try:
            while True:
                await self._line.say(frame)
                done, _ = await asyncio.wait([answer], timeout=ASK_AGAIN_SECONDS)
                if done:
                    return answer.result()
        finally:
            del self._waiting[key]

    def waits_in(self, conversation: int) -> bool:
        """Whether there is no answer yet to something said there."""
        return any(self._journal.sent[key].conversation == conversation for key in self._waiting)

    def acknowledged(self, frame: dict) -> None:
        """An `ack` frame ends the asking."""
        key = frame["client_msg_id"]
        self._journal.ack(key, frame["seq"])
        self._settle(key, is_stored=True)

    def refused(self, frame: dict) -> None:
        """So does an `error` frame that names our message, if asking again would change nothing."""
        key = frame.get("client_msg_id")
        if key in self._waiting and frame["code"] in FINAL_REFUSALS:
            self._journal.refuse(key, frame["code"])
            self._settle(key, is_stored=False)

    def _settle(self, key: str, *, is_stored: bool) -> None:
        answer = self._waiting.get(key)
        if answer is not None and not answer.done():
            answer.set_result(is_stored)
