"""What every gateway promises, and the plain data it deals in. Only `in_app` touches the database, its outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from ..choices import ErrorKind, Way


@dataclass(frozen=True, slots=True)
class File:
    """What a mail carries. `read` gives its content, and raises OSError while it cannot be had."""

    name: str
    content_type: str
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One rendered thing to send. `key` is the same for every attempt at it."""

    delivery: int
    key: str
    to: str
    subject: str = ""
    text: str = ""
    html: str = ""
    # List-Unsubscribe, In-Reply-To …; values hold no line breaks.
    headers: Mapping[str, str] = field(default_factory=dict)
    # From whom, when it is not the gateway's own sender (the address of an inbox).
    sender: str = ""
    # What only some ways need: a notice's link, a webhook's secrets.
    extra: Mapping[str, Any] = field(default_factory=dict)
    # By e-mail only.
    files: Sequence[File] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: without `error` it went out. `detail` holds no personal data."""

    delivery: int
    error: ErrorKind | None = None
    detail: str = ""
    provider_id: str = ""
    # Seconds, when the provider named them.
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A provider's call to us, as it came in."""

    url: str
    method: str
    headers: Mapping[str, str]
    body: bytes
    form: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Notice:
    """A provider tells what became of something: kind is delivered, failed, bounced or complained."""

    id: str
    provider_id: str
    kind: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message of a customer. `reply_to` are the keys of ours it may answer, best first."""

    id: str
    sender: str
    to: str
    text: str
    subject: str = ""
    sender_name: str = ""
    reply_to: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()
    at: datetime | None = None
    # Written by a machine (out of office, bounce): stored, never answered.
    is_automatic: bool = False


class GatewayKind(Protocol):
    """Made from a row's options and secrets; kept and used again while the row is the same, by one thread at a time."""

    way: ClassVar[Way]
    # Whether the provider drops a second message with the same key: then an unknown outcome may always be repeated.
    knows_keys: ClassVar[bool]

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Outcome]:
        """Send all of it; yields one outcome for each, in any order, and raises for nothing."""
        ...

    def receive(self, request: Request) -> list[Notice | Arrival]:
        """Raises gateways.SignatureWrong (401) when the call is not the provider's."""
        ...


Make = Callable[[Mapping[str, Any], Mapping[str, Any]], GatewayKind]
KINDS: dict[str, Make] = {}


def register(kind: str) -> Callable[[Make], Make]:
    """Class decorator: makes a folder known under the name that rows use."""

    def remember(make: Make) -> Make:
        KINDS[kind] = make
        return make

    return remember
