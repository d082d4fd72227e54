"""When something happens, somebody is told: deliveries made by the rules supervisors set up."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import CharField, Exists, OuterRef, Q, Value
from django.db.models.functions import Concat
from django.urls import reverse

from apps.core.incidents import IncidentOpened
from apps.core.models import ErrorGroup, Event
from apps.messaging.models import Conversation
from apps.users.models import Customer, User

from .. import triggers
from ..choices import Audience, DeliveryState, Priority, Reason, Way
from ..models import Automation, Delivery, TemplateVersion
from . import audiences, deliveries

# How late an event may be handled and still be told: after an outage nobody wants yesterday's alarms.
STALE = timedelta(hours=12)


def follow(event: Event, *, now: datetime) -> None:
    """Call off what this event makes needless, and make what it asks for. Safe to repeat."""
    with transaction.atomic():
        _settle(event)
        if now - event.at > STALE:
            return
        for automation in _asking_for(event):
            deliveries.make_many(_drafts(automation, event), now=now)


def followed(types: set[str]) -> set[str]:
    """Of these event types, those that an automation is about, or that settle what one has made and not sent yet."""
    waiting = Delivery.objects.filter(
        cause=Concat(Value("automation:"), OuterRef("pk"), output_field=CharField())
    )
    rules = Automation.objects.filter(Q(is_active=True) | Exists(waiting.filter(state=DeliveryState.DUE)))
    wanted: set[str] = set()
    for event_type, unless in rules.values_list("event_type", "unless"):
        wanted |= {event_type, *unless}
    return types & wanted


def _asking_for(event: Event) -> Iterable[Automation]:
    active = Automation.objects.filter(event_type=event.type, is_active=True).select_related("template")
    return (row for row in active if triggers.holds(row.conditions, event.payload))


def _drafts(automation: Automation, event: Event) -> Iterable[deliveries.Draft]:
    version = TemplateVersion.objects.filter(
        template=automation.template, number=automation.template.version
    ).first()
    if version is None or not automation.template.is_active:
        return
    conversation = _conversation_of(event)
    people = list(audiences.people(Audience(automation.audience), conversation=conversation, now=event.at))
    for number in range(automation.most_repeats + 1):
        at = event.at + timedelta(seconds=automation.delay_seconds + number * automation.repeat_seconds)
        for person in people:
            for way in _ways(automation, person):
                yield deliveries.Draft(
                    cause=f"automation:{automation.pk}",
                    occurrence=occurrence(event.pk, number),
                    to=person,
                    way=way,
                    at=at,
                    purpose_id=automation.template.purpose_id,
                    template_version_id=version.pk,
                    context=_context(event, conversation),
                    priority=Priority.TRANSACTIONAL,
                )


def _ways(automation: Automation, person: Customer | User) -> list[str]:
    """Customers have no console to be told in."""
    return [way for way in automation.ways if way != Way.IN_APP or isinstance(person, User)]


def occurrence(event_id: int, number: int) -> str:
    return f"{event_id}" if number == 0 else f"{event_id}/{number}"


def _context(event: Event, conversation: Conversation | None) -> dict[str, Any]:
    about: dict[str, Any] = {"conversation": conversation.pk} if conversation else {}
    return about | _alert(event) | {"event": event.pk}


def _alert(event: Event) -> dict[str, Any]:
    """What an alert says of an incident: what failed and where, never what anybody wrote."""
    group = ErrorGroup.objects.filter(pk=event.payload.get("error")).first() if _is_incident(event) else None
    if group is None:
        return {}
    path = reverse("admin:core_errorgroup_change", args=[group.pk])
    return {
        "alert.title": group.title,
        "alert.text": group.place,
        "alert.count": group.count,
        "alert.at": event.at.isoformat(),
        "alert.link": f"{settings.BASE_URL}{path}",
        "link": path,
    }


def _is_incident(event: Event) -> bool:
    return event.type == IncidentOpened.type


def _conversation_of(event: Event) -> Conversation | None:
    number = event.payload.get("conversation")
    if number is None:
        return None
    return Conversation.objects.select_related("customer", "agent", "team").filter(pk=number).first()


def _settle(event: Event) -> None:
    """What waits because of an earlier event of the same stream, and is needless now."""
    if event.type not in triggers.SETTLERS:
        return
    for automation in Automation.objects.filter(event_type__in=triggers.TRIGGERS).only(
        "id", "event_type", "unless", "most_repeats"
    ):
        if event.type not in automation.unless:
            continue
        begun = Event.objects.filter(stream=event.stream, type=automation.event_type, id__lt=event.pk)
        names = [
            occurrence(pk, number)
            for pk in begun.values_list("id", flat=True)
            for number in range(automation.most_repeats + 1)
        ]
        waiting = Delivery.objects.filter(
            cause=f"automation:{automation.pk}", occurrence__in=names, state=DeliveryState.DUE
        )
        waiting.update(state=DeliveryState.CANCELLED, reason=Reason.NOT_NEEDED)
