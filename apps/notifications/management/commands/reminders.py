"""Reminders from the command line: `manage.py reminders list|due|send|cancel|preview`."""

from __future__ import annotations

from argparse import ArgumentParser
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError

from apps.core.errors import EMLError
from apps.core.events import SYSTEM
from apps.notifications import ledger
from apps.notifications.management import rows
from apps.notifications.models import Reminder
from apps.notifications.services import reminders
from apps.routing.services import clock

MOST_SHOWN = 1000
# What lists say when they are empty.
_NOTHING = {
    "list": "No reminder is active.",
    "due": "Nothing is due.",
    "preview": "Nothing more comes of it.",
}


class Command(BaseCommand):
    help = "Show what reminders wait, what is due, what comes; carry due ones on, or cancel one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for name, text in {
            "list": "active reminders, the next first",
            "due": "those whose time has come and that are not carried on yet",
            "send": "carry due ones on now, as the tick does every few seconds",
            "cancel": "call one off",
            "preview": "what comes of one: each time and way, whether it goes out, when, and why not",
        }.items():
            action = actions.add_parser(name, help=text)
            action.add_argument("--json", action="store_true", help="print JSON, a line for each")
            if name in ("cancel", "preview"):
                action.add_argument("id", type=int)
            if name == "preview":
                action.add_argument("--count", type=int, default=10)

    def handle(self, *, action: str, **options: Any) -> None:
        try:
            found = getattr(self, f"_{action}")(**options)
        except EMLError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            rows.as_json(found, to=self.stdout)
        elif action in _NOTHING:
            rows.as_table(found, to=self.stdout, otherwise=_NOTHING[action])
        else:
            rows.as_lines(found, to=self.stdout)

    def _list(self, **_: Any) -> list[dict[str, Any]]:
        return [_shown(row) for row in _active()[:MOST_SHOWN]]

    def _due(self, **_: Any) -> list[dict[str, Any]]:
        return [_shown(row) for row in _active().filter(next_at__lte=clock.now())[:MOST_SHOWN]]

    def _send(self, **_: Any) -> list[dict[str, Any]]:
        return [{"carried_on": reminders.advance_all(now=clock.now())}]

    def _cancel(self, *, id: int, **_: Any) -> list[dict[str, Any]]:
        return [_shown(reminders.cancel(id, by=SYSTEM, now=clock.now()))]

    def _preview(self, *, id: int, count: int, **_: Any) -> list[dict[str, Any]]:
        row = Reminder.objects.select_related("customer", "user", "appointment").filter(pk=id).first()
        if row is None:
            raise CommandError(f"There is no reminder {id}.")
        zone = reminders.zone_of(row)
        lines = islice(ledger.coming_of(row, until=None, now=clock.now()), max(count, 0))
        return [_foreseen(line, zone) for line in lines]


def _foreseen(line: ledger.Line, zone: ZoneInfo) -> dict[str, Any]:
    """By the recipient's clock, as on the page of the reminder."""
    return {
        "meant_for": line.meant_for.astimezone(zone),
        "way": line.row.way,
        "fate": line.fate.value,
        "at": line.at.astimezone(zone) if line.at else None,
        "reason": line.reason.value if line.reason else None,
    }


def _active() -> Any:
    return Reminder.objects.active().select_related("customer", "user").order_by("next_at", "id")


def _shown(row: Reminder) -> dict[str, Any]:
    person = row.customer or row.user
    return {
        "id": row.pk,
        "state": row.state,
        "next_at": row.next_at,
        "to": person.actor_ref if person else None,
        "repeats": row.rrule,
    }
