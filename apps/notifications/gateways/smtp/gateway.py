from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate, parseaddr
from typing import Any, ClassVar

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ...choices import ErrorKind, Way
from ..contract import Arrival, Notice, Outcome, Outgoing, Request, register
from ..fields import Field, check_host, check_port, check_sender
from . import message
from .session import Gone, Reply, Server, Session

# So many mails are under way at once, one on each connection.
CONNECTIONS = 4
# A kept connection is renewed after so many: some servers end long ones in the middle.
MOST_PER_CONNECTION = 1000
# These say that a mailbox does not exist or is closed for good (RFC 3463).
BAD_ADDRESS = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
BAD_ADDRESS_CODES = frozenset({550, 551, 553})
SLOW_DOWN = frozenset({"4.7.28", "4.2.1", "4.4.5", "4.3.2"})


@dataclass(slots=True)
class _Mail:
    outgoing: Outgoing
    sender: str
    to: str
    content: bytes
    id: str
    is_content_sent: bool = False

    @property
    def commands(self) -> tuple[bytes, bytes, bytes]:
        return (
            f"MAIL FROM:<{self.sender}>\r\n".encode("ascii"),
            f"RCPT TO:<{self.to}>\r\n".encode("ascii"),
            b"DATA\r\n",
        )


@register("smtp")
class SMTPGateway:
    """A mail server. Without options it is the one of EML_EMAIL_URL.

    On each connection the end of one mail, and sender, recipient and DATA of the next go in one packet, and their
    replies come in one: one round trip for a mail, while the other connections have theirs under way.
    """

    way: ClassVar[Way] = Way.EMAIL
    # A Message-ID helps who receives it twice, yet most servers pass both on.
    knows_keys: ClassVar[bool] = False
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field(
            "host",
            _("Server"),
            _("Like mail.example.com. Empty: the one of EML_EMAIL_URL."),
            is_required=False,
            check=check_host,
        ),
        Field(
            "port",
            _("Port"),
            _("587 with STARTTLS, 465 with TLS, mostly."),
            shape="number",
            is_required=False,
            default=587,
            check=check_port,
        ),
        Field(
            "security",
            _("Encryption"),
            shape="choice",
            choices=[("starttls", "STARTTLS"), ("tls", "TLS"), ("none", _("none"))],
            default="starttls",
        ),
        Field("username", _("User name"), is_required=False),
        Field("password", _("Password"), is_secret=True, is_required=False),
        Field(
            "sender",
            _("Sender"),
            _("Like Support <support@example.com>. Answers of agents come from their inbox instead."),
            is_required=False,
            check=check_sender,
        ),
    )

    def __init__(self, options: Mapping[str, Any], secrets: Mapping[str, Any]) -> None:
        self._server = _server(options, secrets)
        self._sender = options.get("sender") or settings.DEFAULT_FROM_EMAIL
        self._domain = parseaddr(self._sender)[1].rpartition("@")[2] or "localhost"
        self._lines = [_Line(self._server) for _ in range(int(options.get("connections") or CONNECTIONS))]
        self._lock = threading.Lock()

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Outcome]:
        with self._lock:
            yield from self._send(batch)

    def _send(self, batch: Sequence[Outgoing]) -> Iterator[Outcome]:
        date, lines = formatdate(timezone.now().timestamp()), self._lines[: len(batch)]
        turn, unreachable = 0, ""
        for outgoing in batch:
            if unreachable:
                yield Outcome(outgoing.delivery, ErrorKind.UNREACHABLE, unreachable)
                continue
            try:
                mail = self._mail(outgoing, date)
            except message.Unsendable as error:
                yield Outcome(outgoing.delivery, ErrorKind.PERMANENT, str(error))
                continue
            except OSError as error:
                # Of a file, not of the server: the disk may be back later.
                detail = f"a file cannot be read: {type(error).__name__}"
                yield Outcome(outgoing.delivery, ErrorKind.TEMPORARY, detail)
                continue
            outcomes, unreachable = lines[turn % len(lines)].push(mail)
            turn += 1
            yield from outcomes
        for line in lines:
            yield from line.flush()

    def _mail(self, outgoing: Outgoing, date: str) -> _Mail:
        sender, to = outgoing.sender or self._sender, message.envelope(outgoing.to)
        content = message.build(outgoing, sender=sender, to=to, date=date, domain=self._domain)
        own_id = message.message_id(outgoing, domain=self._domain).strip("<>")
        return _Mail(outgoing, message.return_path(sender), to, content, own_id)

    def receive(self, request: Request) -> list[Notice | Arrival]:
        """Nobody calls us."""
        return []

    def close(self) -> None:
        for line in self._lines:
            line.close()


