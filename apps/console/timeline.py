"""The event log of a conversation in words. Pure: names of people and queues are given."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    at: datetime
    icon: str
    text: str

    @property
    def icon_path(self) -> str:
        return f"icons/{self.icon}.svg"


@dataclasses.dataclass(frozen=True, slots=True)
class Names:
    """Who and what the ids in events stand for. Agents are numbered apart from users."""

    users: Mapping[int, str]
    agents: Mapping[int, str]
    queues: Mapping[int, str]
    dispositions: Mapping[int, str]


def lines(events: Iterable[Any], names: Names) -> list[Line]:
    """Newest first. Types without words here (each message, for one) are left out: the thread shows them."""
    found = [_line(event, names) for event in events if event.type in WORDS]
    return found[::-1]


def _line(event: Any, names: Names) -> Line:
    icon, words = WORDS[event.type]
    return Line(at=event.at, icon=icon, text=words(event.payload, names, _actor(event.actor, names)))


def _actor(actor: str, names: Names) -> str:
    kind, _colon, number = actor.partition(":")
    return names.users.get(int(number), "") if kind == "user" and number.isdigit() else ""


def _agent(payload: Mapping[str, Any], names: Names) -> str:
    return names.agents.get(payload.get("agent") or 0, _("an agent"))


def _released(payload: Mapping[str, Any], names: Names, actor: str) -> str:
    name = names.users.get(payload["agent"], _("an agent"))
    if payload["reason"] == "lost":
        return _("%(name)s lost the connection; it waits again") % {"name": name}
    if payload["reason"] == "snooze":
        return _("%(name)s has taken it off the list for now") % {"name": name}
    return _("%(name)s passed it on") % {"name": actor or name}


def _closed(payload: Mapping[str, Any], names: Names, actor: str) -> str:
    by_reason = {
        "ended_by_customer": _("The customer ended it"),
        "abandoned": _("The customer left before an answer"),
        "inactive": _("Closed after a long silence"),
    }
    text = by_reason.get(payload["reason"]) or _("%(name)s closed it") % {"name": actor or _("Somebody")}
    disposition = names.dispositions.get(payload.get("disposition") or 0)
    return f"{text}: {disposition}" if disposition else text


def _missed(payload: Mapping[str, Any], names: Names, actor: str) -> str:
    text = _("%(name)s called and reached nobody (try %(tries)s)")
    told = text % {"name": actor or _("An agent"), "tries": payload["tries"]}
    return f"{told}. {_('It was the last try.')}" if payload["is_last"] else told


def _woken(payload: Mapping[str, Any], names: Names, actor: str) -> str:
    reasons = {"time": _("Its time has come"), "customer": _("The customer wrote")}
    asked = _("%(name)s took it up again") % {"name": actor or _("Somebody")}
    came_back = reasons.get(payload["reason"], asked)
    if payload["agent"] is None:
        return f"{came_back}. {_('It waits in line again')}"
    return f"{came_back}. {_('%(name)s has it') % {'name': _agent(payload, names)}}"


def _queue(number: int, names: Names) -> str:
    return names.queues.get(number, _("a queue"))


Words = Callable[[Mapping[str, Any], Names, str], str]

WORDS: dict[str, tuple[str, Words]] = {
    "messaging.conversation.started": ("message-circle", lambda p, n, a: _("The customer wrote")),
    "messaging.conversation.assigned": (
        "user-check",
        lambda p, n, a: _("%(name)s has it") % {"name": n.users.get(p["agent"], _("An agent"))},
    ),
    "messaging.conversation.released": ("corner-up-right", _released),
    "messaging.conversation.closed": ("circle-check", _closed),
    "messaging.conversation.rated": (
        "star",
        lambda p, n, a: _("The customer rated it %(rating)s of 5") % {"rating": p["rating"]},
    ),
    "messaging.conversation.tagged": ("tag", lambda p, n, a: _("%(name)s changed the tags") % {"name": a}),
    "messaging.arrival.accepted": (
        "inbox",
        lambda p, n, a: _("%(name)s took in what was held back") % {"name": a or _("Somebody")},
    ),
    "messaging.note.added": ("sticky-note", lambda p, n, a: _("%(name)s left a note") % {"name": a}),
    "routing.item.enqueued": (
        "hourglass",
        lambda p, n, a: _("Waits in %(queue)s") % {"queue": _queue(p["queue"], n)},
    ),
    "routing.item.moved": (
        "route",
        lambda p, n, a: (
            _("Moved from %(old)s to %(new)s")
            % {"old": _queue(p["from_queue"], n), "new": _queue(p["to_queue"], n)}
        ),
    ),
    "routing.offer.made": ("bell", lambda p, n, a: _("Offered to %(name)s") % {"name": _agent(p, n)}),
    "routing.offer.declined": ("circle-x", lambda p, n, a: _("%(name)s declined") % {"name": _agent(p, n)}),
    "routing.offer.lapsed": (
        "bell-off",
        lambda p, n, a: _("%(name)s did not answer") % {"name": _agent(p, n)},
    ),
    "routing.offer.cancelled": (
        "bell-off",
        lambda p, n, a: _("The offer to %(name)s was withdrawn") % {"name": _agent(p, n)},
    ),
    "routing.wrap_up.started": ("pencil", lambda p, n, a: _("%(name)s wraps up") % {"name": _agent(p, n)}),
    "routing.work.finished": ("check-check", lambda p, n, a: _("Finished")),
    "routing.work.reassigned": (
        "forward",
        lambda p, n, a: (
            _("%(by)s gave it to %(name)s") % {"by": a or _("A supervisor"), "name": _agent(p, n)}
        ),
    ),
    "routing.item.snoozed": (
        "alarm-clock",
        lambda p, n, a: _("%(name)s comes back to it later") % {"name": _agent(p, n)},
    ),
    "routing.item.woken": ("alarm-clock", _woken),
    "routing.callback.requested": (
        "phone-call",
        lambda p, n, a: (
            _("The customer wants to be called")
            if p["way"] == "call"
            else _("The customer wants to be written to")
        ),
    ),
    "routing.callback.reached": (
        "phone-call",
        lambda p, n, a: _("%(name)s reached the customer") % {"name": a or _("An agent")},
    ),
    "routing.callback.missed": ("phone-off", _missed),
    "routing.callback.due": ("alarm-clock", lambda p, n, a: _("Time for the next call")),
    "routing.callback.expired": (
        "phone-off",
        lambda p, n, a: _("Nobody called in time; it waits as a message"),
    ),
    "routing.callback.cancelled": (
        "phone-off",
        lambda p, n, a: _("The customer does not need a call any more"),
    ),
    "routing.callback.ended": ("phone-off", lambda p, n, a: _("The callback ended without an outcome")),
}
