"""What all tests share: a place for files, and a real server for those who talk to one."""

from __future__ import annotations

import dataclasses
import gc
import importlib
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import TransactionTestCase
from hypothesis import settings as hypothesis_settings
from pytest_django import DjangoDbBlocker
from whitenoise.middleware import WhiteNoiseMiddleware

from apps.core.error_log import Recorder
from tests import databases

# How long one example takes says more about the machine than about the program.
hypothesis_settings.register_profile("eml", deadline=None)
hypothesis_settings.load_profile("eml")


def pytest_configure() -> None:
    """A run in the background of a shell inherits a Ctrl-C that is ignored, and so would all that it starts."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if settings.REDIS_URL and (worker := os.environ.get("PYTEST_XDIST_WORKER")):
        _keep_to_itself(worker)


def pytest_collection() -> None:
    """Pages of the admin build upon those of the floors below: loaded in order, whichever test is read first."""
    importlib.import_module("eml.urls")


def pytest_collection_finish() -> None:
    """Thousands of tests stay to the end of the run: the collector need not look through them again and again."""
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def _keep_to_itself(worker: str) -> None:
    """Workers of a run share Redis, and their rows have the same numbers: nobody may get the other's frames, nor clear
    the other's cache. What a test starts does as its worker."""
    url = urlsplit(settings.REDIS_URL)._replace(path=f"/{int(worker.removeprefix('gw')) + 1}").geturl()
    prefix = f"eml-{worker}"
    os.environ |= {"REDIS_URL": url, "EML_REDIS_PREFIX": prefix}
    settings.CHANNEL_LAYERS["default"]["CONFIG"] |= {"hosts": [url], "prefix": prefix}
    settings.CACHES["default"] |= {"LOCATION": url, "KEY_PREFIX": prefix}


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """Once each process of a run has a database name of its own."""
    if databases.IS_MIGRATED:
        databases.begin_as_copies()


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_keepdb: bool) -> bool:
    """A copy that is there already is not created again."""
    return django_db_keepdb or (databases.IS_MIGRATED and databases.is_sqlite())


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """After a test that commits only what it has changed is put back."""
    with django_db_blocker.unblock():
        beginning = databases.Beginning()
    TransactionTestCase._fixture_teardown = lambda case: beginning.restore()  # type: ignore[method-assign]


@pytest.fixture(scope="session", autouse=True)
def static_files_are_looked_for_once() -> None:
    """Each test client builds the middleware anew, and that would look through all folders of static files."""
    look, found = WhiteNoiseMiddleware.add_files_from_finders, {}

    def look_once(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            look(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    WhiteNoiseMiddleware.add_files_from_finders = look_once


@pytest.fixture(scope="session", autouse=True)
def errors_are_not_kept() -> None:
    """The thread that writes errors down would do so in whatever test runs then; its own tests do its work."""
    Recorder._ensure_thread = lambda recorder: None  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def no_second_factor(settings) -> None:
    """On the services profile supervisors need one; tests that are about it ask for it."""
    settings.REQUIRE_MFA = False


@pytest.fixture(autouse=True)
def own_media(settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Uploads of a test stay in its own folder, which is made when there are any: few tests have."""
    settings.MEDIA_ROOT = tmp_path_factory.getbasetemp() / f"media-{uuid.uuid4().hex}"


@dataclasses.dataclass(frozen=True)
class LiveServer:
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://{self.host}:{self.port}"


@pytest.fixture(scope="session")
def live_server_process(django_db_setup) -> Iterator[LiveServer]:
    """daphne in a thread, so that it shares the live layer, the cache and the test database with the tests."""
    # daphne chooses the reactor: it comes first.
    from eml.server import build  # isort: split

    from twisted.internet import reactor

    ready = threading.Event()
    server = build("tcp:port=0:interface=127.0.0.1", ready=ready.set, handles_signals=False)
    # Twisted's reactor starts once in a process: one server for the whole run.
    thread = threading.Thread(target=server.run, name="daphne", daemon=True)
    thread.start()
    assert ready.wait(20), "daphne did not start"
    yield LiveServer("127.0.0.1", server.listening_addresses[0][1])
    reactor.callFromThread(reactor.stop)
    thread.join(10)


@pytest.fixture
def live_server_ws(live_server_process: LiveServer, transactional_db) -> Iterator[LiveServer]:
    """A running server whose database, sockets and limits are empty at first."""
    from django.core.cache import cache

    cache.clear()
    yield live_server_process
    _close_sockets()
    cache.clear()


def _close_sockets() -> None:
    """Sockets a test left open must not meet the next one's database."""
    from apps.core.hub import hub
    from apps.core.realtime import CloseCode

    loop = hub._loop
    if loop is None or loop.is_closed() or not loop.is_running():
        return
    done = threading.Event()

    def close() -> None:
        for socket in tuple(hub.sockets):
            socket.close(CloseCode.GONE)
        loop.call_later(0.05, done.set)

    loop.call_soon_threadsafe(close)
    done.wait(5)
