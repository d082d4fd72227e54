"""`manage.py up`: web, websockets, worker, scheduler, router and notifier in one process; what `make run` starts."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from typing import Any

from celery.beat import EmbeddedService
from celery.worker import WorkController
from celery.worker import state as worker_state
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from apps.notifications.notifier import Notifier
from apps.routing.services import leader
from eml import demo, server
from eml.celery import app

# A task that takes longer is given up: its work is in the database and is found again at the next start.
LONGEST_STOP_SECONDS = 6.0


class Command(BaseCommand):
    help = "Migrate, then serve everything in this one process until Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        # While the server runs, its own handlers stop it; before and after, both signals mean the same here.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            self._check_port()
            self._prepare_database()
            self._prepare_celery()
            self._run()
        server.end_process()

    def _prepare_database(self) -> None:
        try:
            call_command("migrate", verbosity=0)
        except OperationalError as error:
            raise CommandError(f"The database cannot be used (see DATABASE_URL): {error}") from error
        if settings.DEMO and demo.create_once():
            self.stdout.write("Demo data created.")

    def _run(self) -> None:
        worker = _Worker()
        beat = EmbeddedService(app, thread=True, scheduler_cls=app.conf.beat_scheduler)
        notifier = Notifier()
        worker.start()
        beat.start()
        router, stop_router = self._start_router()
        notifier.start()
        try:
            self._serve()
        finally:
            self.stdout.write("Stopping …")
            self.stdout.flush()
            stop_router.set()
            worker.stop()
            beat.stop()
            notifier.stop()
            worker.wait()
            router.join(LONGEST_STOP_SECONDS)
            notifier.wait(LONGEST_STOP_SECONDS)

    @staticmethod
    def _start_router() -> tuple[threading.Thread, threading.Event]:
        stop = threading.Event()
        thread = threading.Thread(target=leader.live, args=(stop,), name="router", daemon=True)
        thread.start()
        return thread, stop

    @staticmethod
    def _check_port() -> None:
        try:
            socket.getaddrinfo(settings.HOST, settings.PORT)
        except OSError as error:
            raise CommandError(
                f"EML_HOST must be an address of this machine, not {settings.HOST!r}."
            ) from error
        with socket.socket(socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.HOST, settings.PORT))
            except OSError as error:
                raise CommandError(
                    f"Port {settings.PORT} on {settings.HOST} is not free ({error.strerror}). "
                    "Stop what uses it, or set EML_PORT or EML_HOST."
                ) from error

    @staticmethod
    def _prepare_celery() -> None:
        app.finalize()
        app.loader.import_default_modules()
        app.set_current()
        app.set_default()

    def _serve(self) -> None:
        server.build(f"tcp:port={settings.PORT}:interface={settings.HOST}", ready=self._welcome).run()

    def _welcome(self) -> None:
        lines = [
            "",
            f"  EML is up at {settings.BASE_URL}/   (Ctrl-C stops it)",
            "",
            f"  customers    {settings.BASE_URL}/chat/{demo.INBOX_SLUG}/" if settings.DEMO else "",
            f"  agents       {settings.BASE_URL}/console/",
            f"  supervisors  {settings.BASE_URL}/admin/",
            f"  integrators  {settings.BASE_URL}/api/docs/",
            "",
        ]
        if settings.DEMO:
            lines += [
                f"  {login['role']:<12} {login['email']:<18} {login['password']}" for login in demo.LOGINS
            ] + [""]
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


class _Worker:
    """Celery's worker on threads of this process, without its signal handlers."""

    def __init__(self) -> None:
        self._controller = WorkController(
            app=app,
            pool="threads",
            concurrency=2,
            hostname="inproc@local",
            quiet=True,
            loglevel="WARNING",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self._thread = threading.Thread(target=self._controller.start, name="worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take no more tasks; what runs may end."""
        worker_state.should_stop = 0

    def wait(self) -> None:
        self._thread.join(LONGEST_STOP_SECONDS)
