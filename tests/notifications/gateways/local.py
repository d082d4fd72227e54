"""Providers and receivers on loopback: real HTTP, and a record of what they were told."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass
class Reply:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    # Instead of all that: writes whatever it likes to the connection.
    raw: Callable[[Any], None] | None = None


Answering = Callable[[Call], Reply]


class Server:
    """Answers as `answer` says; `calls` are those that came, in their order."""

    def __init__(self, answer: Answering | None = None) -> None:
        self.answer = answer or (lambda call: Reply())
        self.calls: list[Call] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                length = int(self.headers.get("content-length", 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                call = Call(self.command, self.path, headers, self.rfile.read(length))
                outer.calls.append(call)
                reply = outer.answer(call)
                if reply.raw is not None:
                    self.close_connection = True
                    reply.raw(self.wfile)
                    return
                self.send_response(reply.status)
                for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_PUT = _do

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True  # the other side had enough

            def log_message(self, *args: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.host = f"127.0.0.1:{self.port}"


@contextmanager
def serving(answer: Answering | None = None) -> Iterator[Server]:
    server = Server(answer)
    thread = threading.Thread(target=server.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()
        thread.join(5)


class FakeTwilio:
    """The messages resource as Twilio documents it: basic authentication, a form, 201 with a SID, errors with codes."""

    def __init__(self, account: str, token: str) -> None:
        self.account, self.token = account, token
        self.messages: dict[str, dict[str, str]] = {}
        # Status and code to answer instead, once each.
        self.failures: list[tuple[int, int]] = []

    def __call__(self, call: Call) -> Reply:
        if call.path != f"/2010-04-01/Accounts/{self.account}/Messages.json" or call.method != "POST":
            return self._error(404, 20404)
        expected = base64.b64encode(f"{self.account}:{self.token}".encode()).decode()
        if call.headers.get("authorization") != f"Basic {expected}":
            return self._error(401, 20003)
        if self.failures:
            return self._error(*self.failures.pop(0))
        form = call.form
        if not form.get("To"):
            return self._error(400, 21604)
        if not form.get("From") and not form.get("MessagingServiceSid"):
            return self._error(400, 21603)
        if not form.get("Body"):
            return self._error(400, 21602)
        if len(form["Body"]) > 1600:
            return self._error(400, 21617)
        sid = f"SM{len(self.messages) + 1:032x}"
        self.messages[sid] = form
        return Reply(201, json.dumps({"sid": sid, "status": "queued", "error_code": None}).encode())

    @staticmethod
    def _error(status: int, code: int) -> Reply:
        headers = {"retry-after": "7"} if status == 429 else {}
        return Reply(status, json.dumps({"code": code, "message": "no", "status": status}).encode(), headers)
