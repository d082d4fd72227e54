"""Routing's events in the words of a conversation's timeline, with the names of queues and agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.core.models import Event
from apps.messaging.timeline import Names, Words

from .models import Agent, Queue

Payload = Mapping[str, Any]


def names(events: Sequence[Event]) -> Names:
    """Of every queue and agent that these events are about; two queries. Agents are numbered apart from users."""
    payloads = [event.payload for event in events if event.type.startswith("routing.")]
    queues = {payload.get(key) for payload in payloads for key in ("queue", "from_queue", "to_queue")}
    agents = {payload.get("agent") for payload in payloads}
    found = Queue.objects.filter(pk__in=queues - {None}).values_list("pk", "name")
    people = Agent.objects.filter(pk__in=agents - {None}).values_list("pk", "user__name")
    return {("queue", pk): name for pk, name in found} | {("agent", pk): name for pk, name in people}


def _agent(payload: Payload, names: Names) -> dict[str, str]:
    return {"name": names.get(("agent", payload["agent"]), "?")}


def _queue(number: int, names: Names) -> str:
    return names.get(("queue", number), "?")


def _moved(payload: Payload, names: Names) -> str:
    old, new = _queue(payload["from_queue"], names), _queue(payload["to_queue"], names)
    return _("moved from %(old)s to %(new)s") % {"old": old, "new": new}


def _woken(payload: Payload, names: Names) -> str:
    if payload["agent"] is None:
        return _("the time of its rest is over; it waits in line again")
    return _("the time of its rest is over; %(name)s has it again") % _agent(payload, names)


def _wanted(payload: Payload, names: Names) -> str:
    return _("wants to be called") if payload["way"] == "call" else _("wants to be written to")


def _missed(payload: Payload, names: Names) -> str:
    last = _("called and reached nobody (try %(tries)s, the last)")
    return (last if payload["is_last"] else _("called and reached nobody (try %(tries)s)")) % payload


WORDS: dict[str, Words] = {
    "routing.item.enqueued": lambda p, n: _("waits in %(queue)s") % {"queue": _queue(p["queue"], n)},
    "routing.item.moved": _moved,
    "routing.item.snoozed": lambda p, n: _("%(name)s comes back to it later") % _agent(p, n),
    "routing.item.woken": _woken,
    "routing.offer.made": lambda p, n: _("offered to %(name)s") % _agent(p, n),
    "routing.offer.declined": lambda p, n: _("%(name)s declined") % _agent(p, n),
    "routing.offer.lapsed": lambda p, n: _("%(name)s did not answer") % _agent(p, n),
    "routing.offer.cancelled": lambda p, n: _("the offer to %(name)s was withdrawn") % _agent(p, n),
    "routing.wrap_up.started": lambda p, n: _("%(name)s wraps up") % _agent(p, n),
    "routing.work.finished": lambda p, n: _("finished"),
    "routing.work.reassigned": lambda p, n: _("given to %(name)s without asking") % _agent(p, n),
    "routing.callback.requested": _wanted,
    "routing.callback.reached": lambda p, n: _("reached the customer"),
    "routing.callback.missed": _missed,
    "routing.callback.due": lambda p, n: _("time for the next call"),
    "routing.callback.expired": lambda p, n: _("nobody called in time; it waits as a message"),
    "routing.callback.cancelled": lambda p, n: _("needs no callback any more"),
    "routing.callback.ended": lambda p, n: _("the callback ended without an outcome"),
}
# "Given to" and "taken from" an agent, in the conversation's own words.
SAID_ALREADY = {"routing.offer.accepted", "routing.item.back"}
