from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, ClassVar

from ...choices import ErrorKind, Way
from .. import net
from ..contract import Arrival, Notice, Outcome, Outgoing, Request, register
from ..errors import SignatureWrong
from ..fields import Field
from . import signature

# Receivers wait for each other no longer than the slowest of so many.
AT_ONCE = 16
# What says that the receiver is gone for good.
GONE = 410


@register("webhook")
class Webhook:
    """Posts events. A receiver that does not answer is asked once per batch; the others do not wait for him."""

    way: ClassVar[Way] = Way.WEBHOOK
    # The receiver may drop a repeated `webhook-id`, and the scheme tells him to.
    knows_keys: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[Field, ...]] = ()

    def __init__(
        self, options: Mapping[str, Any], secrets: Mapping[str, Any], *, caller: net.Caller | None = None
    ) -> None:
        self._caller = caller or net.Caller()

    def send(self, batch: Sequence[Outgoing]) -> Iterator[Outcome]:
        by_receiver: dict[str, list[Outgoing]] = defaultdict(list)
        for outgoing in batch:
            by_receiver[outgoing.to].append(outgoing)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhooks") as pool:
            runs = [pool.submit(self._in_turn, waiting) for waiting in by_receiver.values()]
            for run in as_completed(runs):
                yield from run.result()

    def _in_turn(self, waiting: list[Outgoing]) -> list[Outcome]:
        """All for one receiver, one after the other; after a silence the rest is not even tried."""
        outcomes: list[Outcome] = []
        for outgoing in waiting:
            if outcomes and outcomes[-1].detail == _SILENT:
                outcomes.append(Outcome(outgoing.delivery, ErrorKind.TEMPORARY, _SILENT))
            else:
                outcomes.append(self._post(outgoing))
        return outcomes

    def _post(self, outgoing: Outgoing) -> Outcome:
        # A receiver's failure is his own: TEMPORARY, so that it never opens the breaker for the others.
        try:
            body = outgoing.text.encode()
            answer = self._caller.call(
                "POST", outgoing.to, headers=headers(outgoing, body, at=int(time.time())), content=body
            )
        except net.Refused as refusal:
            return Outcome(outgoing.delivery, ErrorKind.TEMPORARY, f"not called: {refusal}")
        except net.Unreachable as error:
            return Outcome(outgoing.delivery, ErrorKind.TEMPORARY, f"not reached: {error}")
        except net.Unanswered:
            return Outcome(outgoing.delivery, ErrorKind.TEMPORARY, _SILENT)
        except ValueError:
            return Outcome(outgoing.delivery, ErrorKind.PERMANENT, "secret unusable")
        return _outcome(outgoing.delivery, answer)

    def receive(self, request: Request) -> list[Notice | Arrival]:
        raise SignatureWrong  # nobody calls back


_SILENT = "no answer"


def headers(outgoing: Outgoing, body: bytes, *, at: int) -> dict[str, str]:
    """`extra["secrets"]` are those valid now, the newest first; the id is the same for every attempt."""
    signed = signature.signatures(outgoing.extra["secrets"], message_id=outgoing.key, timestamp=at, body=body)
    return {
        "content-type": "application/json",
        "webhook-id": outgoing.key,
        "webhook-timestamp": str(at),
        "webhook-signature": signed,
    }


def _outcome(delivery: int, answer: net.Answer) -> Outcome:
    detail = f"HTTP {answer.status}"
    if 200 <= answer.status < 300:
        return Outcome(delivery)
    if answer.status == GONE:
        return Outcome(delivery, ErrorKind.PERMANENT, detail)
    if answer.status == 429:
        return Outcome(delivery, ErrorKind.TEMPORARY, detail, retry_after=answer.retry_after)
    return Outcome(delivery, ErrorKind.TEMPORARY, detail, retry_after=answer.retry_after)
