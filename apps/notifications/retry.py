"""What a failed attempt leads to: a table of error kinds and tries. Pure; chance comes in as a number.

`tries` counts the attempts so far, the failed one included.
"""

from __future__ import annotations

from datetime import timedelta

from .choices import ErrorKind, Way

MINUTE, HOUR, DAY = 60, 3600, 86400

# Seconds to wait after the first, second … failed attempt; after the last of them it is dead.
_PERSON = (30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 8 * HOUR)
# As the Standard Webhooks scheme proposes: programs of others may be down over a weekend.
_PROGRAM = (5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, DAY)
# Nobody outside: our own database.
_OURSELVES = (1, 5, 30, 2 * MINUTE, 10 * MINUTE, HOUR)
SCHEDULES = {Way.EMAIL: _PERSON, Way.SMS: _PERSON, Way.WEBHOOK: _PROGRAM, Way.IN_APP: _OURSELVES}

# Trying again would get the same answer.
FINAL = frozenset({ErrorKind.PERMANENT, ErrorKind.BAD_ADDRESS})
# Nobody knows whether it went out: soon again, if at all (the gateway's policy), but not for ever.
_UNKNOWN = (1, 5, 30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE)
# Up to so much longer, so that what failed together does not come back together.
SPREAD = 0.2
LONGEST = timedelta(days=1)


def wait(
    kind: ErrorKind, tries: int, *, way: Way, jitter: float, retry_after: int | None = None
) -> timedelta | None:
    """How long until the next attempt; None when it is dead. `jitter` is a number from 0 to 1.

    A provider that names a time is obeyed, up to a day, and never asked earlier than the table says.
    """
    if kind in FINAL:
        return None
    table = _UNKNOWN if kind == ErrorKind.UNKNOWN else SCHEDULES[way]
    if tries > len(table):
        return None
    seconds = table[max(tries, 1) - 1] * (1 + SPREAD * jitter)
    return min(timedelta(seconds=max(seconds, retry_after or 0)), LONGEST * (1 + SPREAD))
