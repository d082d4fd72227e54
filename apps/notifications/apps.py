from __future__ import annotations

import pkgutil
from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class NotificationsConfig(AppConfig):
    name = "apps.notifications"
    verbose_name = _("Notifications")
    # Texts, rules and schedules are set up by supervisors; what went out is read. Gateways, webhooks and their secrets
    # are an administrator's.
    supervisors_may = {
        "delivery": ("view", "change"),
        "attempt": ("view",),
        "receipt": ("view",),
        "sendingqueue": ("view", "change"),
        "preference": ("view", "add"),
        "suppression": ("view", "add", "delete"),
        "notice": (),
        "gateway": (),
        "outboxmessage": ("view",),
        "webhooksubscription": (),
        "templateversion": ("view",),
        "sendingrule": ("view", "add", "change", "delete"),
        "campaignrecipient": ("view",),
    }

    def ready(self) -> None:
        from . import gateways, ready_made

        # Each folder of `gateways` registers its kind.
        for module in pkgutil.iter_modules(gateways.__path__, f"{gateways.__name__}."):
            if module.ispkg:
                import_module(module.name)
        # Rows of ours can only be made once all tables are there; this is Django's own hook for that moment.
        post_migrate.connect(ready_made.after_migrate, sender=self, dispatch_uid="notifications.ready_made")
