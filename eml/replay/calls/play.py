"""One run: everybody does what the plan says, the server is audited meanwhile, then everything settles."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import httpx

from apps.routing.services import audit, clock
from eml.replay import proof, stage
from eml.replay.journal import Journal
from eml.replay.rest import NoAnswer

from .hall import Hall
from .people import Board, CallAgent, Caller, Clock, Scene
from .plan import Arrival, Plan

T = TypeVar("T")

AUDIT_SECONDS = 10.0
# After the last call: the server's follow-up work.
SETTLE_SECONDS = 20.0


@dataclass
class Run:
    """What a run leaves behind besides the database."""

    journal: Journal = field(default_factory=Journal)
    conversations: list[int] = field(default_factory=list)
    # How long the server took for what it does between two talks of an agent, in real seconds.
    delays: list[float] = field(default_factory=list)
    faults: set[str] = field(default_factory=set)
    audits: int = 0


async def play(
    plan: Plan, hall: Hall, *, servers: Sequence[str], speed: float, on_call: Callable[[], None]
) -> Run:
    """`on_call` is called after each call. What is wrong is in `faults` and in the journal; nothing is raised."""
    run = Run()
    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=100)) as http:
        clock_of_log = Clock(begins_at=plan.begins_at, speed=speed)
        scene = Scene(servers, http, run.journal, clock_of_log, Board())
        agents = [
            CallAgent(scene, hall.users[shift.agent], shift, plan=plan, disposition=hall.disposition.pk)
            for shift in plan.shifts
        ]
        auditor = asyncio.create_task(_audit_now_and_then(run))
        working = [asyncio.create_task(_watched(agent.work(), run.journal)) for agent in agents]

        async def one(arrival: Arrival) -> None:
            caller = Caller(scene, arrival, hall.lanes[arrival.queue])
            if conversation := await _watched(caller.call(), run.journal):
                run.conversations.append(conversation)
            on_call()

        await asyncio.gather(*(one(arrival) for arrival in plan.arrivals), *working)
        auditor.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await auditor
    run.delays = [delay for agent in agents for delay in agent.delays]
    await _settle(run, hall)
    return run


async def _watched(job: Awaitable[T], journal: Journal) -> T | None:
    """What goes wrong in passing is told in the journal."""
    try:
        return await job
    except NoAnswer as error:
        journal.trouble(str(error))
        return None


async def _audit_now_and_then(run: Run) -> None:
    while True:
        await asyncio.sleep(AUDIT_SECONDS)
        await stage.patiently(_audit, run)


def _audit(run: Run) -> None:
    run.audits += 1
    run.faults |= {f"{v.code} {v.subject}: {v.text}" for v in audit.violations(now=clock.now())}


async def _settle(run: Run, hall: Hall) -> None:
    """Everybody has gone: what is left after a while is a fault."""
    until = time.monotonic() + SETTLE_SECONDS
    while (left := await stage.patiently(_left, run, hall)) and time.monotonic() < until:
        await asyncio.sleep(0.2)
    run.faults |= set(left)
    await stage.patiently(_audit, run)


def _left(run: Run, hall: Hall) -> list[str]:
    return proof.loads_left(list(hall.agent_ids.values())) or proof.left_behind(run.conversations)
