"""Audits routing on the live database: who has what, whose load, whose turn."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.routing.services import audit, clock


class Command(BaseCommand):
    help = "Names every broken promise of routing; exit code 1 if there is one."
    requires_system_checks = ()  # of the program's pages; this is about the data

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        found = audit.violations(now=clock.now())
        if options["json"]:
            rows = [dataclasses.asdict(violation) for violation in found]
            self.stdout.write(json.dumps({"violations": rows}, indent=2))
        else:
            self._tell(found)
        if found:
            raise SystemExit(1)

    def _tell(self, found: list[audit.Violation]) -> None:
        for violation in found:
            self.stdout.write(f"{violation.code}  {violation.subject}: {violation.text}")
        self.stdout.write(f"{len(found)} violations" if found else self.style.SUCCESS("routing is in order"))
