"""A provider of SMS that takes an idempotency key: a key it has seen is answered as before, and nothing is sent."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SLOWEST_SECONDS = 0.03
# So many of a hundred answers never arrive, although the message was taken.
LOST_ANSWERS = 3


class Provider:
    """`taken` are key and text of what it sent; `calls` how often it was asked."""

    def __init__(self, seed: int) -> None:
        self.taken: list[tuple[str, str]] = []
        self.calls = 0
        self._keys: set[str] = set()
        self._lock = threading.Lock()
        self._chance = random.Random(seed)

    def take(self, key: str, text: str) -> bool:
        """Whether the answer gets through. Faults may come before it is taken, or between that and the answer."""
        with self._lock:
            before, after = (self._chance.uniform(0, SLOWEST_SECONDS) for _ in range(2))
            is_lost = self._chance.randrange(100) < LOST_ANSWERS
        time.sleep(before)
        with self._lock:
            self.calls += 1
            if key not in self._keys:
                self._keys.add(key)
                self.taken.append((key, text))
        time.sleep(after)
        return not is_lost


@contextlib.contextmanager
def serving(provider: Provider) -> Iterator[int]:
    """Its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            call = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if not provider.take(call["key"], call["text"]):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            body = json.dumps({"id": f"sent-{call['key']}"}).encode()
            self.send_response(201)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: Any) -> None:
            """The caller was killed."""

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
