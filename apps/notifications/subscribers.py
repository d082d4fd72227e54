"""What must follow. Each handler may run twice."""

from __future__ import annotations

from apps.core.events import subscribe
from apps.core.models import Event
from apps.routing.services import clock
from apps.users.events import CustomerChanged, CustomerMerged

from . import triggers
from .events import TemplateChanged
from .models import Reminder
from .services import automations, deliveries, preferences, reminders


@subscribe(*triggers.FACTS)
def follow_automations(event: Event) -> None:
    automations.follow(event, now=clock.now())


@subscribe(CustomerChanged)
def follow_customer(event: Event) -> None:
    """Whoever moved to another zone is reminded by its clock."""
    if "time_zone" in event.payload["fields"]:
        his = Reminder.objects.active().filter(customer=event.payload["customer"], zone="", appointment=None)
        reminders.replan(his.values_list("id", flat=True), now=clock.now())


@subscribe(CustomerMerged)
def merge_wishes(event: Event) -> None:
    """Of two records of one person the later wish holds."""
    preferences.merge(event.payload["customer"], event.payload["into"])


@subscribe(TemplateChanged)
def follow_template(event: Event) -> None:
    """What has not gone out yet goes out with the new text."""
    deliveries.use_version(event.payload["template"], number=event.payload["version"])
