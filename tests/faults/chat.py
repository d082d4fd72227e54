"""A customer who chats with a server, frame by frame."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from websockets.sync.client import connect

from tests.faults.processes import Process


def started(server: Process, inbox: str) -> httpx.Response:
    """The answer to a customer who begins a chat."""
    body = {"start_key": str(uuid.uuid4()), "body": "hello"}
    return httpx.post(f"{server.url}/api/v1/chat/{inbox}/start/", json=body, timeout=15)


class Chat:
    """Sees frames and sends them."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket

    def send(self, **frame: Any) -> None:
        self.socket.send(json.dumps(frame))

    def say(self, body: str) -> dict[str, Any]:
        """The answer to a new message."""
        self.send(type="message", client_msg_id=str(uuid.uuid4()), body=body)
        return self.wait_for("ack", "error")

    def wait_for(self, *types: str, seconds: float = 25) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while (frame := json.loads(self.socket.recv(timeout=until - time.monotonic())))["type"] not in types:
            pass
        return frame


@contextmanager
def chat_with(server: Process, inbox: str) -> Iterator[Chat]:
    answer = started(server, inbox)
    assert answer.status_code == 201, answer.text
    address = f"ws://127.0.0.1:{server.port}/ws/chat/"
    with connect(address, origin=server.url, ping_interval=None, compression=None) as socket:
        made = Chat(socket)
        made.send(type="auth", token=answer.json()["token"])
        made.wait_for("ready")
        yield made
