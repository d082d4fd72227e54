"""Campaigns from the command line: `manage.py campaign list|show|import|start|pause|resume|stop`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from apps.core.errors import EMLError
from apps.core.events import SYSTEM
from apps.notifications import campaign_csv, campaign_figures
from apps.notifications.management import rows
from apps.notifications.models import Campaign
from apps.notifications.services import campaign_lists, campaigns
from apps.routing.services import clock

MOST_SHOWN = 200
# Lines of a list that are taken over in one transaction: all of them or none.
BATCH = 5000
_ACTS: dict[str, Callable[..., Campaign]] = {
    "start": campaigns.start,
    "pause": campaigns.pause,
    "resume": campaigns.resume,
    "stop": campaigns.stop,
}


class Command(BaseCommand):
    help = "Show campaigns and how far they have come; upload a list; start, pause, resume or stop one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for name, text in {
            "list": "the newest campaigns",
            "show": "one campaign, with the counts of its messages",
            "import": "make the customers of a CSV file recipients of a draft",
            "start": "start a draft; with --csv the file is imported first",
            "pause": "send nothing more",
            "resume": "go on",
            "stop": "end it for good",
        }.items():
            action = actions.add_parser(name, help=text)
            action.add_argument("--json", action="store_true", help="print JSON, a line for each")
            if name != "list":
                action.add_argument("id", type=int)
            if name in ("import", "start"):
                action.add_argument(
                    "--csv", type=Path, required=name == "import", help="a list, as in the admin"
                )

    def handle(self, *, action: str, **options: Any) -> None:
        try:
            if action == "list":
                found = [_row(row) for row in Campaign.objects.order_by("-id")[:MOST_SHOWN]]
            elif action == "show":
                found = [_shown(_get(options["id"]))]
            else:
                found = list(self._act(action, **options))
        except EMLError as error:
            said = [f"{line}: {' '.join(texts)}" for line, texts in error.fields.items()]
            raise CommandError("\n".join([str(error), *said])) from error
        self._print(action, found, as_json=options["json"])

    def _act(self, action: str, *, id: int, csv: Path | None = None, **_: Any) -> Iterator[dict[str, Any]]:
        if csv is not None:
            yield self._import(id, csv)
        if action in _ACTS:
            yield _shown(_ACTS[action](id, by=SYSTEM, now=clock.now()))

    def _import(self, campaign_id: int, path: Path) -> dict[str, Any]:
        """Read and checked whole before anything is written; then in batches, each taken over whole or not at all.
        Running it again goes on: who is in the campaign already is not added again."""
        try:
            text = campaign_csv.decoded(path.read_bytes())
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        physical = text.splitlines(keepends=True)
        count, new, again = 0, 0, 0
        mistakes = campaign_csv.Mistakes()
        for batch in _batches(physical, mistakes):
            campaign_lists.check(campaign_id, batch, mistakes=mistakes)
            count += len(batch)
        mistakes.raise_any()
        with self._progress() as progress:
            task = progress.add_task("Importing", total=count)
            for batch in _batches(physical, mistakes):
                added = campaign_lists.add(campaign_id, batch, by=SYSTEM, now=clock.now())
                new, again = new + added.new, again + added.again
                progress.advance(task, len(batch))
        return {"id": campaign_id, "lines": count, "new": new, "again": again}

    def _progress(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        # What programs read stays clean: the bar goes to where people look.
        return Progress(*columns, console=Console(stderr=True), transient=True)

    def _print(self, action: str, found: list[rows.Row], *, as_json: bool) -> None:
        if as_json:
            rows.as_json(found, to=self.stdout)
        elif action == "list":
            rows.as_table(found, to=self.stdout, otherwise="There are no campaigns.")
        else:
            rows.as_lines(found, to=self.stdout)


def _batches(physical: list[str], mistakes: campaign_csv.Mistakes) -> Iterator[list[campaign_csv.Line]]:
    lines = campaign_csv.lines_of(physical, mistakes)
    while batch := list(islice(lines, BATCH)):
        yield batch


def _get(campaign_id: int) -> Campaign:
    row = Campaign.objects.filter(pk=campaign_id).first()
    if row is None:
        raise CommandError(f"There is no campaign {campaign_id}.")
    return row


def _row(row: Campaign) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "state": row.state,
        "starts_at": row.starts_at,
        "ended_at": row.ended_at,
    }


def _shown(row: Campaign) -> dict[str, Any]:
    found = campaign_figures.progress(row)
    counts = {
        name: getattr(found, name)
        for name in ("planned", "waiting", "under_way", "sent", "delivered", "failed", "review", "cancelled")
    }
    reasons = {
        name: {str(reason.value): count for reason, count in getattr(found, name).items()}
        for name in ("held", "suppressed")
    }
    return _row(row) | counts | reasons
