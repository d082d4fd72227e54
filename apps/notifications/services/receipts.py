"""What providers tell us: what became of something, and messages that arrive. Each has its effect once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef

from apps.core import events
from apps.core.errors import NotFound
from apps.core.events import SYSTEM
from apps.messaging.choices import InboxKind
from apps.messaging.models import Message
from apps.messaging.services import inbound

from .. import keywords
from ..choices import DeliveryState, ErrorKind, Way
from ..events import DeliveryDead
from ..gateways import KINDS, Arrival, Notice, Request
from ..models import Delivery, Gateway, Receipt
from . import answers, preferences

_KEY = re.compile(r"eml-([1-9][0-9]{0,17})@")
_INBOX_KINDS = {Way.EMAIL: InboxKind.EMAIL, Way.SMS: InboxKind.SMS}
MOST_REFERENCES = 30
# Whatever is not recorded as sent by then never will be under this id.
CATCH_UP_PERIOD = timedelta(hours=1)
CAUGHT_UP_AT_ONCE = 500


def take(gateway_id: int, request: Request, *, now: datetime) -> int:
    """Believe a call of a provider and do what follows; returns how much of it was new.

    NotFound for a gateway that is not there or switched off, SignatureWrong for a call that is not the provider's.
    """
    gateway = Gateway.objects.filter(pk=gateway_id, is_active=True).first()
    if gateway is None or gateway.kind not in KINDS:
        raise NotFound
    secrets: dict = gateway.secrets or {}  # type: ignore[assignment]
    # Before any transaction: some providers are asked back for the whole mail.
    told = KINDS[gateway.kind](gateway.options, secrets).receive(request)
    return sum(_once(gateway, one, now=now) for one in told)


def _once(gateway: Gateway, told: Notice | Arrival, *, now: datetime) -> bool:
    with transaction.atomic():
        kind = told.kind if isinstance(told, Notice) else "arrived"
        # A mail to two addresses of ours comes twice, with one id.
        source_id = told.id if isinstance(told, Notice) else f"{told.id} {told.to}"
        receipt, is_new = Receipt.objects.get_or_create(
            source=f"{gateway.kind}:{gateway.pk}",
            source_id=source_id[:200],
            defaults={"kind": kind, "at": now} | _said(told),
        )
        if not is_new:
            return False
        if isinstance(told, Notice):
            _follow_notice(gateway, receipt, told, now=now)
        else:
            _follow_arrival(gateway, told, now=now)
        return True


def _said(told: Notice | Arrival) -> dict[str, str]:
    if isinstance(told, Arrival):
        return {}
    return {"provider_id": told.provider_id[:200], "detail": told.detail[:100]}


# What became of something


def _follow_notice(gateway: Gateway, receipt: Receipt, notice: Notice, *, now: datetime) -> None:
    sent = Delivery.objects.select_for_update(of=("self",)).filter(way=gateway.way)
    delivery = sent.filter(gateway=gateway, provider_id=notice.provider_id).exclude(provider_id="").first()
    if delivery is None:
        return  # of another program at the same account, or not recorded as sent yet: `catch_up` looks again
    receipt.delivery = delivery
    receipt.save(update_fields=["delivery"])
    if notice.kind == "delivered":
        if delivery.state == DeliveryState.SENT:
            delivery.state, delivery.delivered_at = DeliveryState.DELIVERED, now
            delivery.save(update_fields=["state", "delivered_at"])
            answers.moved([(delivery, delivery.state)], by=SYSTEM)
        return
    if notice.kind == "complained":
        preferences.complained(way=Way(delivery.way), address=delivery.address, now=now)
        return
    _fail(delivery, notice, now=now)


def catch_up(*, now: datetime) -> int:
    """Some providers are faster than our own record: what they told before a message was known as sent has its effect
    now. Safe to repeat, and at once by two. Returns how many found their message."""
    sent = Delivery.objects.filter(provider_id=OuterRef("provider_id"))
    early = Receipt.objects.filter(Exists(sent), delivery=None, at__gte=now - CATCH_UP_PERIOD)
    ids = list(early.exclude(provider_id="").order_by("id").values_list("pk", flat=True)[:CAUGHT_UP_AT_ONCE])
    return sum(_again(pk, now=now) for pk in ids)


def _again(pk: int, *, now: datetime) -> bool:
    with transaction.atomic():
        receipt = Receipt.objects.select_for_update(of=("self",)).get(pk=pk)
        gateway = Gateway.objects.filter(pk=int(receipt.source.rpartition(":")[2])).first()
        if gateway is None or receipt.delivery_id is not None:
            return False
        notice = Notice(receipt.source_id, receipt.provider_id, receipt.kind, receipt.detail)
        _follow_notice(gateway, receipt, notice, now=now)
        return receipt.delivery_id is not None


def _fail(delivery: Delivery, notice: Notice, *, now: datetime) -> None:
    """It went out and came back. A bounce that follows a "delivered" is the truth: mail servers accept first."""
    is_bounce = notice.kind == "bounced"
    if is_bounce:
        preferences.bounced(way=Way(delivery.way), address=delivery.address, detail=notice.detail, now=now)
    if delivery.state not in (DeliveryState.SENT, DeliveryState.DELIVERED):
        return
    delivery.state = DeliveryState.DEAD
    delivery.save(update_fields=["state"])
    error = ErrorKind.BAD_ADDRESS if is_bounce else ErrorKind.PERMANENT
    fact = DeliveryDead(delivery.pk, delivery.way, error)
    events.record(fact, stream=delivery.stream, actor=SYSTEM)
    answers.moved([(delivery, delivery.state)], by=SYSTEM)


# Messages that arrive


def _follow_arrival(gateway: Gateway, arrival: Arrival, *, now: datetime) -> None:
    way = Way(gateway.way)
    order = keywords.order(arrival.text) if way == Way.SMS else None
    if order is not None:
        follow = preferences.start if order else preferences.stop
        follow(way=way, address=arrival.sender, now=now)
        return
    if (kind := _INBOX_KINDS.get(way)) is None:
        return
    incoming = inbound.Incoming(
        id=arrival.id,
        sender=arrival.sender,
        sender_name=arrival.sender_name,
        to=tuple(part.strip() for part in arrival.to.split(",")),
        subject=arrival.subject,
        text=arrival.text,
        files=arrival.files,
        is_automatic=arrival.is_automatic,
        answers=_answered(arrival.reply_to[:MOST_REFERENCES], sender=arrival.sender, way=way),
    )
    inbound.receive(incoming, kind=kind, now=now)


def _answered(references: Sequence[str], *, sender: str, way: Way) -> int | None:
    """The conversation of the message that is answered. Ids can be guessed, so they only count for who got it."""
    address = preferences.tidy(way, sender)
    for reference in references:
        key = _KEY.match(reference)
        own = Delivery.objects.filter(cause__startswith="message:", way=way, address__iexact=address)
        found = own.filter(pk=int(key[1])) if key else own.filter(provider_id=reference)
        if (cause := found.values_list("cause", flat=True).first()) is None:
            continue
        message = Message.objects.filter(pk=int(cause.partition(":")[2]))
        return message.values_list("conversation_id", flat=True).first()
    return None
