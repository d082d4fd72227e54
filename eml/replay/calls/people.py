"""Callers and agents of a call replay, through the public doors: the chat API, the desk socket and the API."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import httpx

from apps.routing.choices import Chosen, State
from apps.users.models import User
from eml.replay.address import Address
from eml.replay.desk import Desk
from eml.replay.journal import Journal
from eml.replay.rest import NoAnswer, Rest

from .hall import Lane
from .plan import Arrival, Plan, Shift

CONFLICT = (403, 404, 409)
# What no frame told is found by looking.
LOOK_SECONDS = 5.0
# The server frees the agent after a follow-up of the close; asked again this often, and given up after a while.
ASK_AGAIN_SECONDS = 0.03
LONGEST_FOLLOW_UP_SECONDS = 20.0


class Clock:
    """Seconds of the log, played `speed` times as fast."""

    def __init__(self, *, begins_at: int, speed: float) -> None:
        self._begins_at, self.speed = begins_at, speed
        self._started = time.monotonic()

    @property
    def now(self) -> float:
        return self._begins_at + (time.monotonic() - self._started) * self.speed

    async def until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, (moment - self.now) / self.speed))


class Talk(NamedTuple):
    arrival: Arrival
    began_waiting: float


class Board:
    """What both sides of a call have to know of each other, by conversation."""

    def __init__(self) -> None:
        self.talks: dict[int, asyncio.Future[Talk]] = defaultdict(asyncio.Future)
        self.answered: dict[int, asyncio.Event] = defaultdict(asyncio.Event)


class Scene(NamedTuple):
    """What everybody of one run shares."""

    servers: Sequence[str]
    http: httpx.AsyncClient
    journal: Journal
    clock: Clock
    board: Board


class Caller:
    def __init__(self, scene: Scene, arrival: Arrival, lane: Lane) -> None:
        self._arrival, self._lane, self._clock, self._board = arrival, lane, scene.clock, scene.board
        self._rest = Rest(
            Address(scene.servers),
            http=scene.http,
            journal=scene.journal,
            prefix="chat/",
            credentials=self._credentials,
        )
        self._token = ""

    async def _credentials(self) -> dict[str, str]:
        return {"Authorization": f"Visitor {self._token}"} if self._token else {}

    async def call(self) -> int:
        """Arrive, wait as long as there is patience, and hang up unless somebody answered. Returns the conversation."""
        await self._clock.until(self._arrival.at)
        began_waiting = self._clock.now
        body = {"start_key": str(uuid.uuid4()), "body": f"A call for {self._arrival.queue}"}
        if self._arrival.is_credited:
            body["previous_token"] = self._lane.credited_token
        started = await self._rest.call("POST", f"{self._lane.inbox.slug}/start/", body)
        assert started is not None
        self._token, conversation = started["token"], started["conversation"]
        self._board.talks[conversation].set_result(Talk(self._arrival, began_waiting))
        patience = (began_waiting + self._arrival.patience - self._clock.now) / self._clock.speed
        try:
            await asyncio.wait_for(self._board.answered[conversation].wait(), max(patience, 0.001))
        except TimeoutError:
            await self._rest.call("POST", "end/", {}, settled=(409,))
        return conversation


class CallAgent(Desk):
    """Takes a call at a time, as long as it lasts, and a gap after each as agents of the log did.

    A gap of the log holds everything between two talks, so what the server itself takes (follow-ups, offer, accept) is
    a part of it and never added: what could not be taken off this gap is taken off the next ones.
    """

    def __init__(self, scene: Scene, user: User, shift: Shift, *, plan: Plan, disposition: int) -> None:
        super().__init__(scene.servers, user, http=scene.http, journal=scene.journal)
        self._shift, self._clock, self._board = shift, scene.clock, scene.board
        self._gaps, self._chance = plan.gaps, random.Random(f"{plan.seed} {shift.agent}")
        self._disposition = disposition
        self._offers: asyncio.Queue[int] = asyncio.Queue()
        self._free_at = 0.0
        self._freeing = self._owed = 0.0
        # How long the server took between each two calls, in real seconds.
        self.delays: list[float] = []

    async def work(self) -> None:
        """The whole shift."""
        line: asyncio.Task | None = None
        try:
            for start, end in self._shift.hours:
                await self._clock.until(start)
                line = line or asyncio.create_task(self._line.run())
                await self._choose(Chosen.AVAILABLE)
                self._free_at = self._clock.now
                await self._take_calls(until=end)
                await self._choose(Chosen.SIGNED_OUT)
        finally:
            await self._line.hang_up()
            if line:
                line.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await line

    async def _choose(self, chosen: Chosen) -> None:
        await self._rest.call("PUT", "presence/", {"chosen": chosen})

    async def _take(self, frame: dict) -> None:
        if frame["type"] == "offer.made":
            self._offers.put_nowait(frame["offer"])

    async def _take_calls(self, *, until: float) -> None:
        while (left := (until - self._clock.now) / self._clock.speed) > 0:
            try:
                offer = await asyncio.wait_for(self._offers.get(), min(left, LOOK_SECONDS))
            except TimeoutError:
                await self._look()
                continue
            try:
                await self._serve(offer)
            except NoAnswer as error:
                self._journal.trouble(str(error))

    async def _look(self) -> None:
        presence = await self._rest.call("GET", "presence/")
        if presence and presence["state"] == State.NOT_RESPONDING:
            await self._choose(Chosen.AVAILABLE)
        for offer in (await self._rest.call("GET", "offers/") or {}).get("results", []):
            self._offers.put_nowait(offer["id"])

    async def _serve(self, offer: int) -> None:
        accepted = await self._rest.call("POST", f"offers/{offer}/accept/", {}, settled=CONFLICT)
        if not accepted:
            return  # the caller hung up
        conversation = accepted["conversation"]
        self._board.answered[conversation].set()
        talk = await self._board.talks[conversation]
        self._owe(self._freeing + self._clock.now - max(self._free_at, talk.began_waiting))
        await asyncio.sleep(talk.arrival.service / self._clock.speed)
        body = {"disposition": self._disposition}
        await self._rest.call("POST", f"conversations/{conversation}/close/", body, settled=CONFLICT)
        ended = self._clock.now
        gap = self._chance.choice(self._gaps)
        used = min(gap, self._owed)
        self._owed -= used
        await self._clock.until(ended + gap - used)
        due = self._clock.now
        await self._end_wrap_up(conversation)
        self._free_at = self._clock.now
        self._freeing = self._free_at - due

    def _owe(self, seconds: float) -> None:
        self._owed += seconds
        self.delays.append(seconds / self._clock.speed)

    async def _end_wrap_up(self, conversation: int) -> None:
        give_up = time.monotonic() + LONGEST_FOLLOW_UP_SECONDS
        path = f"conversations/{conversation}/end-wrap-up/"
        while await self._rest.call("POST", path, settled=CONFLICT) is None:
            if time.monotonic() > give_up:
                self._journal.trouble(f"conversation {conversation}: its wrap-up never began")
                return
            await asyncio.sleep(ASK_AGAIN_SECONDS)
