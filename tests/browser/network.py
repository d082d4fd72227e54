"""Bad networks between a page's socket and the server: handlers for `route_web_socket`."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from playwright.sync_api import WebSocketRoute

Handler = Callable[[WebSocketRoute], None]


def only(*kinds: str) -> Handler:
    """Nothing comes through but these frames of the server."""

    def handle(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        server.on_message(lambda data: socket.send(data) if json.loads(data)["type"] in kinds else None)

    return handle


def lossy(*, seed: int) -> Handler:
    """Every fifth frame from the server is lost, and the socket breaks now and then."""
    chance = random.Random(seed)

    def handle(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def pass_on(data: str | bytes) -> None:
            kind = json.loads(data)["type"]
            if kind == "message" and chance.random() < 0.04:
                socket.close(code=1012)
            elif kind in {"ready", "replay"} or chance.random() > 0.2:
                socket.send(data)

        server.on_message(pass_on)

    return handle
