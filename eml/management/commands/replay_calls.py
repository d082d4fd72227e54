"""`manage.py replay_calls FILE`: a day of a real call log through a running server, and what it made of it."""

from __future__ import annotations

import asyncio
import io
import json
import statistics
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import close_old_connections
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from apps.routing.services import clock
from eml.replay.calls import figures, hall, log, plan
from eml.replay.calls.figures import Figures
from eml.replay.calls.log import Call
from eml.replay.calls.play import Run, play
from eml.replay.rest import TOO_MANY
from eml.replay.turns import BadFile

MOST_FAULTS_SHOWN = 20
HOUR = 3600
PAGE_WIDTH = 120
COLUMNS = (
    ("offered", "offered", ""),
    ("answered", "answered", ""),
    ("abandoned_percent", "abandoned", " %"),
    ("mean_wait_seconds", "mean wait", " s"),
    ("mean_wait_answered_seconds", "of answered", " s"),
    ("service_level_percent", "service level", " %"),
    ("utilisation_percent", "talk ÷ staffed", " %"),
)


class Command(BaseCommand):
    help = (
        "Play one day of a call log (CSV, plain or .gz) against a running server: arrivals, patience, service times "
        "and agents from the log, offers by the server's router. Prints actual against replayed and audits routing "
        "all the while; exit code 1 if anything was violated or left behind. Needs the server's own settings and "
        "database, and EML_CHAT_START_RATE and EML_API_RATE high enough for so many calls from one address."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--server",
            action="append",
            help=f"where it listens (default: {settings.BASE_URL}); several take turns",
        )
        parser.add_argument("--date", default="", help="which day of the log (default: its first)")
        parser.add_argument(
            "--speed", type=float, default=30.0, help="times real time (default: %(default)s)"
        )
        parser.add_argument(
            "--from", type=float, default=0.0, dest="first", help="only calls since this hour"
        )
        parser.add_argument("--to", type=float, default=24.0, dest="last", help="only calls before this hour")
        parser.add_argument(
            "--seed", type=int, default=1, help="what is drawn: patience, gaps (default: %(default)s)"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 < options["speed"] <= 1000:
            raise CommandError("--speed must be above 0, and at most 1000.")
        calls, gaps = self._calls(options)
        planned = plan.make(calls, gaps=gaps, seed=options["seed"])
        kinds = sorted({call.queue for call in calls})
        built = hall.build(kinds, planned.shifts, speed=options["speed"])
        try:
            run = self._play(planned, built, options)
            replayed = self._replayed(run, built, options["speed"])
            occupancy = figures.occupancy_in_replay(built, now=clock.now())
        finally:
            # What the database forgot while it was away must not be asked.
            close_old_connections()
            hall.take_down(built)
        staffed = figures.staffed_in_log(planned.shifts)
        actual = figures.by_queue(figures.of_log(calls), staffed_seconds=staffed)
        self._report(run, actual, replayed, occupancy, options)
        if run.faults or run.journal.refusals or run.journal.troubles:
            raise SystemExit(1)

    def _calls(self, options: dict[str, Any]) -> tuple[list[Call], list[int]]:
        """Those to be played, and the gaps of the whole log. Without a date it is the first day."""
        try:
            days = log.read(options["file"])
        except BadFile as error:
            raise CommandError(str(error)) from error
        options["date"] = options["date"] or next(iter(days), "")
        calls = [
            call
            for call in days.get(options["date"], [])
            if options["first"] * HOUR <= call.at < options["last"] * HOUR
        ]
        if not any(call.agent for call in calls):
            raise CommandError(f"{options['file']} holds no calls with agents for this day and these hours.")
        return calls, [gap for day in days.values() for gap in log.gaps(day)]

    def _play(self, planned: plan.Plan, built: hall.Hall, options: dict[str, Any]) -> Run:
        console = Console(stderr=True)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            shown = progress.add_task("calls", total=len(planned.arrivals))
            run = asyncio.run(
                play(
                    planned,
                    built,
                    servers=options["server"] or [settings.BASE_URL],
                    speed=options["speed"],
                    on_call=lambda: progress.advance(shown),
                )
            )
        if run.journal.answers[TOO_MANY]:
            text = (
                "The server asked to slow down, so calls came late: see EML_CHAT_START_RATE and EML_API_RATE."
            )
            console.print(text, style="yellow")
        return run

    @staticmethod
    def _replayed(run: Run, built: hall.Hall, speed: float) -> dict[str, Figures]:
        staffed = figures.staffed_in_replay(built, speed=speed, now=clock.now())
        outcomes = figures.of_replay(run.conversations, built, speed=speed)
        return figures.by_queue(outcomes, staffed_seconds=staffed)

    def _report(
        self,
        run: Run,
        actual: dict[str, Figures],
        replayed: dict[str, Figures],
        occupancy: float | None,
        options: dict[str, Any],
    ) -> None:
        delay = statistics.median(run.delays) if run.delays else 0.0
        faults = sorted(run.faults) + run.journal.refusals + run.journal.troubles
        if options["json"]:
            told = {name: options[name] for name in ("date", "speed", "seed")} | {
                "service_level": figures.SERVICE_LEVEL,
                "utilisation": figures.UTILISATION,
                "occupancy": figures.OCCUPANCY,
                "occupancy_percent": occupancy,
                "actual": {name: asdict(found) for name, found in actual.items()},
                "replayed": {name: asdict(found) for name, found in replayed.items()},
                "server_delay_seconds_p50": round(delay, 3),
                "audits": run.audits,
                "faults": faults,
            }
            self.stdout.write(json.dumps(told))
            return
        title = f"{options['date']}, {options['speed']:g} times as fast, seed {options['seed']}"
        self._show(actual, replayed, title=title)
        self.stdout.write(f"service level: {figures.SERVICE_LEVEL}; talk ÷ staffed: {figures.UTILISATION}")
        share = "none" if occupancy is None else f"{occupancy} %"
        self.stdout.write(f"occupancy of the replay: {share} ({figures.OCCUPANCY})")
        self.stdout.write(f"median delay of the server between two calls of an agent: {delay * 1000:.0f} ms")
        for fault in faults[:MOST_FAULTS_SHOWN]:
            self.stdout.write(f"  ✗ {fault}")
        verdict = f"{len(faults)} faults" if faults else "nothing was violated"
        self.stdout.write(f"{verdict}; routing was audited {run.audits} times")

    def _show(self, actual: dict[str, Figures], replayed: dict[str, Figures], *, title: str) -> None:
        table = Table("", "", *(name for _, name, _ in COLUMNS), title=title)
        for queue, real in actual.items():
            rows = [("log", real)] + ([("replay", replayed[queue])] if queue in replayed else [])
            for whose, found in rows:
                cells = (f"{getattr(found, field)}{unit}" for field, _, unit in COLUMNS)
                table.add_row(queue if whose == "log" else "", whose, *cells)
        paper = io.StringIO()
        Console(file=paper, width=PAGE_WIDTH).print(table)
        self.stdout.write(paper.getvalue())
