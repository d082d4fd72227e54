"""The role `router`: matches what waits with who is free. Run as many as you like; one leads, the others stand by."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from apps.routing.services import leader


class Command(BaseCommand):
    help = "Offer waiting work to agents until SIGTERM. Several may run: one leads, the others stand by."
    # They look at every page, which a role that serves none would have to load.
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        leader.live(stop)
