"""`manage.py prune`: what is kept for a while only, and is older, is deleted now."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from apps.core import retention
from apps.core.retention import Kind
from apps.notifications.services import retention as notifications
from apps.routing.services import clock
from apps.routing.services import retention as routing

KINDS = {kind.name: kind for kind in (*routing.KINDS, notifications.LISTS, retention.EVENTS)}


class Command(BaseCommand):
    help = (
        "Delete decisions, presence intervals, callbacks, values of campaigns' lists and events that are older than "
        "EML_KEEP_…_DAYS say, in small batches. May be cut off and repeated. The scheduler does it every night."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "what", nargs="*", metavar="what", help=f"{', '.join(KINDS)} (default: all of them)"
        )
        parser.add_argument(
            "--days", type=int, help="delete what is older than this, whatever the settings say"
        )
        parser.add_argument(
            "--batch", type=int, default=retention.BATCH, help="rows at a time (default: %(default)s)"
        )
        parser.add_argument("--dry-run", action="store_true", help="only count")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if unknown := set(options["what"]) - KINDS.keys():
            raise CommandError(f"{', '.join(sorted(unknown))}: choose from {', '.join(KINDS)}.")
        if options["batch"] < 1 or (options["days"] is not None and options["days"] < 1):
            raise CommandError("--batch and --days must be at least 1.")
        if options["days"] is not None and not options["what"]:
            raise CommandError("With --days, name what to delete.")
        chosen = [KINDS[name] for name in options["what"] or KINDS]
        found = {kind.name: self._prune(kind, options) for kind in chosen}
        if options["json"]:
            self.stdout.write(json.dumps({"dry_run": options["dry_run"], "deleted": found}))
            return
        verb = "would be deleted" if options["dry_run"] else "deleted"
        for name, count in found.items():
            self.stdout.write(f"{name}: {count} {verb}")

    def _prune(self, kind: Kind, options: dict[str, Any]) -> int:
        days, now = options["days"] or kind.days, clock.now()
        if not days:
            return 0
        total = kind.old(now - timedelta(days=days)).count()
        if options["dry_run"] or not total:
            return total
        console = Console(stderr=True)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        gone = 0
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            shown = progress.add_task(kind.name, total=total)
            for gone in retention.remove(kind, days=days, now=now, batch=options["batch"]):
                progress.update(shown, completed=gone)
        return gone
