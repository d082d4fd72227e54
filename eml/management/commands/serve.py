"""`manage.py serve`: the web role alone; worker and scheduler run as their own processes."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from eml import server


class Command(BaseCommand):
    help = (
        "Serve websockets and pages on EML_HOST and EML_PORT (daphne, with this program's limits for frames)."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        endpoint = f"tcp:port={settings.PORT}:interface={settings.HOST}"
        server.build(
            endpoint, ready=lambda: self.stdout.write(f"Serving on {settings.HOST}:{settings.PORT}.")
        ).run()
        server.end_process()
