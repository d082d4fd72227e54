"""What no honest client sends, byte by byte, to a real server: B12, B25, B28, B29, B57, B58."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.factories import make_conversation, make_visitor
from tests.wire import chat

SECONDS = 8.0
# A machine that runs other tests at the same time; a server that reads on to the end takes longer.
AT_ONCE = 2.0


@pytest.fixture
def connect(live_server_ws) -> Iterator[Callable[[], socket.socket]]:
    opened: list[socket.socket] = []

    def make() -> socket.socket:
        opened.append(socket.create_connection((live_server_ws.host, live_server_ws.port), SECONDS))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def said(peer: socket.socket, request: bytes, *, seconds: float = SECONDS) -> bytes:
    """All that is answered before the server hangs up, or is silent for so long."""
    peer.settimeout(seconds)
    answer = b""
    # It may hang up when it has heard enough.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        peer.sendall(request)
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while part := peer.recv(65536):
            answer += part
    return answer


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


GET = b"GET /health/live/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
TOO_MUCH = {
    "1,000 equal headers": GET + b"X-Same: 1\r\n" * 1_000 + b"\r\n",
    "a header of 70 KB": GET + b"X-Long: " + b"x" * 70_000 + b"\r\n\r\n",
    "an address of 70 KB": b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


def test_a_good_request_is_answered(connect) -> None:
    """So that the refusals below are for the reason they name."""
    assert status(said(connect(), GET + b"\r\n")) == 200


@pytest.mark.parametrize("request_", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_b29_too_much_of_a_head_is_refused_at_once(request_, connect) -> None:
    began = time.monotonic()
    answer = said(connect(), request_)
    assert time.monotonic() - began < AT_ONCE
    assert not answer or status(answer) in (400, 414, 431)
    assert status(said(connect(), GET + b"\r\n")) == 200


POST = (
    b"POST /api/v1/auth/logout/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\n"
)
SMUGGLED = b"GET /health/live/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
UNCLEAR = {
    "a length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": b"Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}" + SMUGGLED,
    "a length that is no number": b"Content-Length: +2\r\n\r\n{}" + SMUGGLED,
    "a negative length": b"Content-Length: -2\r\n\r\n{}" + SMUGGLED,
    "an encoding nobody knows": b"Transfer-Encoding: xchunked\r\n\r\n" + SMUGGLED,
}


@pytest.mark.parametrize("rest", UNCLEAR.values(), ids=UNCLEAR.keys())
def test_b25_where_a_request_ends_is_never_guessed(rest, connect) -> None:
    answer = said(connect(), POST + rest)
    assert answer.count(b"HTTP/1.1 200") == 0, "what stands behind it was answered as a request of its own"
    assert not answer or status(answer) in (400, 411, 501)


def test_b12_an_understated_length_is_the_end_of_the_body(connect) -> None:
    answer = said(connect(), POST + b'Content-Length: 2\r\n\r\n{}"refresh": "x"}')
    assert (status(answer), b'"refresh":["This field is required' in answer) == (400, True), answer


@pytest.mark.parametrize("byte", [b"\x00", b"\x0b", b"\x0c", b"\x1c", b"\x85"], ids=repr)
def test_b28_controls_in_an_upgrade_break_nothing(byte, connect) -> None:
    head = (
        b"GET /ws/chat/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    )
    answer = said(
        connect(), head + b"Upgrade: websocket" + byte + b"\r\nOrigin: http://127.0.0.1\r\n\r\n", seconds=1
    )
    assert not answer or status(answer) in (400, 403, 404, 426)
    assert status(said(connect(), GET + b"\r\n")) == 200


# Websocket frames, written by hand

FIN, TEXT, PING, CONTINUATION, MASKED = 0x80, 0x1, 0x9, 0x0, 0x80


def frame(first: int, payload: bytes, *, is_masked: bool = True) -> bytes:
    size, mask = len(payload), os.urandom(4) if is_masked else b""
    bit = MASKED if is_masked else 0
    # The shortest way to write it, which is the only right one; ours are below 64 KiB.
    head = (
        struct.pack("!BB", first, bit | size) if size < 126 else struct.pack("!BBH", first, bit | 126, size)
    )
    if is_masked:
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return head + mask + payload


@pytest.fixture
def talk(connect, live_server_ws) -> Callable[[bytes], int]:
    """Opens a socket, sends these bytes; returns how it was closed."""

    def send(data: bytes, *, extensions: bytes = b"") -> int:
        peer, host = connect(), f"127.0.0.1:{live_server_ws.port}".encode()
        peer.sendall(
            b"GET /ws/chat/ HTTP/1.1\r\nHost: %b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Origin: http://%b\r\n%b\r\n" % (host, host, extensions)
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += peer.recv(4096)
        assert head.startswith(b"HTTP/1.1 101"), head
        assert b"sec-websocket-extensions" not in head.lower(), "deflate lets small frames become large"
        return close_code(said(peer, data))

    return send


def close_code(answer: bytes) -> int:
    """The code of the close frame that comes last; 1006 when there is none."""
    while answer:
        size = answer[1]
        if answer[0] == FIN | 0x8:
            return struct.unpack("!H", answer[2:4])[0] if size >= 2 else 1005
        answer = answer[2 + size :] if size < 126 else b""
    return 1006


BROKEN = {
    "not masked": frame(FIN | TEXT, b"{}", is_masked=False),
    "a reserved bit": frame(FIN | 0x40 | TEXT, b"{}"),
    "a reserved opcode": frame(FIN | 0x3, b"{}"),
    "a reserved control opcode": frame(FIN | 0xB, b""),
    "a ping of 126 bytes": frame(FIN | PING, b"x" * 126),
    "a ping in pieces": frame(PING, b"x"),
    "a continuation of nothing": frame(FIN | CONTINUATION, b"{}"),
    "a new message within another": frame(TEXT, b"{") + frame(FIN | TEXT, b"}"),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_b58_broken_frames_end_it(data, talk) -> None:
    assert talk(data) == 1002


def test_b57_a_message_in_many_small_pieces_is_no_way_around_the_limit(talk) -> None:
    piece = b"x" * 30_000
    assert (
        talk(frame(TEXT, piece) + frame(CONTINUATION, piece) * 2 + frame(FIN | CONTINUATION, piece)) == 1009
    )


def test_b57_a_size_that_is_only_claimed_is_refused(talk) -> None:
    claimed = struct.pack("!BBQ", FIN | TEXT, MASKED | 127, 20 * 1024**2) + b"mask"
    assert talk(claimed) == 1009


def test_b57_compression_is_not_agreed_to(talk) -> None:
    offered = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    assert talk(frame(FIN | 0x40 | TEXT, b"\x00"), extensions=offered) == 1002


def test_others_notice_nothing(live_server_ws, talk) -> None:
    with chat(live_server_ws, make_visitor(make_conversation(body="one"))[1]) as socket_:
        for data in BROKEN.values():
            talk(data)
        socket_.say("still here")
        assert socket_.wait_for("ack")
    assert httpx.get(f"{live_server_ws.url}/health/live/").status_code == 200
