"""One agent: at the desk socket by ticket, accepts offers over REST, answers every customer turn."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Sequence

import httpx

from apps.messaging.choices import Sender
from apps.routing.choices import Chosen, State
from apps.users.models import User

from .desk import Desk
from .journal import Journal, Seen
from .rest import NoAnswer
from .speaker import Speaker

# What no frame told (the live layer may lose them) is found by looking, as the console does.
LOOK_SECONDS = 10.0
CONFLICT = (404, 409)


class Agent(Desk):
    def __init__(
        self,
        servers: Sequence[str],
        user: User,
        *,
        http: httpx.AsyncClient,
        journal: Journal,
        turns_of: dict[int, int],
        disposition: int,
    ) -> None:
        """`turns_of`: conversation → number of its customer's turns, where the agent is the one to close it."""
        super().__init__(servers, user, http=http, journal=journal)
        self._turns_of, self._disposition = turns_of, disposition
        self._speaker = Speaker(self._line, journal, sender=Sender.AGENT)
        # Whatever fails here ends the whole desk, as its line does.
        self._jobs: asyncio.TaskGroup
        # Conversations I look at, and those of them that I know to be over.
        self._open: set[int] = set()
        self._over: set[int] = set()
        # Conversation → the turn I answered last; conversations I closed; offers I am about to accept.
        self._answered: dict[int, int] = defaultdict(int)
        self._closed: set[int] = set()
        self._accepting: set[int] = set()

    async def run(self) -> None:
        """At the desk until `leave`."""
        async with asyncio.TaskGroup() as self._jobs:
            self._jobs.create_task(self._line.run())
            self._jobs.create_task(self._look_now_and_then())

    async def leave(self) -> None:
        """The socket closes; what is still to be done ends with `run`."""
        await self._line.hang_up()

    # Frames

    async def _take(self, frame: dict) -> None:
        if take := self._frames.get(frame["type"]):
            await take(self, frame)

    async def _on_ready(self, frame: dict) -> None:
        # Also what is in my hands no more: it may have ended while I was away, after my last words or before.
        for conversation in self._open | {conversation["id"] for conversation in frame["conversations"]}:
            await self._watch(conversation)
        self._spawn(self._look())

    async def _on_offer(self, frame: dict) -> None:
        self._spawn(self._accept(frame["offer"]))

    async def _on_ack(self, frame: dict) -> None:
        self._speaker.acknowledged(frame)

    async def _on_error(self, frame: dict) -> None:
        self._speaker.refused(frame)

    async def _on_replay(self, frame: dict) -> None:
        conversation = frame["conversation"]
        for message in frame["messages"]:
            await self._see(message)
        self._attend(conversation)
        if conversation in self._over and self._seen(conversation).last >= frame["last_seq"]:
            await self._let_go(conversation)

    async def _on_ping(self, frame: dict) -> None:
        newest = {int(key): last_seq for key, last_seq in frame["last_seq"].items()}
        for conversation, last_seq in newest.items():
            if last_seq > self._seen(conversation).last:
                await self._watch(conversation)
        # The server may have been unable to watch when it was asked to.
        for conversation in self._open - newest.keys():
            await self._watch(conversation)

    async def _on_change(self, frame: dict) -> None:
        conversation = frame["conversation"]
        match frame["what"]:
            case "assigned":
                await self._watch(conversation)
            case "released":
                # In other hands from now on. If it comes back, "assigned" says so.
                await self._let_go(conversation)
            case "closed":
                # Once more, for its last line.
                self._over.add(conversation)
                await self._watch(conversation)

    async def _let_go(self, conversation: int) -> None:
        if self._speaker.waits_in(conversation):
            return  # only where I look am I told what became of my words
        self._open.discard(conversation)
        await self._line.say({"type": "unwatch", "conversation": conversation})

    def _seen(self, conversation: int) -> Seen:
        return self._journal.agents[conversation][self._user.pk]

    async def _watch(self, conversation: int) -> None:
        """Be told about it from now on, and everything missed so far."""
        self._open.add(conversation)
        after = self._seen(conversation).last
        await self._line.say({"type": "watch", "conversation": conversation, "after_seq": after})

    async def _see(self, message: dict) -> None:
        conversation = message["conversation"]
        seen = self._seen(conversation)
        if seen.take(message):
            self._attend(conversation)
        elif message["seq"] > seen.last:
            await self._watch(conversation)

    # Work

    def _attend(self, conversation: int) -> None:
        """Answer what the customer said last, once; after his last turn, close."""
        seen = self._seen(conversation)
        number = seen.count(Sender.CUSTOMER)
        if seen.waits_for_answer:
            if number > self._answered[conversation]:
                self._answered[conversation] = number
                self._spawn(self._answer(conversation, number))
        elif number == self._turns_of.get(conversation) and conversation not in self._closed:
            self._closed.add(conversation)
            self._spawn(self._close(conversation))

    async def _answer(self, conversation: int, number: int) -> None:
        if not await self._speaker.say(conversation, f"Thank you, that was number {number}."):
            # Somebody else has it now. Should it ever come back to me, I look again.
            self._answered[conversation] = number - 1

    async def _close(self, conversation: int) -> None:
        body = {"disposition": self._disposition}
        if await self._rest.call(
            "POST", f"conversations/{conversation}/close/", body, settled=(403, *CONFLICT)
        ):
            return
        # Closed already, or in other hands; who has it closes it.
        self._closed.discard(conversation)

    async def _look_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._watched(self._look())

    async def _look(self) -> None:
        """What rings, and whether I am still taken for somebody who answers."""
        presence = await self._rest.call("GET", "presence/")
        if presence and presence["state"] == State.NOT_RESPONDING:
            await self._rest.call("PUT", "presence/", {"chosen": Chosen.AVAILABLE})
        offers = await self._rest.call("GET", "offers/")
        for offer in (offers or {}).get("results", []):
            self._spawn(self._accept(offer["id"]))

    async def _accept(self, offer: int) -> None:
        if offer in self._accepting:
            return
        self._accepting.add(offer)
        accepted = await self._rest.call("POST", f"offers/{offer}/accept/", {}, settled=CONFLICT)
        if accepted:
            # The frame that says "assigned" may be lost.
            await self._watch(accepted["conversation"])
        elif accepted is None:
            # Too late, or an earlier try got through and only its answer was lost: then it is mine.
            await self._watch_own()

    async def _watch_own(self) -> None:
        own = await self._rest.call("GET", "conversations/?mine=true&status=active")
        for conversation in (own or {}).get("results", []):
            await self._watch(conversation["id"])

    def _spawn(self, job: Coroutine) -> None:
        self._jobs.create_task(self._watched(job))

    async def _watched(self, job: Coroutine) -> None:
        """What goes wrong in passing is not lost with its task."""
        try:
            await job
        except NoAnswer as error:
            self._journal.trouble(str(error))

    _frames = {
        "ready": _on_ready,
        "offer.made": _on_offer,
        "ack": _on_ack,
        "error": _on_error,
        "message": _see,
        "replay": _on_replay,
        "ping": _on_ping,
        "conversation.changed": _on_change,
    }