class _Line:
    """One connection and the mail whose commands it has got."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._session: Session | None = None
        self._mail: _Mail | None = None
        self._used = 0

    def push(self, mail: _Mail) -> tuple[list[Outcome], str]:
        """End the mail before, begin this one. The second is why the server is not reached at all, if so."""
        outcomes = self._advance(mail)
        if self._mail is not None or any(outcome.delivery == mail.outgoing.delivery for outcome in outcomes):
            return outcomes, ""
        # A connection kept from earlier may be dead: nothing of this mail has been taken, so a new one is tried.
        try:
            self._open()
            self._begin(mail, head=b"")
        except Gone as error:
            self.close()
            return [*outcomes, Outcome(mail.outgoing.delivery, ErrorKind.UNREACHABLE, str(error))], str(error)
        return outcomes, ""

    def _advance(self, mail: _Mail) -> list[Outcome]:
        before, self._mail = self._mail, None
        if self._session is None or self._used >= MOST_PER_CONNECTION:
            outcomes = self._finish(before)
            self.close()
            return outcomes
        if before is None:
            try:
                self._begin(mail, head=b"")
            except Gone:
                self.close()
            return []
        return self._finish(before, then=mail)

    def flush(self) -> list[Outcome]:
        before, self._mail = self._mail, None
        return self._finish(before)

    def _open(self) -> None:
        self.close()
        self._session, self._used = Session(self._server), 0

    def _begin(self, mail: _Mail, *, head: bytes) -> None:
        """Send its commands, after `head`; their replies are read when it is finished."""
        assert self._session is not None
        self._used += 1
        if self._session.can_pipeline:
            self._session.write(head + b"".join(mail.commands))
        elif head:
            self._session.write(head)
        self._mail = mail

    def _replies(self, mail: _Mail) -> list[Reply]:
        """To MAIL, RCPT and DATA; without pipelining each is asked for only now."""
        assert self._session is not None
        replies = []
        for command in mail.commands:
            if not self._session.can_pipeline:
                self._session.write(command)
            replies.append(self._session.read())
            if not self._session.can_pipeline and not replies[-1].is_good:
                break
        return replies

    def _finish(self, mail: _Mail | None, then: _Mail | None = None) -> list[Outcome]:
        """Read what became of `mail`'s commands, send its text (with the commands of `then`), read the verdict."""
        if mail is None:
            return []
        is_old = self._used > 1
        try:
            return self._finished(mail, then)
        except Gone as error:
            self.close()
            self._mail = None
            if is_old and not mail.is_content_sent:
                return self._finish_anew(mail, then)
            # Before its text went out it was surely not sent; after, only the server knows.
            kind = ErrorKind.UNKNOWN if mail.is_content_sent else ErrorKind.TEMPORARY
            return [Outcome(mail.outgoing.delivery, kind, f"connection lost: {error}")]

    def _finish_anew(self, mail: _Mail, then: _Mail | None) -> list[Outcome]:
        """The kept connection had ended, before this mail was taken: once more on a new one."""
        try:
            self._open()
            self._begin(mail, head=b"")
        except Gone as error:
            self.close()
            self._mail = None
            return [Outcome(mail.outgoing.delivery, ErrorKind.UNREACHABLE, str(error))]
        return self._finish(mail, then)

    def _finished(self, mail: _Mail, then: _Mail | None) -> list[Outcome]:
        assert self._session is not None
        replies = self._replies(mail)
        refused = next((reply for reply in replies if not reply.is_good), None)
        wants_text = len(replies) == 3 and replies[2].code == 354
        if refused is None:
            mail.is_content_sent = True
            self._send_next(mail.content + b".\r\n", then)
            verdict = self._session.read()
            return [_outcome(mail, verdict, "DATA")]
        outcome = _outcome(mail, refused, ("MAIL", "RCPT", "DATA")[replies.index(refused)])
        if refused.code == 421:
            raise Gone(str(refused))
        # It waits for a text although there is nobody to send it to (RFC 2920): an empty one ends it.
        self._send_next(b".\r\n" if wants_text else b"RSET\r\n", then)
        self._session.read()
        return [outcome]

    def _send_next(self, head: bytes, then: _Mail | None) -> None:
        assert self._session is not None
        if then is None:
            self._session.write(head)
        else:
            self._begin(then, head=head)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None


def _outcome(mail: _Mail, reply: Reply, step: str) -> Outcome:
    delivery = mail.outgoing.delivery
    if reply.is_good:
        return Outcome(delivery, provider_id=mail.id)
    return Outcome(delivery, _kind(reply, step), f"{step}: {reply}")


def _kind(reply: Reply, step: str) -> ErrorKind:
    if reply.code < 500:
        return ErrorKind.RATE_LIMITED if reply.enhanced in SLOW_DOWN else ErrorKind.TEMPORARY
    if step == "RCPT":
        is_bad = reply.enhanced in BAD_ADDRESS if reply.enhanced else reply.code in BAD_ADDRESS_CODES
        return ErrorKind.BAD_ADDRESS if is_bad else ErrorKind.PERMANENT
    return ErrorKind.PERMANENT


def _server(options: Mapping[str, Any], secrets: Mapping[str, Any]) -> Server:
    if options.get("host"):
        return Server(
            host=options["host"],
            port=int(options.get("port") or 587),
            security=options.get("security") or "starttls",
            username=options.get("username") or "",
            password=secrets.get("password") or "",
        )
    security = "tls" if settings.EMAIL_USE_SSL else "starttls" if settings.EMAIL_USE_TLS else "none"
    return Server(
        settings.EMAIL_HOST,
        settings.EMAIL_PORT,
        security,
        settings.EMAIL_HOST_USER or "",
        settings.EMAIL_HOST_PASSWORD or "",
    )
