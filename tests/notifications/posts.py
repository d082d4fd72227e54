"""Mail servers for tests: real ones, in a thread of their own."""

from __future__ import annotations

import contextlib
import email
import email.policy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP


@dataclass
class Post:
    """What arrived, and how the server answers (`answers` maps an address to a reply to RCPT)."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    connections: int = 0
    # Called when a whole mail has arrived, before it is answered.
    on_mail: Callable[[Any], str | None] = lambda _server: None
    # Called for each recipient, before he is answered.
    on_recipient: Callable[[Any, str], None] = lambda _server, _address: None

    async def handle_EHLO(
        self, server: SMTP, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses if not self.pipelining else [responses[0], "250-PIPELINING", *responses[1:]]

    pipelining: bool = True

    async def handle_RCPT(
        self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        self.on_recipient(server, address)
        if answer := self.answers.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        if answer := self.on_mail(server):
            return answer
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        return "250 OK"


class _Controller(Controller):
    def _trigger_server(self) -> None:
        """It looks whether it answers itself: at the port it was given by the system."""
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextlib.contextmanager
def post_office(**options: Any) -> Iterator[Post]:
    post = Post(**{name: options.pop(name) for name in list(options) if name in Post.__dataclass_fields__})
    controller = _Controller(post, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        post.port = controller.port
        post.connections = 0
        yield post
    finally:
        controller.stop()
