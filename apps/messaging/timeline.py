"""The event log of a conversation in words.

Upper floors add the words for their own events to `WORDS`, the names these need to `NAMERS`, and to `LEFT_OUT` what
is said here already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from apps.core.models import Event
from apps.users.models import User

from .choices import CloseReason


class Line(NamedTuple):
    at: datetime
    who: str
    what: str


# By kind and id: ("user", 7).
Names = Mapping[tuple[str, int], str]
# From an event's payload and the names of whom it is about.
Words = Callable[[Mapping[str, Any], Names], str]


def _assigned(payload: Mapping[str, Any], names: Names) -> str:
    return _("given to %(name)s") % {"name": names.get(("user", payload["agent"]), "?")}


def _released(payload: Mapping[str, Any], names: Names) -> str:
    name = names.get(("user", payload["agent"]), "?")
    if payload["reason"] == "lost":
        return _("connection of %(name)s lost; it waits again") % {"name": name}
    if payload["reason"] == "snooze":
        return _("taken off the list of %(name)s for a while") % {"name": name}
    return _("taken from %(name)s; it waits again") % {"name": name}


def _closed(payload: Mapping[str, Any], names: Names) -> str:
    reasons = dict(CloseReason.choices)
    return _("closed: %(reason)s") % {"reason": reasons.get(payload["reason"], payload["reason"])}


WORDS: dict[str, Words] = {
    "messaging.conversation.started": lambda payload, names: _("conversation started"),
    "messaging.conversation.assigned": _assigned,
    "messaging.conversation.released": _released,
    "messaging.conversation.closed": _closed,
    "messaging.conversation.rated": lambda payload, names: _("rated %(n)s of 5") % {"n": payload["rating"]},
    "messaging.conversation.tagged": lambda payload, names: _("tags changed"),
    "messaging.note.added": lambda payload, names: _("note written"),
    "messaging.attachment.stored": lambda payload, names: _("file uploaded"),
}
# The transcript shows each of them.
LEFT_OUT = {"messaging.message.sent", "messaging.answer.given"}


def _users(events: Sequence[Event]) -> Names:
    """Who acted, and the agents: on this floor those are users."""
    actors = {event.actor.removeprefix("user:") for event in events if event.actor.startswith("user:")}
    ids = {int(number) for number in actors if number.isdigit()}
    told = [event.payload for event in events if event.type.startswith("messaging.")]
    ids |= {payload["agent"] for payload in told if payload.get("agent") is not None}
    return {("user", pk): name for pk, name in User.objects.filter(id__in=ids).values_list("id", "name")}


NAMERS: list[Callable[[Sequence[Event]], Names]] = [_users]


def lines(events: Iterable[Event]) -> list[Line]:
    """In the order given; a few queries for all names."""
    shown = [event for event in events if event.type not in LEFT_OUT]
    names = dict(chain.from_iterable(named(shown).items() for named in NAMERS))
    return [Line(event.at, _actor(event.actor, names), _words(event, names)) for event in shown]


def _actor(actor: str, names: Names) -> str:
    kind, _colon, number = actor.partition(":")
    if kind == "user":
        return names.get(("user", int(number)), actor) if number.isdigit() else actor
    return _("Customer") if kind == "customer" else _("System")


def _words(event: Event, names: Names) -> str:
    if words := WORDS.get(event.type):
        return words(event.payload, names)
    # "messaging.arrival.held" says enough until somebody finds better words.
    return " ".join(event.type.split(".")[1:]).replace("_", " ")
