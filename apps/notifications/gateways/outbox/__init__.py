"""Nothing leaves the machine: messages are kept where supervisors can read them. For trying things out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django.db import DatabaseError

from ...choices import ErrorKind, Way
from ...services import outbox
from ..contract import Arrival, Notice, Outcome, Outgoing, Request, register


@register("outbox")
class OutboxGateway:
    """For e-mail and SMS alike: a row of either way may be of this kind."""

    way: ClassVar[Way] = Way.EMAIL
    # One row for each delivery: the same one twice is one.
    knows_keys: ClassVar[bool] = True

    def __init__(self, options: Mapping[str, Any], secrets: Mapping[str, Any]) -> None:
        """There is nothing to set up."""

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Outcome]:
        try:
            outbox.put_many(batch)
        except DatabaseError as error:
            for outgoing in batch:
                yield Outcome(outgoing.delivery, ErrorKind.TEMPORARY, type(error).__name__)
            return
        for outgoing in batch:
            yield Outcome(outgoing.delivery, provider_id=outgoing.key)

    def receive(self, request: Request) -> list[Notice | Arrival]:
        """Nobody calls us."""
        return []
