"""The admin's menu: what supervisors do every day first, what they set up once last."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _


def navigation(request: HttpRequest) -> list[dict]:
    """Only what this user may see."""
    return [
        _group(request, _("Today"), [(_("Overview"), "dashboard", "index", None)]),
        _group(
            request,
            _("Work"),
            [
                (
                    _("Conversations"),
                    "forum",
                    "messaging_conversation_changelist",
                    "messaging.view_conversation",
                ),
                (_("Agents"), "headset_mic", "routing_agent_changelist", "routing.view_agent"),
                (_("Waiting line"), "hourglass_top", "routing_item_changelist", "routing.view_item"),
                (_("Customers"), "person", "users_customer_changelist", "users.view_customer"),
            ],
        ),
        _group(
            request,
            _("Set-up"),
            [
                (_("Queues"), "alt_route", "routing_queue_changelist", "routing.view_queue"),
                (_("Skills"), "school", "routing_skill_changelist", "routing.view_skill"),
                (_("Inboxes"), "inbox", "messaging_inbox_changelist", "messaging.view_inbox"),
                (
                    _("Canned replies"),
                    "quickreply",
                    "messaging_cannedreply_changelist",
                    "messaging.view_cannedreply",
                ),
                (_("Dispositions"), "flag", "messaging_disposition_changelist", "messaging.view_disposition"),
                (_("Tags"), "sell", "messaging_tag_changelist", "messaging.view_tag"),
                (
                    _("Not-ready reasons"),
                    "coffee",
                    "routing_notreadyreason_changelist",
                    "routing.view_notreadyreason",
                ),
                (_("Teams"), "groups", "users_team_changelist", "users.view_team"),
                (_("Users"), "manage_accounts", "users_user_changelist", "users.view_user"),
            ],
        ),
        _group(
            request,
            _("System"),
            [
                (_("Event log"), "history", "core_event_changelist", "core.view_event"),
                (_("Follow-ups"), "sync_problem", "core_handling_changelist", "core.view_handling"),
                (_("Decisions"), "psychology", "routing_decision_changelist", "routing.view_decision"),
            ],
        ),
    ]


def _group(request: HttpRequest, title: str, entries: list[tuple]) -> dict:
    items = [
        {"title": label, "icon": icon, "link": reverse(f"admin:{name}")}
        for label, icon, name, permission in entries
        if permission is None or request.user.has_perm(permission)
    ]
    return {"title": title, "separator": True, "items": items}
