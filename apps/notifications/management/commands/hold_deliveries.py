"""`manage.py hold_deliveries`: after a backup was restored, nothing goes out twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.core.events import SYSTEM

from ...services import queues


class Command(BaseCommand):
    help = "Hold for review what was due since the backup was made, and may have gone out already."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", required=True, help="when the backup was made, like 2026-03-10T08:00Z")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            since = datetime.fromisoformat(options["since"])
        except ValueError as error:
            raise CommandError("--since must be a moment like 2026-03-10T08:00Z.") from error
        if since.tzinfo is None:
            raise CommandError("--since must say its zone, like 2026-03-10T08:00Z.")
        count = queues.hold_after_restore(since=since, by=SYSTEM, now=timezone.now())
        self.stdout.write(f"Held for review: {count}.")
