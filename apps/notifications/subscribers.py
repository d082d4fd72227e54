"""What must follow. Each handler may run twice."""

from __future__ import annotations

from apps.core.events import subscribe
from apps.core.models import Event
from apps.messaging.events import AnswerGiven
from apps.routing.services import clock
from apps.users.events import CustomerChanged, CustomerMerged

from . import published, triggers
from .choices import Way
from .events import DeliveryDead, TemplateChanged
from .models import Reminder
from .services import answers, automations, deliveries, preferences, reminders, webhooks


@subscribe(*triggers.FACTS, followed=automations.followed)
def follow_automations(event: Event) -> None:
    automations.follow(event, now=clock.now())


@subscribe(CustomerChanged)
def follow_customer(event: Event) -> None:
    """Whoever moved to another zone is reminded by its clock."""
    if "time_zone" in event.payload["fields"]:
        his = Reminder.objects.active().filter(customer=event.payload["customer"], zone="", appointment=None)
        reminders.follow_zone(his.values_list("id", flat=True), now=clock.now())


@subscribe(CustomerMerged)
def merge_wishes(event: Event) -> None:
    """Of two records of one person the later wish holds."""
    preferences.merge(event.payload["customer"], event.payload["into"])


@subscribe(TemplateChanged)
def follow_template(event: Event) -> None:
    """What has not gone out yet goes out with the new text."""
    deliveries.use_version(event.payload["template"], number=event.payload["version"])


@subscribe(AnswerGiven)
def send_answer(event: Event) -> None:
    """Agents answer by the way the customer wrote."""
    answers.send(event.payload["message"], now=clock.now())


@subscribe(*published.FACTS, followed=webhooks.followed)
def publish(event: Event) -> None:
    webhooks.publish(event, now=clock.now())


@subscribe(DeliveryDead)
def follow_dead_webhook(event: Event) -> None:
    if event.payload["way"] == Way.WEBHOOK:
        webhooks.follow_dead(event.payload["delivery"])
