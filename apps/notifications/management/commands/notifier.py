"""`manage.py notifier`: the role that sends what is due. Any number of them may run; each delivery is sent by one."""

from __future__ import annotations

import contextlib
import gc
import signal
import tempfile
import threading
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...choices import Way
from ...notifier import Notifier

# A thread may sleep for a minute, or send a batch to a slow provider.
SILENT_TOO_LONG_SECONDS = 150.0
LOOK_SECONDS = 5.0


# Touched while all threads live; docker/healthcheck.py looks at its age.
HEARTBEAT = Path(tempfile.gettempdir()) / "eml-notifier.alive"


class Command(BaseCommand):
    help = "Send what is due, until Ctrl-C or SIGTERM; what is being sent then is finished."
    # They look at every page, which a role that serves none would have to load.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--way", action="append", choices=Way.values, help="only this way; may be repeated"
        )
        parser.add_argument("--threads", type=int, default=None, help="per way (default: 2)")

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        notifier = Notifier(options["way"], threads=options["threads"])
        # What is loaded stays: it need not be looked through for garbage again and again.
        gc.collect()
        gc.freeze()
        notifier.start()
        while not stopping.wait(LOOK_SECONDS):
            if notifier.silent_seconds() < SILENT_TOO_LONG_SECONDS:
                # Somebody else's on a shared machine: only containers look at it.
                with contextlib.suppress(OSError):
                    HEARTBEAT.touch()
        notifier.stop()
        notifier.wait()
