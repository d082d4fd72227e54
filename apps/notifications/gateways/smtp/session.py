"""One kept connection to a mail server, with commands sent in groups (RFC 2920) where the server can take them."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

CRLF = b"\r\n"
LONGEST_REPLY = 64 * 1024


class Gone(Exception):
    """The connection is lost, or was never made."""


class Reply(NamedTuple):
    code: int
    # The enhanced code (RFC 3463) of a refusal, if there is one; the text may hold addresses and is not kept.
    enhanced: str

    @property
    def is_good(self) -> bool:
        return 200 <= self.code < 400

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced}".strip()


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int
    security: str = "none"  # none, starttls, tls
    username: str = ""
    password: str = ""
    timeout: float = 20.0


class Session:
    def __init__(self, server: Server) -> None:
        self._socket, self.can_pipeline = _connect(server)
        self._buffer = b""

    def write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Gone(_lost(error)) from error

    def read(self) -> Reply:
        """The next reply, all its lines."""
        while True:
            line = self._line()
            if line[3:4] != b"-":
                break
        try:
            code = int(line[:3])
        except ValueError:
            raise Gone("not a reply") from None
        return Reply(code, _enhanced(line) if code >= 400 else "")

    def _line(self) -> bytes:
        while True:
            line, found, rest = self._buffer.partition(b"\n")
            if found:
                self._buffer = rest
                return line
            if len(self._buffer) > LONGEST_REPLY:
                raise Gone("endless reply")
            try:
                more = self._socket.recv(65536)
            except OSError as error:
                raise Gone(_lost(error)) from error
            if not more:
                raise Gone("closed by the server")
            self._buffer += more

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def quit(self) -> None:
        with contextlib.suppress(OSError, Gone):
            self._socket.settimeout(2)
            self.write(b"QUIT\r\n")
            self.read()
        self.close()


def _lost(error: OSError) -> str:
    """That the kernel has waited long enough it says in its own way."""
    return "TimeoutError" if isinstance(error, BlockingIOError) else type(error).__name__


def _enhanced(line: bytes) -> str:
    word = line[4:14].partition(b" ")[0].decode("ascii", "replace").strip()
    parts = word.split(".")
    return word if len(parts) == 3 and all(part.isdigit() for part in parts) else ""


def _connect(server: Server) -> tuple[socket.socket, bool]:
    """Greeted, encrypted and signed in as asked for; the standard library knows all of that."""
    make: Any = smtplib.SMTP
    options: dict[str, Any] = {"timeout": server.timeout}
    if server.security == "tls":
        make, options["context"] = smtplib.SMTP_SSL, ssl.create_default_context()
    smtp = None
    try:
        smtp = make(server.host, server.port, **options)
        smtp.ehlo_or_helo_if_needed()
        if server.security == "starttls":
            smtp.starttls(context=ssl.create_default_context())
            smtp.ehlo()
        if server.username:
            smtp.login(server.username, server.password)
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        # (The last: a user name or password that is not ASCII, which the standard library does not send.)
        if smtp is not None:
            smtp.close()
        raise Gone(_why(error)) from error
    made = smtp.sock
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not isinstance(made, ssl.SSLSocket):
        _let_the_kernel_wait(made, server.timeout)
    return made, smtp.has_extn("pipelining")


def _let_the_kernel_wait(made: socket.socket, seconds: float) -> None:
    """Python keeps a timeout by asking whether a socket is ready before each use of it: twice the calls."""
    made.settimeout(None)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        made.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(seconds), int(seconds % 1 * 1e6)))


def _why(error: Exception) -> str:
    code = getattr(error, "smtp_code", "")
    return f"{type(error).__name__} {code}".strip()
