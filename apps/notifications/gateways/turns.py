"""For providers that are called once for each message."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..choices import ErrorKind
from .contract import Outcome, Outgoing
from .net import OUT_OF_TIME

_NOT_TRIED = "not tried: the provider was silent just before"


def one_by_one(batch: Sequence[Outgoing], send: Callable[[Outgoing], Outcome]) -> Iterator[Outcome]:
    """After a silence the rest is not even tried: each would take as long, and soon the breaker opens."""
    is_silent = False
    for outgoing in batch:
        if is_silent:
            yield Outcome(outgoing.delivery, ErrorKind.UNREACHABLE, _NOT_TRIED)
            continue
        outcome = send(outgoing)
        is_silent = outcome.error == ErrorKind.UNKNOWN and outcome.detail.endswith(OUT_OF_TIME)
        yield outcome
