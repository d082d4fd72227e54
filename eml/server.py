"""daphne, as this program is served by it: small frames, and a reason given when a socket is ended."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from daphne.server import Server

from apps.core.realtime import MAX_FRAME_BYTES

from .asgi import application


def build(endpoint: str, *, ready: Callable[[], None], handles_signals: bool = True) -> Server:
    """A server that is not running yet; `ready` is called when it listens."""
    server: Server = Server(
        application=application,
        endpoints=[endpoint],
        signal_handlers=handles_signals,
        verbosity=0,
        websocket_max_message_size=MAX_FRAME_BYTES,
        websocket_max_frame_size=MAX_FRAME_BYTES,
        websocket_timeout=-1,  # a desk stays open all day
        server_name="",
        application_close_timeout=2,
        ready_callable=lambda: _on_listening(server, ready),
    )
    return server


def _on_listening(server: Server, ready: Callable[[], None]) -> None:
    # Otherwise a frame that is too large or no UTF-8 breaks the connection without 1009 or 1007, and the client,
    # who cannot know why, comes back and sends it again. (Origins are looked at by our own rules, with one answer.)
    server.ws_factory.setProtocolOptions(failByDrop=False, allowNullOrigin=True)
    ready()


def end_process() -> NoReturn:
    """End now, with 0. Requests that were running when the server stopped sit in threads that wait for its loop, which
    is gone; Python would wait for those threads for ever. What they had not committed was never answered."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
