"""`manage.py replay FILE`: real conversations through the public doors of a running server, and the proof."""

from __future__ import annotations

import asyncio
import json
import statistics
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from apps.core import threads
from eml.replay import journal as proof_of
from eml.replay import stage as scenery
from eml.replay import turns
from eml.replay.agent import Agent
from eml.replay.customer import Customer, Pace
from eml.replay.journal import Journal, Proof

MOST_FAULTS_SHOWN = 20
# After the last customer left: the server's follow-up work (seconds).
SETTLE_SECONDS = 10


class Command(BaseCommand):
    help = (
        "Play a CSV of customer turns (conversationId, turn, utterance; plain or .gz) through a running server: "
        "customers over the chat socket, agents over the desk socket and the API. Ends with a proof; exit code 1 "
        "if anything was lost, doubled, out of order or left behind. Needs the server's own database."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--server", default=settings.BASE_URL, help="default: %(default)s")
        parser.add_argument(
            "--customers", type=int, default=30, help="at the same time (default: %(default)s)"
        )
        parser.add_argument(
            "--agents", type=int, default=12, help="each has room for three (default: %(default)s)"
        )
        parser.add_argument(
            "--rate", type=float, default=0, help="customer messages a second, 0: as fast as it goes"
        )
        parser.add_argument(
            "--limit", type=int, default=1000, help="conversations, 0: all (default: %(default)s)"
        )
        parser.add_argument(
            "--seed", type=int, default=1, help="which conversations are drawn (default: %(default)s)"
        )
        parser.add_argument("--json", action="store_true", help="print the proof as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            conversations = turns.read(options["file"], limit=options["limit"], seed=options["seed"])
        except turns.BadFile as error:
            raise CommandError(str(error)) from error
        if not conversations:
            raise CommandError(f"{options['file']} holds no conversation.")
        stage = scenery.build(how_many=options["agents"])
        journal = Journal()
        try:
            scenery.sign_in(stage)
            asyncio.run(_play(conversations, stage, journal, options))
        finally:
            scenery.take_down(stage)
        proof = proof_of.prove(journal, planned=len(conversations))
        proof.faults.extend(proof_of.loads_left(stage.agent_ids))
        self._report(proof, journal, options)
        if proof.faults:
            raise SystemExit(1)

    def _report(self, proof: Proof, journal: Journal, options: dict[str, Any]) -> None:
        waits = sorted(journal.first_answers) or [float("nan")]
        median, late = statistics.median(waits), waits[int(len(waits) * 0.95)]
        if options["json"]:
            figures = vars(proof) | {"first_answer_p50_seconds": median, "first_answer_p95_seconds": late}
            self.stdout.write(json.dumps(figures))
            return
        for fault in proof.faults[:MOST_FAULTS_SHOWN]:
            self.stdout.write(f"  ✗ {fault}")
        if len(proof.faults) > MOST_FAULTS_SHOWN:
            self.stdout.write(f"  … and {len(proof.faults) - MOST_FAULTS_SHOWN} more")
        verdict = "clean" if not proof.faults else f"{len(proof.faults)} faults"
        self.stdout.write(
            f"{verdict}: {proof.conversations} conversations, {proof.sent} messages sent, "
            f"{proof.acknowledged} acknowledged, {proof.stored} stored, {proof.received} received on the other side; "
            f"{journal.reconnects} reconnects; first answer p50 {median:.2f} s, p95 {late:.2f} s "
            f"(seed {options['seed']})"
        )


async def _play(
    conversations: dict[str, list[str]], stage: scenery.Stage, journal: Journal, options: dict[str, Any]
) -> None:
    server = options["server"].rstrip("/")
    turns_of: dict[int, int] = {}
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(timeout=30, limits=limits) as http:
        agents = [
            Agent(server, user, http=http, journal=journal, turns=turns_of, disposition=stage.disposition.pk)
            for user in stage.users
        ]
        desks = [asyncio.create_task(agent.run()) for agent in agents]
        try:
            await _let_customers_in(conversations, stage, journal, turns_of, http, options)
            await asyncio.sleep(1)
            await _settle(stage)
        finally:
            for agent in agents:
                await agent.leave()
            for desk in desks:
                desk.cancel()


async def _let_customers_in(
    conversations: dict[str, list[str]],
    stage: scenery.Stage,
    journal: Journal,
    turns_of: dict[int, int],
    http: httpx.AsyncClient,
    options: dict[str, Any],
) -> None:
    room, pace = asyncio.Semaphore(options["customers"]), Pace(options["rate"])
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        shown = progress.add_task("conversations", total=len(conversations))

        async def one(texts: list[str]) -> None:
            async with room:
                customer = Customer(
                    options["server"].rstrip("/"), stage.inbox.slug, texts, http=http, journal=journal
                )
                try:
                    await customer.live(pace, turns_of=turns_of)
                except (TimeoutError, httpx.HTTPError) as error:
                    console.print(f"conversation {customer.conversation}: {type(error).__name__} {error}")
                progress.advance(shown)

        await asyncio.gather(*(one(texts) for texts in conversations.values()))


async def _settle(stage: scenery.Stage) -> None:
    """The server frees agents after the close; give it the time it promises."""
    for _ in range(SETTLE_SECONDS * 5):
        if not await threads.run(proof_of.loads_left, stage.agent_ids):
            return
        await asyncio.sleep(0.2)
