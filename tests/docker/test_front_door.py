"""The shipped nginx files at work: who gets which request, and what a client cannot pretend.

Two listeners stand in for the ASGI and WSGI servers and answer with their name and what they received.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

FILES = Path(__file__).resolve().parents[2] / "docker" / "nginx"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.skipif(
        not Path(NGINX).exists() and os.environ.get("CI") != "true",
        reason="nginx is not installed (Debian: nginx-light)",
    ),
]


class Wsgi(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(
            {"server": "wsgi", "path": self.path, "headers": dict(self.headers.items())}
        ).encode()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *args: object) -> None:
        """Quiet."""


def _echo(connection: ServerConnection) -> None:
    for frame in connection:
        connection.send(f"asgi {connection.request.path} {frame}")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _lay_out(folder: Path, variant: str, changes: dict[str, str]) -> None:
    sources = {
        "nginx.conf": FILES / "nginx.conf",
        "routes.conf": FILES / "routes.conf",
        "server.conf": FILES / f"{variant}.conf",
        "mime.types": Path("/etc/nginx/mime.types"),
    }
    for name, source in sources.items():
        text = source.read_text()
        for old, new in changes.items():
            text = text.replace(old, new)
        (folder / name).write_text(text)


def _wait_for(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    pytest.fail("nginx did not start")


@contextlib.contextmanager
def _nginx(folder: Path, port: int) -> Iterator[None]:
    # Started by root its workers would become nobody, who may not enter pytest's folders.
    options = "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"
    command = [NGINX, "-e", "/dev/stderr", "-c", str(folder / "nginx.conf"), "-g", options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port)
            yield
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module", params=["plain", "behind"])
def door(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """(host:port of nginx, variant)"""
    folder = tmp_path_factory.mktemp("nginx")
    front, health = _free_ports(2)
    with ThreadingHTTPServer(("127.0.0.1", 0), Wsgi) as wsgi, serve(_echo, "127.0.0.1", 0) as asgi:
        for server in (wsgi, asgi):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        changes = {
            "web-wsgi:8000": f"127.0.0.1:{wsgi.server_port}",
            "web-asgi:8000": f"127.0.0.1:{asgi.socket.getsockname()[1]}",
            "listen 8080": f"listen 127.0.0.1:{front}",
            "127.0.0.1:8081": f"127.0.0.1:{health}",
            "/tmp/": f"{folder}/",
        }
        _lay_out(folder, request.param, changes)
        with _nginx(folder, front):
            yield f"127.0.0.1:{front}", request.param
        wsgi.shutdown()


LIES = {
    "X-Forwarded-For": "6.6.6.6",
    "X_Forwarded_For": "6.6.6.6",
    "X-Forwarded-Host": "evil.example",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6;host=evil.example",
}


def _received(address: str, headers: dict[str, str]) -> dict[str, str]:
    answer = httpx.get(f"http://{address}/console/", headers=headers).json()
    return {name.lower(): value for name, value in answer["headers"].items()}


def test_pages_go_to_wsgi_and_sockets_to_asgi(door: tuple[str, str]) -> None:
    address, _ = door
    answer = httpx.get(f"http://{address}/console/?a=1").json()
    assert (answer["server"], answer["path"]) == ("wsgi", "/console/?a=1")
    with connect(f"ws://{address}/ws/agent/?ticket=t") as client:
        client.send("hello")
        assert client.recv(timeout=5) == "asgi /ws/agent/?ticket=t hello"


def test_what_a_client_claims_about_itself_is_overwritten(door: tuple[str, str]) -> None:
    address, variant = door
    received = _received(address, LIES)
    believed = "6.6.6.6" if variant == "behind" else "127.0.0.1"  # there the outer proxy says it
    assert received["x-forwarded-for"] == believed
    assert received["host"] == address
    assert not {"x_forwarded_for", "x-forwarded-host", "x-real-ip", "forwarded"} & set(received)


def test_scheme_is_what_the_server_block_says(door: tuple[str, str]) -> None:
    address, variant = door
    received = _received(address, {"X-Forwarded-Proto": "gopher"})
    assert received["x-forwarded-proto"] == ("https" if variant == "behind" else "http")


def test_too_large_a_body_is_refused_in_the_shape_of_every_error(door: tuple[str, str]) -> None:
    address, _ = door
    assert httpx.post(f"http://{address}/", content=b"x" * 1024 * 1024).status_code == 200
    answer = httpx.post(f"http://{address}/", content=b"x" * 12 * 1024 * 1024)
    assert answer.status_code == 413
    assert set(answer.json()) == {"type", "code", "detail", "fields", "request_id"}


def test_figures_are_not_for_the_world(door: tuple[str, str]) -> None:
    address, _ = door
    assert httpx.get(f"http://{address}/metrics").status_code == 404
