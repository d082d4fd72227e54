"""How a text would look for a customer, before it is saved; and sending it to oneself."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from apps.core import replacer
from apps.users.models import Customer, User

from .. import errors, texts
from ..choices import Priority, Way
from ..gateways import Outgoing
from ..models import Appointment, Delivery
from . import deliveries, rendering

# Ways that reach whoever wrote the text; users have no number.
TEST_WAYS = (Way.EMAIL, Way.IN_APP)


def preview(
    text: Mapping[str, str], *, way: Way, language: str, customer: Customer | None, now: datetime
) -> Outgoing:
    """The text as this customer (or a made-up one) would get it. TextsInvalid when it could not be saved.

    What only a real cause knows (an appointment, an alert) is made up where the customer has none; links are not his.
    """
    kept = texts.checked({way: {language: text}})
    (clean,) = kept[way].values()
    row = Delivery(
        way=way,
        customer=customer or Customer(name="Ada Lovelace"),
        address="",
        context=_samples(clean, now) | _about(customer, now),
        cause="preview:0",
    )
    return rendering.render_text(row, clean, language=language)


def send_test(
    text: Mapping[str, str], *, way: Way, language: str, customer: Customer | None, to: User, now: datetime
) -> Outgoing:
    """Send the preview to the user himself, as it stands, by the same road as everything else."""
    if way not in TEST_WAYS:
        raise errors.TestNotPossible
    shown = preview(text, way=way, language=language, customer=customer, now=now)
    draft = deliveries.Draft(
        cause=f"test:{to.pk}",
        occurrence=uuid.uuid4().hex,
        to=to,
        way=way,
        at=now,
        context={
            "subject": _("[Test] %(subject)s") % {"subject": shown.subject},
            "body": shown.text,
            "html": shown.html,
        },
        priority=Priority.TRANSACTIONAL,
    )
    with transaction.atomic():
        deliveries.make_many([draft], now=now)
    return shown


def _about(customer: Customer | None, now: datetime) -> dict[str, Any]:
    """The customer's own newest conversation and next appointment; a made-up appointment where there is none."""
    about: dict[str, Any] = {}
    coming = Appointment.objects.filter(customer=customer, starts_at__gte=now).first() if customer else None
    if coming is not None:
        about["appointment"] = coming.pk
    else:
        about["appointment.title"] = _sample("appointment.title")
        about["appointment.starts_at"] = (now + timedelta(days=1)).isoformat()
    if customer is not None:
        about["conversation"] = customer.conversations.order_by("-id").values_list("pk", flat=True).first()
    return about


def _samples(text: Mapping[str, str], now: datetime) -> dict[str, Any]:
    names = set().union(*(replacer.names(part) for part in text.values()))
    lists = {name: _sample(name) for name in names if name.startswith("list.")}
    return lists | {
        "preferences.link": f"{settings.BASE_URL}/preferences/…/",
        "unsubscribe.link": f"{settings.BASE_URL}/preferences/…/unsubscribe/",
        **{name: _sample(name) for name in ("reminder.note", "alert.title", "alert.text")},
        "alert.count": 3,
        "alert.at": now.isoformat(),
        "alert.link": f"{settings.BASE_URL}/admin/",
    }


def _sample(name: str) -> str:
    """Its own name: words would be of one language, and the text may be in any."""
    return f"[{name.partition('.')[2]}]"
