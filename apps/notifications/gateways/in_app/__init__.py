"""Into the notification centre of the console: the one gateway whose outside is our own database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django.db import DatabaseError

from ...choices import ErrorKind, Way
from ...services import notices
from ..contract import Arrival, Notice, Outcome, Outgoing, Request, register


@register("in_app")
class InAppGateway:
    way: ClassVar[Way] = Way.IN_APP
    # A notice belongs to its delivery: the same one twice is one.
    knows_keys: ClassVar[bool] = True

    def __init__(self, options: Mapping[str, Any], secrets: Mapping[str, Any]) -> None:
        """There is nothing to set up."""

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Outcome]:
        try:
            notices.put_many(batch)
        except DatabaseError as error:
            for outgoing in batch:
                yield Outcome(outgoing.delivery, ErrorKind.TEMPORARY, type(error).__name__)
            return
        for outgoing in batch:
            yield Outcome(outgoing.delivery, provider_id=outgoing.key)

    def receive(self, request: Request) -> list[Notice | Arrival]:
        """Nobody calls us."""
        return []
