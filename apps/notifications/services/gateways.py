"""Setting gateways up, and trying them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.core import events
from apps.core.errors import Invalid
from apps.core.events import Actor
from apps.messaging.choices import InboxKind
from apps.messaging.models import Inbox
from apps.users.models import User

from .. import wake
from ..choices import DeliveryState, ErrorKind, Priority, Reason, Way
from ..events import InboxesBound
from ..gateways import KINDS, Outcome, Outgoing
from ..models import Attempt, Delivery, Gateway, InboxGateway
from . import claiming

OUTBOX = "outbox"
INBOX_KINDS = {Way.EMAIL: InboxKind.EMAIL, Way.SMS: InboxKind.SMS}
# What is left of a trial after a crash is not worth sending.
TRIAL_PERIOD = timedelta(minutes=10)


def inboxes_for(way: str) -> Any:
    """The inboxes whose answers go out by this way."""
    return Inbox.objects.filter(kind=INBOX_KINDS.get(Way(way)), is_active=True).order_by("name")


def check(gateway: Gateway) -> None:
    """Raise Invalid for an outbox beside a real gateway: what is taken for sent must have been sent."""
    if gateway.kind != OUTBOX or not gateway.is_active:
        return
    real = Gateway.objects.filter(way=gateway.way, is_active=True).exclude(kind=OUTBOX).first()
    if real is not None:
        text = _("%(name)s sends already, and an outbox keeps what should go out. Switch one of them off.")
        raise Invalid(fields={"is_active": [text % {"name": real.name}]})


def save(
    gateway: Gateway, *, inboxes: Iterable[Inbox] | None = None, by: Actor, now: datetime
) -> list[Gateway]:
    """Keep it as it was filled in, with the inboxes that send by it (None: as they were). A real gateway takes over
    from outboxes of its way: returns those that are switched off now. Raises Invalid as `check` does."""
    with transaction.atomic():
        check(gateway)
        gateway.save()
        if inboxes is not None:
            _bind(gateway, list(inboxes), by=by)
        wake.after_commit(due_at=now, now=now)
        return _take_over(gateway)


def _bind(gateway: Gateway, inboxes: list[Inbox], *, by: Actor) -> None:
    before = set(InboxGateway.objects.filter(gateway=gateway).values_list("inbox_id", flat=True))
    after = {inbox.pk for inbox in inboxes}
    if before == after:
        return
    InboxGateway.objects.filter(gateway=gateway).exclude(inbox__in=after).delete()
    for pk in sorted(after - before):
        # An inbox has one: it leaves the gateway that it had.
        InboxGateway.objects.update_or_create(inbox_id=pk, defaults={"gateway": gateway})
    fact = InboxesBound(gateway=gateway.pk, inboxes=sorted(after))
    events.record(fact, stream=f"gateway:{gateway.pk}", actor=by)


def _take_over(gateway: Gateway) -> list[Gateway]:
    if gateway.kind == OUTBOX or not gateway.is_active:
        return []
    idle = list(Gateway.objects.filter(way=gateway.way, kind=OUTBOX, is_active=True))
    for outbox in idle:
        outbox.is_active = False
        outbox.save(update_fields=["is_active"])
    return idle


# A trial


def send_trial(gateway: Gateway, *, to: str, by: User, now: datetime) -> tuple[Delivery, Outcome]:
    """Send something by exactly this gateway, switched on or not, and wait for what it says. It is tried once, and is
    recorded among the deliveries like everything that goes out."""
    delivery = _trial(gateway, to=to, by=by, now=now)
    outcome = _sent(gateway, delivery)
    with transaction.atomic():
        # Whoever took it over after the lease ended knows better.
        mine = Delivery.objects.filter(pk=delivery.pk, claim=delivery.claim, state=DeliveryState.SENDING)
        mine.update(**_ended(outcome, now=now))
        Attempt.objects.create(
            delivery=delivery,
            number=delivery.claim,
            gateway=gateway,
            at=now,
            error=outcome.error or "",
            detail=outcome.detail[:500],
        )
    return delivery, outcome


def _trial(gateway: Gateway, *, to: str, by: User, now: datetime) -> Delivery:
    text = _("This is a test of the gateway %(name)s. If you can read it, the gateway works.")
    return Delivery.objects.create(
        cause=f"test:{gateway.pk}",
        occurrence=uuid.uuid4().hex,
        recipient=by.actor_ref,
        user=by,
        way=gateway.way,
        address=to,
        context={
            "subject": _("Test of %(name)s") % {"name": gateway.name},
            "body": text % {"name": gateway.name},
        },
        priority=Priority.TRANSACTIONAL,
        state=DeliveryState.SENDING,
        claim=1,
        tries=1,
        leased_until=now + claiming.LEASE,
        expires_at=now + TRIAL_PERIOD,
        gateway=gateway,
        slot_at=now,
        due_at=now,
    )


def _sent(gateway: Gateway, delivery: Delivery) -> Outcome:
    said = delivery.context
    outgoing = Outgoing(
        delivery.pk, delivery.key, delivery.address, subject=said["subject"], text=said["body"]
    )
    secrets: Any = gateway.secrets or {}
    made = None
    try:
        made = KINDS[gateway.kind](gateway.options or {}, secrets)
        return next(iter(list(made.send([outgoing]))))
    except (
        Exception
    ) as error:  # it is not set up, or breaks its contract: that is what a trial is to find out
        return Outcome(
            delivery.pk, ErrorKind.PERMANENT, f"the gateway cannot be used: {type(error).__name__}"
        )
    finally:
        if close := getattr(made, "close", None):
            close()


def _ended(outcome: Outcome, *, now: datetime) -> dict[str, Any]:
    """Not dead, for nobody needs to be alarmed; and an address is not stopped by a server that is set up wrong."""
    ended = {"leased_until": None, "provider_id": outcome.provider_id[:200]}
    if outcome.error is None:
        return ended | {"state": DeliveryState.SENT, "sent_at": now}
    return ended | {"state": DeliveryState.CANCELLED, "reason": Reason.NOT_NEEDED}
