"""`manage.py replay FILE`: real conversations through the public doors of a running server, and the proof."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import close_old_connections
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from apps.core import dispatch
from eml.replay import proof as proofs
from eml.replay import stage as scenery
from eml.replay import turns
from eml.replay.agent import Agent
from eml.replay.customer import Customer, Pace
from eml.replay.journal import Journal
from eml.replay.proof import Proof
from eml.replay.rest import TOO_MANY, NoAnswer

MOST_FAULTS_SHOWN = 20
# After the last customer left: the server's follow-up work, and the agents' last frames (seconds).
# What a killed worker had in hand is due again when its lease ends.
SETTLE_SECONDS = dispatch.LEASE.total_seconds() + 30


class Command(BaseCommand):
    help = (
        "Play a CSV of customer turns (conversationId, turn, utterance; plain or .gz) through a running server: "
        "customers over the chat socket, agents over the desk socket and the API. Ends with a proof; exit code 1 "
        "if anything was lost, doubled, out of order or left behind. Needs the server's own settings and database. "
        "The server lets one address start EML_CHAT_START_RATE chats; raise that for more than a few."
    )
    requires_system_checks = ()  # the server has made them

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--server",
            action="append",
            help=f"where it listens (default: {settings.BASE_URL}); several take turns, like behind a load balancer",
        )
        for name, default, words in (
            ("--customers", 30, "at the same time"),
            ("--agents", 12, "each has room for three"),
            ("--limit", 1000, "conversations, 0: all"),
            ("--seed", 1, "which conversations are drawn"),
        ):
            parser.add_argument(name, type=int, default=default, help=f"{words} (default: %(default)s)")
        parser.add_argument(
            "--rate", type=float, default=0, help="customer messages a second, 0: as fast as it goes"
        )
        parser.add_argument("--json", action="store_true", help="print the proof as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        conversations = self._conversations(options)
        options["server"] = options["server"] or [settings.BASE_URL]
        stage = scenery.build(how_many=options["agents"])
        began = time.monotonic()
        try:
            journal = asyncio.run(_Play(conversations, stage, options).run())
            seconds = time.monotonic() - began
            # The database may have been restarted meanwhile, and this thread has not asked it since.
            close_old_connections()
            proof = proofs.prove(journal, planned=len(conversations))
            proof.faults.extend(proofs.loads_left(stage.agent_ids))
        finally:
            scenery.take_down(stage)
        self._report(proof, journal, seconds=seconds, **options)
        if proof.faults:
            raise SystemExit(1)

    def _conversations(self, options: dict[str, Any]) -> dict[str, list[str]]:
        for name, least in (("customers", 1), ("agents", 1), ("limit", 0), ("rate", 0)):
            if options[name] < least:
                raise CommandError(f"--{name} must be at least {least}.")
        try:
            conversations = turns.read(options["file"], limit=options["limit"], seed=options["seed"])
        except turns.BadFile as error:
            raise CommandError(str(error)) from error
        if not conversations:
            raise CommandError(f"{options['file']} holds no conversation.")
        return conversations

    def _report(self, proof: Proof, journal: Journal, *, seconds: float, seed: int, **options: Any) -> None:
        waits = sorted(journal.first_answers) or [float("nan")]
        median, late = statistics.median(waits), waits[int(len(waits) * 0.95)]
        if options["json"]:
            figures = vars(proof) | {
                "reconnects": journal.reconnects,
                "answers": dict(sorted(journal.answers.items())),
                "seconds": round(seconds, 1),
                "first_answer_p50_seconds": median,
                "first_answer_p95_seconds": late,
                "seed": seed,
            }
            self.stdout.write(json.dumps(figures))
            return
        for fault in proof.faults[:MOST_FAULTS_SHOWN]:
            self.stdout.write(f"  ✗ {fault}")
        if len(proof.faults) > MOST_FAULTS_SHOWN:
            self.stdout.write(f"  … and {len(proof.faults) - MOST_FAULTS_SHOWN} more")
        statuses = ", ".join(f"{count} × {status}" for status, count in sorted(journal.answers.items()))
        self.stdout.write(f"REST answers: {statuses}")
        verdict = "clean" if not proof.faults else f"{len(proof.faults)} faults"
        self.stdout.write(
            f"{verdict}: {proof.conversations} conversations, {proof.sent} messages sent, "
            f"{proof.acknowledged} acknowledged, {proof.stored} stored, {proof.received} received on the other side; "
            f"{journal.reconnects} reconnects; first answer p50 {median:.2f} s, p95 {late:.2f} s "
            f"({seconds:.0f} s, seed {seed})"
        )


class _Play:
    """One run: agents at their desks, customers let in one after the other, then everything settles."""

    def __init__(
        self, conversations: dict[str, list[str]], stage: scenery.Stage, options: dict[str, Any]
    ) -> None:
        self._conversations, self._stage, self._options = conversations, stage, options
        self._journal = Journal()
        self._turns_of: dict[int, int] = {}
        self._console = Console(stderr=True)

    async def run(self) -> Journal:
        await scenery.patiently(scenery.sign_in, self._stage)
        limits = httpx.Limits(max_connections=100)
        # A desk that fails ends everything: customers would wait for its answers until they give up.
        async with httpx.AsyncClient(timeout=30, limits=limits) as http, asyncio.TaskGroup() as group:
            agents = self._agents(http)
            desks = [group.create_task(agent.run()) for agent in agents]
            try:
                await self._let_customers_in(http)
                await self._settle()
            finally:
                for agent, desk in zip(agents, desks, strict=True):
                    await agent.leave()
                    desk.cancel()
        return self._journal

    def _agents(self, http: httpx.AsyncClient) -> list[Agent]:
        return [
            Agent(
                self._options["server"],
                user,
                http=http,
                journal=self._journal,
                turns_of=self._turns_of,
                disposition=self._stage.disposition.pk,
            )
            for user in self._stage.users
        ]

    async def _let_customers_in(self, http: httpx.AsyncClient) -> None:
        room, pace = asyncio.Semaphore(self._options["customers"]), Pace(self._options["rate"])
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=self._console, disable=not self._console.is_terminal) as progress:
            shown = progress.add_task("conversations", total=len(self._conversations))

            async def one(texts: list[str]) -> None:
                async with room:
                    await self._one(texts, http, pace)
                progress.advance(shown)
                self._warn_once()

            await asyncio.gather(*(one(texts) for texts in self._conversations.values()))

    async def _one(self, texts: list[str], http: httpx.AsyncClient, pace: Pace) -> None:
        inbox = self._stage.inbox.slug
        customer = Customer(self._options["server"], inbox, texts, http=http, journal=self._journal)
        try:
            await customer.live(pace, turns_of=self._turns_of)
        except* (TimeoutError, NoAnswer) as errors:
            for error in errors.exceptions:
                self._journal.trouble(f"conversation {customer.conversation}: {error or 'nothing moves'}")

    _has_warned = False

    def _warn_once(self) -> None:
        if self._journal.answers[TOO_MANY] and not self._has_warned:
            self._has_warned = True
            self._console.print(
                "The server asks to slow down; see EML_CHAT_START_RATE and EML_API_RATE.", style="yellow"
            )

    async def _settle(self) -> None:
        """The server frees agents after the close; those who lost their line come back and read the last lines."""
        still_open = list(self._journal.customers)
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until:
            if not self._unread() and not await scenery.patiently(self._unsettled, still_open):
                return
            await asyncio.sleep(0.2)

    def _unsettled(self, conversations: list[int]) -> list[str]:
        return proofs.loads_left(self._stage.agent_ids) or proofs.left_behind(conversations)

    def _unread(self) -> bool:
        """Whether an agent still has to see what the customer saw, or to hear what became of his words."""
        return bool(self._journal.unanswered) or any(
            max((seen.last for seen in self._journal.agents[pk].values()), default=0) < seen_by_customer.last
            for pk, seen_by_customer in self._journal.customers.items()
        )
