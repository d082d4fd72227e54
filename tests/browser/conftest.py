"""Stories in Chromium against a real server in this process. Every page that breaks a script fails its test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from apps.users.models import User
from tests.browser.chromium import CHROMIUM
from tests.browser.console import Console, Open
from tests.browser.talking import Place, open_place
from tests.conftest import LiveServer

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 10_000
# WhiteNoise hands out files in a way that costs daphne a thread; the warning would break the answer here.
SERVER_WARNINGS = (
    "ignore:StreamingHttpResponse must consume synchronous iterators",
    # A page left before it has all its files: Django does not close an answer nobody waits for, Python does.
    "ignore:unclosed file <_io.FileIO name='.*/static/:ResourceWarning",
    # Nor the body of a request that was cut off.
    r"ignore:Unclosed file <tempfile\.SpooledTemporaryFile:ResourceWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.filterwarnings(*SERVER_WARNINGS))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM} (EML_CHROMIUM)")
    # Playwright's loop runs in this thread, and Django would refuse its database here: nothing else runs on that loop.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def server(live_server_ws: LiveServer) -> LiveServer:
    return live_server_ws


@pytest.fixture
def new_context(chromium: Browser, server: LiveServer) -> Iterator[Callable[..., BrowserContext]]:
    """Opens one more browser profile: another person. What its pages throw is raised at the end of the test."""
    contexts: list[BrowserContext] = []
    broken: list[str] = []

    def open_context(**options: Any) -> BrowserContext:
        context = chromium.new_context(**{"base_url": server.url} | options)
        context.set_default_timeout(TIMEOUT_MS)
        context.on("weberror", lambda error: broken.append(str(error.error)))
        contexts.append(context)
        return context

    yield open_context
    for context in contexts:
        context.close()
    assert not broken, broken


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    return new_context().new_page()


@pytest.fixture
def sign_in(new_context: Callable[..., BrowserContext], server: LiveServer) -> Open:
    def open_browser(user: User, **options: Any) -> Console:
        return Console.of(user, new_context=new_context, server=server, **options)

    return open_browser


@pytest.fixture
def place(server: LiveServer) -> Place:
    return open_place()


@pytest.fixture
def ana(place: Place, sign_in: Open) -> Console:
    return sign_in(place.agent.user).open()
