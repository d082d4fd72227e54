"""What came of the calls, in the log and in the replay as the database tells it. All in seconds of the log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.messaging.models import Conversation
from apps.routing import working_time
from apps.routing.choices import State
from apps.routing.models import PresenceInterval
from apps.routing.working_time import Interval

from .hall import Hall
from .log import Call
from .plan import Shift

TARGET_SECONDS = 20
# Five ways are in use; the name says which this is.
SERVICE_LEVEL = f"answered within {TARGET_SECONDS} s ÷ offered (every abandon is a miss)"
# The log does not tell wrap-up from idle time: this can be compared with it, and only the replay has an occupancy.
UTILISATION = "talk time ÷ staffed time of all agents"
OCCUPANCY = "on contact ÷ (on contact + available)"
ALL = "all"
# Ids in one statement; SQLite takes a limited number.
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Outcome:
    queue: str
    wait: float
    talk: float | None  # None: abandoned


@dataclass(frozen=True, slots=True)
class Figures:
    offered: int
    answered: int
    abandoned: int
    abandoned_percent: float
    mean_wait_seconds: float
    mean_wait_answered_seconds: float
    service_level_percent: float
    utilisation_percent: float


def of_log(calls: Iterable[Call]) -> list[Outcome]:
    return [
        Outcome(call.queue, call.wait, (call.service or 0) if call.is_answered else None) for call in calls
    ]


def of_replay(conversations: Iterable[int], hall: Hall, *, speed: float) -> list[Outcome]:
    """Waits and talks as they are stored, stretched to the time of the log."""
    kinds = {lane.inbox.pk: kind for kind, lane in hall.lanes.items()}
    # What never ended is a fault of its own, and has no figures.
    over = Conversation.objects.filter(closed_at__isnull=False)
    # Whoever hung up at once was in no line yet, and has no item.
    rows = over.values_list("inbox_id", "opened_at", "item__answered_at", "closed_at")
    log_second = timedelta(seconds=1 / speed)
    return [
        Outcome(
            kinds[inbox],
            ((answered or closed) - opened) / log_second,
            (closed - answered) / log_second if answered else None,
        )
        for part in _parts(list(conversations))
        for inbox, opened, answered, closed in rows.filter(pk__in=part)
        if closed
    ]


def _parts(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]


def staffed_in_log(shifts: Iterable[Shift]) -> float:
    return sum(shift.seconds for shift in shifts)


def staffed_in_replay(hall: Hall, *, speed: float, now: datetime) -> float:
    """Everybody's time between signing in and out, from the presence intervals."""
    here = PresenceInterval.objects.filter(agent__in=hall.agent_ids.values()).exclude(state=State.SIGNED_OUT)
    spans = here.values_list("started_at", "ended_at")
    return sum(((end or now) - start) / timedelta(seconds=1) for start, end in spans) * speed


def occupancy_in_replay(hall: Hall, *, now: datetime) -> float | None:
    """That of the admin's page of a day, of all agents together, in percent."""
    rows = PresenceInterval.objects.filter(agent__in=hall.agent_ids.values())
    spans = [Interval(*row) for row in rows.values_list("state", "reason", "started_at", "ended_at")]
    start = min((span.started_at for span in spans), default=now)
    share = working_time.total(spans, start=start, end=now).occupancy
    return None if share is None else round(100 * share, 1)


def by_queue(outcomes: Iterable[Outcome], *, staffed_seconds: float) -> dict[str, Figures]:
    """Queue → figures, those of all first. The utilisation of a queue is its part of that of all."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.queue].append(outcome)
    everything = [outcome for group in groups.values() for outcome in group]
    named = {ALL: everything} | dict(sorted(groups.items(), key=lambda item: -len(item[1])))
    return {name: _figures(group, staffed_seconds) for name, group in named.items()}


def _figures(outcomes: list[Outcome], staffed_seconds: float) -> Figures:
    answered = [outcome for outcome in outcomes if outcome.talk is not None]
    offered, talked = len(outcomes), sum(outcome.talk or 0 for outcome in answered)
    in_time = sum(outcome.wait <= TARGET_SECONDS for outcome in answered)
    return Figures(
        offered=offered,
        answered=len(answered),
        abandoned=offered - len(answered),
        abandoned_percent=_percent(offered - len(answered), offered),
        mean_wait_seconds=_mean(outcomes),
        mean_wait_answered_seconds=_mean(answered),
        service_level_percent=_percent(in_time, offered),
        utilisation_percent=_percent(talked, staffed_seconds),
    )


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def _mean(outcomes: list[Outcome]) -> float:
    return round(sum(outcome.wait for outcome in outcomes) / len(outcomes), 1) if outcomes else 0.0
