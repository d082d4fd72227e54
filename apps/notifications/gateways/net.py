"""HTTP to addresses that others choose: nothing inside is reached, and nobody holds us up.

The name is resolved once, when the connection is made; every address it has must be public, and we connect to exactly
the one that was checked (Host and the certificate's name stay as written). Ports 80 and 443, no redirects, no proxy
of the environment, ten seconds in all, 64 KB read and never decompressed. Hosts in EML_OUTGOING_HOSTS are let through.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx
from django.conf import settings

from . import addresses
from .addresses import IPAddress

TOTAL_SECONDS = 10.0
CONNECT_SECONDS = 5.0
MOST_READ = 64 * 1024
# What Unanswered says when the other side was silent for too long.
OUT_OF_TIME = "ReadTimeout"

Resolve = Callable[[str, int], list[IPAddress]]


class Refused(Exception):
    """We do not call this; the message says why (scheme, port, userinfo, malformed, address)."""


class Unreachable(Exception):
    """No connection: nothing was sent."""


class Unanswered(Exception):
    """Sent, or partly, and no whole answer came: whether it was taken is unknown."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    # There was more than we read.
    is_cut: bool = False

    @property
    def retry_after(self) -> int | None:
        """Seconds, if the other side named them as a number."""
        value = self.headers.get("retry-after", "").strip()
        return min(int(value), 86_400) if value.isascii() and value.isdigit() and len(value) < 7 else None


def check(url: str, *, resolve: Resolve | None = None) -> None:
    """Raise Refused when `url` may not be called as things are now. A name that is not known is let pass: it is
    looked at again when we connect."""
    host, port = _parsed(url)
    try:
        _checked(host, port, resolve or resolved)
    except httpcore.ConnectError:
        return


def _parsed(url: str) -> tuple[str, int]:
    try:
        host, port = addresses.parse(url)
    except ValueError as error:
        raise Refused(str(error)) from None
    _check_port(host, port)
    return host, port


def _check_port(host: str, port: int) -> None:
    if port not in addresses.PORTS.values() and not addresses.is_listed(host, port, settings.OUTGOING_HOSTS):
        raise Refused("port")


# Looking up a name cannot be told to hurry, only not be waited for.
_lookups = ThreadPoolExecutor(max_workers=8, thread_name_prefix="names")


def resolved(host: str, port: int) -> list[IPAddress]:
    """Every address of a name; httpcore.ConnectError when there is none within the time to connect."""
    # The system also reads 2130706433, 0177.0.0.1 and 127.1 as addresses, exactly as a connection would.
    lookup = _lookups.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found = lookup.result(CONNECT_SECONDS)
    except (OSError, UnicodeError, Late):
        raise httpcore.ConnectError("name not found") from None
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _checked(host: str, port: int, resolve: Resolve) -> IPAddress:
    """The address to connect to. One bad address among several refuses the name: which one is used is luck."""
    found = resolve(host, port)
    if not found:
        raise httpcore.ConnectError("name not found")
    is_allowed = addresses.is_listed(host, port, settings.OUTGOING_HOSTS)
    if not is_allowed and not all(map(addresses.is_public, found)):
        raise Refused("address")
    return found[0]


class _Deadline:
    """The end of the request that is under way in this thread."""

    def __init__(self) -> None:
        self._local = threading.local()

    def start(self, seconds: float) -> None:
        self._local.at = time.monotonic() + seconds

    def left(self, at_most: float | None) -> float:
        left = self._local.at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("out of time")
        return left if at_most is None else min(left, at_most)


class _Stream(httpcore.NetworkStream):
    """Each step may take what is left of the whole, so that a trickle of bytes does not last for ever."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        return _Stream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, deadline: _Deadline, resolve: Resolve) -> None:
        self._deadline, self._resolve = deadline, resolve
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        _check_port(host, port)
        address = _checked(host, port, self._resolve)
        seconds = self._deadline.left(timeout)
        stream = self._inner.connect_tcp(str(address), port, seconds, local_address, socket_options)
        return _Stream(stream, self._deadline)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise Refused("scheme")


class _Transport(httpx.HTTPTransport):
    def __init__(self, deadline: _Deadline, resolve: Resolve) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        # httpx has no parameter for it, and its transport is nothing but a pool and the translation of errors.
        self._pool = httpcore.ConnectionPool(
            ssl_context=_tls(),
            max_connections=50,
            max_keepalive_connections=10,
            keepalive_expiry=5,
            network_backend=_Backend(deadline, resolve),
        )


@functools.cache
def _tls() -> ssl.SSLContext:
    """Made once: loading the authorities takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)


class Caller:
    """Makes such calls; may be used by several threads at once."""

    def __init__(self, *, seconds: float = TOTAL_SECONDS, resolve: Resolve | None = None) -> None:
        self._seconds = seconds
        self._deadline = _Deadline()
        self._client = httpx.Client(
            transport=_Transport(self._deadline, resolve or resolved),
            timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
            # An answer that unpacks itself into gigabytes is not asked for.
            headers={"accept-encoding": "identity", "user-agent": "EML"},
        )

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        auth: tuple[str, str] | None = None,
    ) -> Answer:
        """One call. Raises Refused, Unreachable or Unanswered."""
        _parsed(url)
        self._deadline.start(self._seconds)
        try:
            request = self._client.build_request(method, url, headers=dict(headers or {}), content=content)
        except httpx.InvalidURL:
            raise Refused("malformed") from None
        try:
            response = self._client.send(request, stream=True, auth=auth)
            try:
                return _read(response)
            finally:
                response.close()
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.PoolTimeout,
            httpx.UnsupportedProtocol,
        ) as error:
            raise Unreachable(type(error).__name__) from None
        except httpx.HTTPError as error:
            raise Unanswered(type(error).__name__) from None

    def __del__(self) -> None:
        # Gateways are dropped, not closed, when their row changes; kept connections must not outlive them.
        self._client.close()


def _read(response: httpx.Response) -> Answer:
    body = b""
    for part in response.iter_raw(8192):
        body += part
        if len(body) > MOST_READ:
            break
    return Answer(response.status_code, response.headers, body[:MOST_READ], is_cut=len(body) > MOST_READ)
