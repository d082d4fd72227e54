from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RoutingConfig(AppConfig):
    name = "apps.routing"
    verbose_name = _("Routing")
    # Policies and people are set up; what happened is read.
    supervisors_may = {
        "step": ("view", "add", "change", "delete"),
        "need": ("view", "add", "change", "delete"),
        "prioritylevel": ("view", "add", "change", "delete"),
        "inboxroute": ("view", "add", "change", "delete"),
        "agentskill": ("view", "add", "change", "delete"),
        "calendar": ("view", "add", "change", "delete"),
        "calendarday": ("view", "add", "change", "delete"),
        "item": ("view", "change"),
        "callback": ("view",),
        "waittable": (),
        "announcement": (),
        "historicalcalendar": ("view",),
        "historicalcalendarday": ("view",),
        "decision": ("view",),
        "offer": ("view",),
        "presenceinterval": ("view",),
        "policyversion": ("view",),
        "historicalqueue": ("view",),
        "routerturn": (),
    }
