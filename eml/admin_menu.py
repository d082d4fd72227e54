"""The admin's menu: what supervisors do every day first, what they set up once last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.core import visibility
from apps.core.models import ErrorGroup, Handling
from apps.messaging import selectors as messaging
from apps.users.permissions import user_of


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: the page of `model` ("app.model"; empty for the overview), shown to who may view it."""

    title: str | Promise
    icon: str
    model: str = ""
    # Another page than the model's list, by its name.
    route: str = ""

    @property
    def page(self) -> str:
        if self.route:
            return self.route
        return f"admin:{self.model.replace('.', '_')}_changelist" if self.model else "admin:index"

    @property
    def permission(self) -> str:
        return self.model.replace(".", ".view_")


MENU: list[tuple[str | Promise, list[Entry]]] = [
    (_("Today"), [Entry(_("Overview"), "dashboard")]),
    (
        _("Work"),
        [
            Entry(_("Conversations"), "forum", "messaging.conversation"),
            Entry(_("Arrivals held back"), "report", "messaging.arrival"),
            Entry(_("Agents"), "headset_mic", "routing.agent"),
            Entry(_("Waiting conversations"), "hourglass_top", "routing.item"),
            Entry(_("Callbacks"), "phone_callback", "routing.callback"),
            Entry(_("Who would get it?"), "conversion_path", "routing.queue", "admin:routing_queue_try"),
            Entry(_("Customers"), "person", "users.customer"),
        ],
    ),
    (
        _("Set-up"),
        [
            Entry(_("Queues"), "alt_route", "routing.queue"),
            Entry(_("Policy versions"), "difference", "routing.policyversion"),
            Entry(_("Opening hours"), "calendar_month", "routing.calendar"),
            Entry(_("Skills"), "school", "routing.skill"),
            Entry(_("Inboxes"), "inbox", "messaging.inbox"),
            Entry(_("Canned replies"), "quickreply", "messaging.cannedreply"),
            Entry(_("Dispositions"), "flag", "messaging.disposition"),
            Entry(_("Tags"), "sell", "messaging.tag"),
            Entry(_("Not-ready reasons"), "coffee", "routing.notreadyreason"),
            Entry(_("Teams"), "groups", "users.team"),
            Entry(_("Users"), "manage_accounts", "users.user"),
        ],
    ),
    (
        _("Notifications"),
        [
            Entry(_("Reminders"), "notifications_active", "notifications.reminder"),
            Entry(_("Appointments"), "event", "notifications.appointment"),
            Entry(_("Automations"), "bolt", "notifications.automation"),
            Entry(_("Campaigns"), "campaign", "notifications.campaign"),
            Entry(_("Segments"), "group_work", "notifications.segment"),
            Entry(_("Templates"), "article", "notifications.template"),
            Entry(_("Purposes"), "rule", "notifications.purpose"),
            Entry(_("Preferences"), "fact_check", "notifications.preference"),
            Entry(_("Suppressed addresses"), "block", "notifications.suppression"),
            Entry(_("Gateways"), "router", "notifications.gateway"),
            Entry(_("Webhooks"), "webhook", "notifications.webhooksubscription"),
            Entry(_("Sending queues"), "outgoing_mail", "notifications.sendingqueue"),
            Entry(_("Deliveries"), "mark_email_read", "notifications.delivery"),
            Entry(_("Outbox"), "outbox", "notifications.outboxmessage"),
        ],
    ),
    (
        _("System"),
        [
            Entry(_("Event log"), "history", "core.event"),
            Entry(_("Follow-ups"), "sync_problem", "core.handling"),
            Entry(_("Errors"), "error", "core.errorgroup"),
            Entry(_("Decisions"), "psychology", "routing.decision"),
            Entry(_("Schedule"), "schedule", "django_celery_beat.periodictask"),
            Entry(_("Failed sign-ins"), "lock_person", "axes.accessattempt"),
        ],
    ),
]


def navigation(request: HttpRequest) -> list[dict]:
    """Only what this user may see."""
    is_of_its_own = request.path in _pages_of_their_own()
    return [
        {
            "title": title,
            "separator": True,
            "items": [item for entry in entries if (item := _item(request, entry, is_of_its_own))],
        }
        for title, entries in MENU
    ]


def _item(request: HttpRequest, entry: Entry, is_of_its_own: bool) -> dict | None:
    if entry.model and not request.user.has_perm(entry.permission):
        return None
    try:
        item: dict[str, Any] = {"title": entry.title, "icon": entry.icon, "link": reverse(entry.page)}
    except NoReverseMatch:
        # One table taken out of the admin must not take every page of it down with it.
        return None
    if is_of_its_own:
        # It lies below the list of a model, which would be marked too.
        item["active"] = item["link"] == request.path
    # A zero would only draw the eye.
    count = _WANTING.get(entry.model)
    if count and (number := count(request)):
        item["badge"] = number
    return item


def _pages_of_their_own() -> set[str]:
    return {reverse(entry.route) for _title, entries in MENU for entry in entries if entry.route}


# What wants somebody's attention, by the table it lies in.
_WANTING: dict[str, Callable[[HttpRequest], int]] = {
    "messaging.arrival": lambda request: messaging.arrivals_visible_to(user_of(request)).held().count(),
    "core.handling": lambda request: visibility.visible(Handling.objects.dead(), to=request.user).count(),
    "core.errorgroup": lambda request: ErrorGroup.objects.alarming().count(),
}
