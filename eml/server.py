"""daphne, as this program is served by it: small frames, a reason given when a socket is ended, and an orderly end."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from daphne.server import Server
from twisted.internet.defer import Deferred

from apps.core.errors import Unavailable
from apps.core.hub import hub
from apps.core.realtime import MAX_FRAME_BYTES, CloseCode

from .asgi import application

# Asked to stop: requests get so long to end by themselves, and then so long to notice that they are cancelled.
FINISH_SECONDS = 5.0
CANCEL_SECONDS = 1.0


def build(endpoint: str, *, ready: Callable[[], None], handles_signals: bool = True) -> Server:
    """A server that is not running yet; `ready` is called when it listens."""
    server: Server = _Server(
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


class _Server(Server):
    """daphne stumbles at its end over connections that are idle, and waits for nobody."""

    def kill_all_applications(self) -> Deferred:
        return Deferred.fromFuture(asyncio.ensure_future(self._wind_down()))

    async def _wind_down(self) -> None:
        """Nobody new comes in; sockets are told to come back; what was asked before is answered, if it is quick."""
        self.application = _closing
        for listener in self.listeners:
            if (port := getattr(listener, "result", None)) is not None:
                port.stopListening()
        hub.close_all(CloseCode.RESTART)
        await self._until_idle(FINISH_SECONDS)
        for task in self._running():
            task.cancel()
        await self._until_idle(CANCEL_SECONDS)

    async def _until_idle(self, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        while (running := self._running()) and (left := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(running, timeout=left)

    def _running(self) -> list[asyncio.Future]:
        tasks = [details.get("application_instance") for details in self.connections.values()]
        return [task for task in tasks if task is not None and not task.done()]


async def _closing(scope: dict[str, Any], receive: Callable, send: Callable) -> None:
    """What stands in for the application when the server is about to end."""
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": CloseCode.RESTART})
        return
    error = Unavailable()
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"%d" % error.retry_after)]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(error.as_body("")).encode()})


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
