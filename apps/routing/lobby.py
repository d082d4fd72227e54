"""What customers may know: whether somebody is there, their own place in line, and how long it will take."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apps.messaging.errors import InboxNotFound
from apps.messaging.models import Conversation, Inbox

from . import openings, selectors, waits
from .choices import ItemState, Otherwise
from .estimate import Estimate
from .models import Item, Queue


def availability(slug: str, *, now: datetime) -> dict[str, Any]:
    """How the queue stands in which a new contact of this inbox would wait; InboxNotFound for one that takes nobody."""
    inbox = Inbox.objects.filter(slug=slug, is_active=True).select_related("route__queue").first()
    if inbox is None:
        raise InboxNotFound
    if not hasattr(inbox, "route"):
        return {"inbox": inbox, "waiting": 0} | _told(_nobody(), None)
    queue = openings.entrance(inbox.route.queue, now=now)
    waiting = Item.objects.in_line().filter(queue=queue).count()
    standing = openings.standing(queue, now=now)
    told = waits.estimate(queue, length=waiting, now=now) if standing.is_open else None
    return {"inbox": inbox, "waiting": waiting} | _told(standing, told)


def _nobody() -> openings.Standing:
    """Of an inbox that leads to no queue."""
    return openings.Standing(Queue(), is_staffed=False)


def _told(standing: openings.Standing, estimate: Estimate | None) -> dict[str, Any]:
    return {
        "is_staffed": standing.is_open and standing.is_staffed,
        "is_open": standing.is_open,
        # Somebody would wait behind too many, or for too long: he is asked for a message instead.
        "is_full": standing.is_full and standing.otherwise != Otherwise.OVERFLOW,
        "opens_at": standing.opens_at,
        "closes_at": standing.closes_at,
        "closed_because": "" if standing.is_open else standing.because,
        "openings": [{"opens_at": opens, "closes_at": closes} for opens, closes in standing.openings],
        "offers_callback": standing.offers_callback,
        "estimate": estimate,
    }


def wait_of(conversation_id: int, *, now: datetime) -> dict[str, Any]:
    """Where the customer of this conversation stands.

    Before it is in line (a moment), it waits without a place, and how its queue stands is told all the same.
    """
    item = Item.objects.select_related("queue", "conversation").filter(conversation=conversation_id).first()
    if item is None:
        conversation = Conversation.objects.select_related("inbox__route__queue").get(pk=conversation_id)
        known = {"state": "waiting" if conversation.is_open else "closed", "position": None}
        return known | _told(_before_the_line(conversation, now=now), None) | {"callback": None}
    standing = openings.standing_for(item, now=now)
    place = selectors.position(item)
    return (
        {
            "state": item.state if item.conversation.is_open else "closed",
            "position": place,
        }
        | _told(standing, _remaining(item, place, standing, now=now))
        | {"callback": selectors.open_callback(conversation_id)}
    )


def _before_the_line(conversation: Conversation, *, now: datetime) -> openings.Standing:
    """How the queue stands in which it will wait in a moment."""
    route = getattr(conversation.inbox, "route", None)
    if route is None or not conversation.is_open:
        return _nobody()
    return openings.standing(openings.entrance(route.queue, now=now), now=now)


def _remaining(
    item: Item, place: int | None, standing: openings.Standing, *, now: datetime
) -> Estimate | None:
    """Nothing while it is closed, and nothing for whom an agent is being rung."""
    if place is None or not standing.is_open or item.state != ItemState.WAITING:
        return None
    return waits.estimate(item.queue, length=place - 1, now=now)
