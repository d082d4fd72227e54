"""Programs of others are told what happens: subscriptions, their secrets, and one delivery for each event."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from apps.core import events
from apps.core.errors import Invalid
from apps.core.events import SYSTEM, Actor
from apps.core.models import Event
from apps.users.models import User

from .. import published
from ..choices import DeliveryState, Priority, Reason, Way
from ..events import WebhookDisabled, WebhookSecretRotated
from ..gateways import Outgoing
from ..gateways.http.gateway import check_url
from ..gateways.webhook import signature
from ..models import Attempt, Delivery, Gateway, WebhookSubscription
from . import deliveries, rendering

# The old secret goes on signing beside the new one, until the receiver has learned that.
ROTATION_PERIOD = timedelta(hours=24)
GATEWAY_NAME = "Webhooks"
GONE = "HTTP 410"


def recipient_of(subscription_id: int) -> str:
    return f"webhook:{subscription_id}"


def cause_of(subscription_id: int) -> str:
    return f"webhook:{subscription_id}"


def check(*, url: str, event_types: Sequence[str]) -> None:
    """Raise Invalid, with the fields that will not do."""
    fields: dict[str, list[str]] = {}
    try:
        check_url(url)
    except ValueError as error:
        fields["url"] = [str(error)]
    if not event_types or not set(event_types) <= published.PUBLISHED.keys():
        fields["event_types"] = [str(_("Choose from the list of events."))]
    if fields:
        raise Invalid(fields=fields)


def subscribe(
    *, name: str, url: str, event_types: Sequence[str], by: User, now: datetime
) -> tuple[WebhookSubscription, str]:
    """A new subscription and its secret, which is never shown again."""
    check(url=url, event_types=event_types)
    secret = signature.new_secret()
    with transaction.atomic():
        row = WebhookSubscription.objects.create(
            name=name,
            url=url,
            event_types=sorted(event_types),
            secrets=[{"secret": secret, "until": None}],  # type: ignore[misc]
            created_by=by,
            created_at=now,
        )
        _be_able_to_send()
        return row, secret


def _be_able_to_send() -> None:
    """The gateway of this way needs no set-up, so it is there once somebody subscribes."""
    if not Gateway.objects.filter(way=Way.WEBHOOK).exists():
        Gateway.objects.get_or_create(name=GATEWAY_NAME, defaults={"way": Way.WEBHOOK, "kind": "webhook"})


def rotate(subscription_id: int, *, by: User, now: datetime) -> str:
    """A new secret, returned once; those before sign for another day."""
    with transaction.atomic():
        row = WebhookSubscription.objects.select_for_update().get(pk=subscription_id)
        until = (now + ROTATION_PERIOD).isoformat()
        kept = [entry | {"until": entry["until"] or until} for entry in _valid(row, now=now)]
        secret = signature.new_secret()
        row.secrets = [{"secret": secret, "until": None}, *kept]  # type: ignore[assignment]
        row.save(update_fields=["secrets"])
        _record(WebhookSecretRotated(subscription=row.pk), by=by)
        return secret


def _valid(row: WebhookSubscription, *, now: datetime) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = row.secrets or []  # type: ignore[assignment]
    return [entry for entry in entries if entry["until"] is None or _moment(entry["until"]) > now]


def _moment(text: str) -> datetime:
    moment = parse_datetime(text)
    assert moment is not None  # written by `rotate`
    return moment


def followed(types: set[str]) -> set[str]:
    """Of these event types, those that a subscription wants to know. Asked inside the transaction that records them:
    whoever subscribed before is told, and for nobody no work is written."""
    wanted = WebhookSubscription.objects.filter(is_active=True).values_list("event_types", flat=True)
    return types & {name for names in wanted for name in names}


def publish(event: Event, *, now: datetime) -> None:
    """One delivery for each subscription that wants to know. Safe to repeat."""
    wanting = [
        row for row in WebhookSubscription.objects.filter(is_active=True) if event.type in row.event_types
    ]
    if wanting:
        body = published.body(event.type, event.payload, seq=event.pk, at=event.at)
        with transaction.atomic():
            deliveries.make_many((_draft(row, str(event.pk), body, now) for row in wanting), now=now)


def ping(subscription_id: int, *, now: datetime) -> None:
    """Something to try the receiver with. It goes the way of all events."""
    row = WebhookSubscription.objects.get(pk=subscription_id)
    body = {"type": published.PING, "timestamp": now.isoformat(), "event_seq": 0, "data": {}}
    with transaction.atomic():
        deliveries.make_many([_draft(row, f"ping {now.isoformat()}", body, now)], now=now)


def _draft(
    row: WebhookSubscription, occurrence: str, body: Mapping[str, Any], now: datetime
) -> deliveries.Draft:
    return deliveries.Draft(
        cause=cause_of(row.pk),
        occurrence=occurrence,
        to=recipient_of(row.pk),
        way=Way.WEBHOOK,
        at=now,
        context={"event": dict(body)},
        priority=Priority.NORMAL,
    )


@rendering.composes("webhook")
def compose(rows: Sequence[Delivery]) -> Mapping[int, rendering.Rendered]:
    """Where it goes and how it is signed is looked up now: an address or a secret may have changed since."""
    now = timezone.now()
    ids = {row.pk: int(row.cause.partition(":")[2]) for row in rows}
    subscriptions = WebhookSubscription.objects.filter(is_active=True).in_bulk(ids.values())
    return {row.pk: _outgoing(row, subscriptions.get(ids[row.pk]), now=now) for row in rows}


def _outgoing(
    row: Delivery, subscription: WebhookSubscription | None, *, now: datetime
) -> rendering.Rendered:
    if subscription is None:
        return Reason.GONE
    return Outgoing(
        row.pk,
        row.key,
        subscription.url,
        text=json.dumps(row.context["event"], ensure_ascii=False, separators=(",", ":")),
        extra={"secrets": tuple(entry["secret"] for entry in _valid(subscription, now=now))},
    )


def follow_dead(delivery_id: int) -> None:
    """A receiver that says 410 is gone for good and is not called again. Safe to repeat."""
    with transaction.atomic():
        last = (
            Attempt.objects.filter(delivery=delivery_id, delivery__way=Way.WEBHOOK)
            .order_by("-number")
            .first()
        )
        if last is None or last.detail != GONE:
            return
        pk = int(Delivery.objects.values_list("cause", flat=True).get(pk=delivery_id).partition(":")[2])
        reason = _("The receiver answered that it is gone (410).")
        if WebhookSubscription.objects.filter(pk=pk, is_active=True).update(
            is_active=False, disabled_reason=reason
        ):
            _record(WebhookDisabled(subscription=pk), by=SYSTEM)


def _record(fact: WebhookDisabled | WebhookSecretRotated, *, by: Actor) -> None:
    events.record(fact, stream=recipient_of(fact.subscription), actor=by)


def resend(delivery_ids: Iterable[int], *, now: datetime) -> int:
    """What was given up is tried anew, with all its tries."""
    dead = Delivery.objects.filter(pk__in=list(delivery_ids), way=Way.WEBHOOK, state=DeliveryState.DEAD)
    return dead.update(state=DeliveryState.DUE, due_at=now, tries=0)
