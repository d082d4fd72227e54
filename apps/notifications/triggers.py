"""What automations can follow, and what can make them needless: the events a supervisor may choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.core.events import Fact
from apps.core.incidents import IncidentAcknowledged, IncidentOpened
from apps.messaging.events import (
    ConversationAssigned,
    ConversationClosed,
    ConversationRated,
    ConversationStarted,
)
from apps.routing.events import (
    CallbackMissed,
    CallbackReached,
    ItemBack,
    ItemEnqueued,
    OfferAccepted,
    OfferLapsed,
)

from .events import DeliveryDead


@dataclass(frozen=True, slots=True)
class Trigger:
    """One kind of event: `fields` are the names of its payload that a condition may compare, with their meaning."""

    fact: type[Fact]
    title: str | Promise
    fields: Mapping[str, str | Promise] = field(default_factory=dict)

    @property
    def is_about_a_conversation(self) -> bool:
        return "conversation" in self.fact.__dataclass_fields__  # type: ignore[attr-defined]


TRIGGERS: dict[str, Trigger] = {
    trigger.fact.type: trigger
    for trigger in (
        Trigger(ConversationStarted, _("A conversation is started"), {"inbox": _("inbox")}),
        Trigger(ItemEnqueued, _("A conversation waits in a queue"), {"queue": _("queue")}),
        Trigger(OfferLapsed, _("An agent did not answer an offer")),
        Trigger(ItemBack, _("An agent was lost; the conversation waits again")),
        Trigger(ConversationClosed, _("A conversation is closed"), {"reason": _("why")}),
        Trigger(ConversationRated, _("A customer rated a conversation"), {"rating": _("rating (1–5)")}),
        Trigger(
            CallbackMissed,
            _("A customer was called back and not reached"),
            {"tries": _("tries so far"), "is_last": _("it was the last try (yes or no)")},
        ),
        Trigger(IncidentOpened, _("A critical error happened")),
        Trigger(DeliveryDead, _("Something could not be sent"), {"way": _("way"), "error": _("error")}),
    )
}
# What may happen in the same conversation (or incident) meanwhile.
SETTLERS: dict[str, Trigger] = {
    settler.fact.type: settler
    for settler in (
        Trigger(ConversationAssigned, _("an agent has the conversation")),
        Trigger(OfferAccepted, _("an agent accepted it")),
        Trigger(ConversationClosed, _("the conversation was closed")),
        Trigger(ConversationRated, _("the customer rated it")),
        Trigger(CallbackReached, _("the customer was reached")),
        Trigger(IncidentAcknowledged, _("somebody acknowledged it")),
    )
}
FACTS = tuple(dict.fromkeys(row.fact for row in (*TRIGGERS.values(), *SETTLERS.values())))

COMPARISONS = {
    "eq": _("is"),
    "ne": _("is not"),
    "lte": _("is at most"),
    "gte": _("is at least"),
}

# However somebody writes it into a box.
_YES_OR_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def holds(conditions: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
    """Whether all of `{"rating__lte": 2}` hold. What is not in the payload, or of another kind, does not hold."""
    return all(_holds(name, wanted, payload) for name, wanted in conditions.items())


def _holds(name: str, wanted: Any, payload: Mapping[str, Any]) -> bool:
    key, _, how = name.partition("__")
    found = payload.get(key)
    match how or "eq":
        case "eq":
            return _is(found, wanted)
        case "ne":
            return not _is(found, wanted)
        case "lte" | "gte" if _is_number(found) and _is_number(wanted):
            return found <= wanted if how == "lte" else found >= wanted
        case _:
            return False


def _is(found: Any, wanted: Any) -> bool:
    if isinstance(found, bool):
        return _YES_OR_NO.get(str(wanted).lower()) is found
    return str(found) == str(wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def problems(event_type: str, conditions: Any, unless: Any) -> list[str]:
    """Why an automation cannot be saved, one sentence each."""
    trigger = TRIGGERS.get(event_type)
    if trigger is None:
        return [str(_("Choose one of the listed events."))]
    found = []
    if not isinstance(conditions, dict):
        found.append(str(_('Conditions are names with values, like {"rating__lte": 2}.')))
    else:
        found += [
            str(_("“%(name)s” cannot be compared here. Possible: %(names)s."))
            % {"name": name, "names": _names(trigger)}
            for name in conditions
            if name.partition("__")[0] not in trigger.fields
            or (name.partition("__")[2] or "eq") not in COMPARISONS
        ]
    if not isinstance(unless, list) or set(unless) - SETTLERS.keys():
        found.append(str(_("Choose what makes it needless from the list.")))
    return found


def _names(trigger: Trigger) -> str:
    return ", ".join(trigger.fields) or str(_("nothing"))
