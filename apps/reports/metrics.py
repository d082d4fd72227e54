"""The catalogue: each measure of the call center, defined once. Pure functions over facts, no clock, no database.

Every door (the overview, the exporter for Prometheus, tests) takes the number and its words from here, so that two
screens can never mean different things by the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# Who leaves so soon did not wait in vain: he mistook the page or changed his mind.
SHORT_ABANDON_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the contacts that entered the line in some time. Messages left while nobody was there stay out.

    offered = answered + abandoned + closed_unanswered + waiting, always.
    """

    offered: int = 0
    answered: int = 0
    answered_in_time: int = 0
    abandoned: int = 0
    abandoned_in_time: int = 0
    abandoned_short: int = 0
    closed_unanswered: int = 0
    waiting: int = 0
    # Of those waiting: longer than the service target, so their case is decided.
    overdue: int = 0
    answered_wait_seconds: float = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Line:
    """Who waits at this moment. `since` is the beginning of the longest wait among those at their screens."""

    waiting: int = 0
    left_messages: int = 0
    since: datetime | None = None

    def __add__(self, other: Line) -> Line:
        begins = [since for since in (self.since, other.since) if since]
        return Line(
            self.waiting + other.waiting, self.left_messages + other.left_messages, min(begins, default=None)
        )


@dataclass(frozen=True, slots=True)
class Handling:
    """Contacts whose work was finished in some time, and how long agents had them (talk, hold and wrap-up)."""

    handled: int = 0
    seconds: float = 0


@dataclass(frozen=True, slots=True)
class Measure:
    """The words of one measure: what it is called, its unit, how it comes about and from which facts."""

    key: str
    name: str | Promise
    unit: str | Promise
    formula: str | Promise
    source: str


CATALOGUE: dict[str, Measure] = {}
Figure = TypeVar("Figure", bound=Callable[..., Any])


def _measure(
    *, name: str | Promise, unit: str | Promise, formula: str | Promise, source: str
) -> Callable[[Figure], Figure]:
    def enter(function: Figure) -> Figure:
        CATALOGUE[function.__name__] = Measure(function.__name__, name, unit, formula, source)
        return function

    return enter


_CONTACTS = _("contacts")
_SECONDS = _("seconds")
_PERCENT = _("%")
_ARRIVALS = "Item.at, Item.answered_at, Conversation.closed_at, Conversation.close_reason"


@_measure(
    name=_("Waiting now"),
    unit=_CONTACTS,
    formula=_(
        "Contacts in line at this moment, those being offered to an agent included; left messages stand apart."
    ),
    source="Item.state, Conversation.is_left_message",
)
def waiting_now(line: Line) -> int:
    return line.waiting


@_measure(
    name=_("Longest wait"),
    unit=_SECONDS,
    formula=_(
        "Now minus the moment the longest waiting contact entered the line; after a transfer, came back to it."
    ),
    source="Item.at; the last routing.item.back or routing.item.woken of its conversation once it was answered",
)
def longest_wait(line: Line, *, now: datetime) -> float | None:
    """None when nobody waits."""
    return max((now - line.since).total_seconds(), 0) if line.since else None


@_measure(
    name=_("Offered"),
    unit=_CONTACTS,
    formula=_(
        "Contacts that entered the line today, counted once, in the queue they are in now or were in last. "
        "Left messages are not counted: nobody waited at the screen."
    ),
    source="Item.at",
)
def offered(tally: Tally) -> int:
    return tally.offered


@_measure(
    name=_("Answered"),
    unit=_CONTACTS,
    formula=_("Of the offered: an agent accepted, or was given the contact by a supervisor, at least once."),
    source="Item.answered_at",
)
def answered(tally: Tally) -> int:
    return tally.answered


@_measure(
    name=_("Abandoned"),
    unit=_CONTACTS,
    formula=_("Of the offered: the customer left before any agent accepted, short abandons included."),
    source="Conversation.close_reason, Item.answered_at",
)
def abandoned(tally: Tally) -> int:
    return tally.abandoned


@_measure(
    name=_("Short abandons"),
    unit=_CONTACTS,
    formula=_("Of the abandoned: left within 5 seconds of entering the line."),
    source=_ARRIVALS,
)
def short_abandons(tally: Tally) -> int:
    return tally.abandoned_short


@_measure(
    name=_("Abandonment"),
    unit=_PERCENT,
    formula=_("Abandoned ÷ offered."),
    source=_ARRIVALS,
)
def abandonment(tally: Tally) -> float | None:
    return _percent(tally.abandoned, tally.offered)


@_measure(
    name=_("Speed of answer (ASA)"),
    unit=_SECONDS,
    formula=_("Waits of the answered, from entering the line to the first acceptance, ÷ answered."),
    source="Item.at, Item.answered_at",
)
def speed_of_answer(tally: Tally) -> float | None:
    return tally.answered_wait_seconds / tally.answered if tally.answered else None


class Variant(StrEnum):
    """Five ways in which the world counts service level. A figure without its variant says nothing."""

    EVERY_ABANDON_A_MISS = "every_abandon_a_miss"
    QUICK_ABANDONS_SERVED = "quick_abandons_served"
    ANSWERED_ONLY = "answered_only"
    QUICK_ABANDONS_LEFT_OUT = "quick_abandons_left_out"
    SHORT_ABANDONS_SERVED = "short_abandons_served"


def _decided(tally: Tally) -> int:
    """Contacts of which it is known whether they were served in time: all but those still within their target."""
    return tally.offered - tally.waiting + tally.overdue


_SERVED_OF: dict[Variant, Callable[[Tally], tuple[int, int]]] = {
    Variant.EVERY_ABANDON_A_MISS: lambda t: (t.answered_in_time, _decided(t)),
    Variant.QUICK_ABANDONS_SERVED: lambda t: (t.answered_in_time + t.abandoned_in_time, _decided(t)),
    Variant.ANSWERED_ONLY: lambda t: (t.answered_in_time, t.answered),
    Variant.QUICK_ABANDONS_LEFT_OUT: lambda t: (t.answered_in_time, _decided(t) - t.abandoned_in_time),
    Variant.SHORT_ABANDONS_SERVED: lambda t: (t.answered_in_time + t.abandoned_short, _decided(t)),
}


@_measure(
    name=_("Service level (every abandon a miss)"),
    unit=_PERCENT,
    formula=_(
        "Answered within the queue's service target ÷ offered. Whoever still waits within the target is not yet "
        "counted; whoever waits longer is a miss already."
    ),
    source=f"{_ARRIVALS}, Queue.service_target_seconds",
)
def service_level(tally: Tally, *, variant: Variant = Variant.EVERY_ABANDON_A_MISS) -> float | None:
    """Percent; None as long as no contact's case is decided."""
    return _percent(*_SERVED_OF[variant](tally))


@_measure(
    name=_("Handle time (AHT)"),
    unit=_SECONDS,
    formula=_("Talk, hold and wrap-up of the contacts whose work was finished today ÷ their number."),
    source="messaging.conversation.assigned, messaging.conversation.released, routing.work.finished",
)
def handle_time(handling: Handling) -> float | None:
    return handling.seconds / handling.handled if handling.handled else None


@_measure(
    name=_("Agents by state"),
    unit=_("agents"),
    formula=_("What each agent who is not signed out does at this moment; work counts before what he chose."),
    source="Agent.chosen, Agent.present_until, Agent.is_not_responding, live offers, held items",
)
def agents_by_state(states: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for state in states:
        counts[state] = counts.get(state, 0) + 1
    return counts


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None
