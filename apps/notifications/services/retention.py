"""What a campaign's uploaded list said of its customers is kept for a while after the campaign, then it leaves."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from django.db.models import QuerySet

from apps.core import bulk
from apps.core.retention import Kind

from ..choices import OPEN_STATES
from ..models import Campaign, CampaignRecipient, Delivery


def _old_values(before: datetime) -> QuerySet[CampaignRecipient]:
    """Of campaigns that ended before; who got what, and when, stays."""
    over = Campaign.objects.filter(ended_at__lt=before).order_by()
    return CampaignRecipient.objects.filter(campaign__in=over.values("id")).exclude(values={})


def _forget_values(ids: list[int]) -> None:
    """In the list, and in what was made of it: its deliveries carry copies."""
    recipients = CampaignRecipient.objects.filter(pk__in=ids)
    named = defaultdict(set)
    for recipient in recipients.select_related("campaign").defer("values"):
        named[recipient.campaign.cause].add(f"customer:{recipient.customer_id}")
    for cause, people in named.items():
        made = Delivery.objects.filter(cause=cause, recipient__in=people).exclude(state__in=OPEN_STATES)
        rows = list(made.only("context"))
        for row in rows:
            row.context = {name: value for name, value in row.context.items() if not name.startswith("list.")}
        bulk.update(rows, ["context"])
    recipients.update(values={})


LISTS = Kind("lists", _old_values, _forget_values)
