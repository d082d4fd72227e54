from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from .local import Answering, Server, serving


@pytest.fixture
def serve(settings) -> Iterator[Callable[[Answering | None], Server]]:
    """Starts servers that gateways may call although they are on loopback."""
    with ExitStack() as stack:

        def start(answer: Answering | None = None) -> Server:
            server = stack.enter_context(serving(answer))
            settings.OUTGOING_HOSTS = settings.OUTGOING_HOSTS | {server.host}
            return server

        yield start
