"""One customer: starts a chat over REST, then says one turn after each answer over the chat socket."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial

import httpx

from apps.messaging.choices import Sender, Status

from .address import Address
from .journal import Journal, Seen
from .line import Line
from .rest import NoAnswer, Rest
from .speaker import Speaker

LONGEST_WAIT_SECONDS = 300.0
# What no frame told is found by asking.
LOOK_SECONDS = 10.0
CONFLICT = 409


class Pace:
    """At most so many messages a second over all customers; 0 sets no limit."""

    def __init__(self, rate: float) -> None:
        self._gap = 1 / rate if rate else 0.0
        self._next = time.monotonic()

    async def turn(self) -> None:
        mine = self._next = max(self._next + self._gap, time.monotonic())
        await asyncio.sleep(max(0.0, mine - time.monotonic()))


class Customer:
    def __init__(
        self,
        servers: Sequence[str],
        inbox: str,
        turns: list[str],
        *,
        http: httpx.AsyncClient,
        journal: Journal,
    ) -> None:
        self._inbox, self._turns, self._journal = inbox, turns, journal
        self._rest = Rest(
            Address(servers), http=http, journal=journal, prefix="chat/", credentials=self._credentials
        )
        self._line = Line(
            Address(servers),
            "/ws/chat/",
            hello=self._hello,
            on_frame=self._take,
            sends_origin=True,
            on_loss=self._count_loss,
        )
        self._speaker = Speaker(self._line, journal, sender=Sender.CUSTOMER)
        self._news = asyncio.Event()
        self._is_closed = False
        self.conversation = 0
        self._token = ""

    async def live(self, pace: Pace, *, turns_of: dict[int, int]) -> None:
        """The whole conversation, until it is closed. Where `turns_of` knows its length, the agent closes it.

        TimeoutError when nothing moves for five minutes, NoAnswer when the server refuses; each in an ExceptionGroup
        once the line is open.
        """
        await pace.turn()
        began = time.monotonic()
        await self._start(self._turns[0])
        ends_himself = self.conversation % 2 == 0 or len(self._turns) == 1
        if not ends_himself:
            turns_of[self.conversation] = len(self._turns)
        # A line that fails ends the conversation, which would wait for its answers in vain.
        async with asyncio.TaskGroup() as group:
            line = group.create_task(self._line.run())
            try:
                await self._until(partial(self._has_answers, 1))
                self._journal.first_answers.append(time.monotonic() - began)
                await self._say_the_rest(pace)
                if ends_himself:
                    await self._rest.call("POST", "end/", {}, settled=(CONFLICT,))
                await self._until(lambda: self._is_closed)
                await self._see_the_rest()
            finally:
                await self._line.hang_up()
                line.cancel()

    async def _say_the_rest(self, pace: Pace) -> None:
        for number, text in enumerate(self._turns[1:], start=2):
            await pace.turn()
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                is_stored = await self._speaker.say(self.conversation, text)
            if not is_stored:
                raise NoAnswer(f"conversation {self.conversation}: turn {number} was refused")
            await self._until(partial(self._has_answers, number))

    async def _start(self, body: str) -> None:
        key = str(uuid.uuid4())
        answer = await self._rest.call("POST", f"{self._inbox}/start/", {"start_key": key, "body": body})
        assert answer is not None
        self._token, self.conversation = answer["token"], answer["conversation"]
        self._journal.send(key, self.conversation, Sender.CUSTOMER, body)
        self._journal.ack(key, 1)
        self._journal.customers[self.conversation] = Seen()

    async def _credentials(self) -> dict[str, str]:
        return {"Authorization": f"Visitor {self._token}"} if self._token else {}

    async def _hello(self) -> dict:
        return {"type": "auth", "token": self._token, "after_seq": self._seen.last}

    def _count_loss(self) -> None:
        self._journal.reconnects += 1

    # Frames

    async def _take(self, frame: dict) -> None:
        match frame["type"]:
            case "ack":
                self._speaker.acknowledged(frame)
            case "error":
                self._speaker.refused(frame)
            case "message":
                await self._see(frame)
            case "replay":
                for message in frame["messages"]:
                    await self._see(message)
            case "ping":
                if frame.get("last_seq", {}).get(str(self.conversation), 0) > self._seen.last:
                    await self._resume()
            case "ready" if frame["status"] == Status.CLOSED:
                self._is_closed = True
            case "conversation.changed" if frame["what"] == "closed":
                self._is_closed = True
        self._news.set()

    @property
    def _seen(self) -> Seen:
        return self._journal.customers[self.conversation]

    def _has_answers(self, number: int) -> bool:
        return self._seen.count(Sender.AGENT) >= number

    async def _see(self, message: dict) -> None:
        if not self._seen.take(message) and message["seq"] > self._seen.last:
            await self._resume()

    async def _resume(self) -> None:
        await self._line.say({"type": "resume", "after_seq": self._seen.last})

    # Waiting

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Until frames have made it so; every few seconds the server is asked what they did not tell."""
        until = time.monotonic() + LONGEST_WAIT_SECONDS
        while not is_so():
            if time.monotonic() > until:
                raise TimeoutError("nothing moves")
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), LOOK_SECONDS)
            except TimeoutError:
                await self._look()

    async def _look(self) -> int:
        """How it stands; returns the newest seq."""
        state = await self._rest.call("GET", "conversation/")
        assert state is not None
        self._is_closed = self._is_closed or state["status"] == Status.CLOSED
        return state["last_seq"]

    async def _see_the_rest(self) -> None:
        """Also the line that says it is over."""
        last_seq = await self._look()
        if self._seen.last < last_seq:
            await self._resume()
        await self._until(lambda: self._seen.last >= last_seq)
