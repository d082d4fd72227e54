from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class CoreConfig(AppConfig):
    name = "apps.core"
    verbose_name = _("System")
    # What supervisors may do here in the admin: read what happened, revive dead follow-ups, look after errors.
    supervisors_may = {
        "event": ("view",),
        "handling": ("view", "change"),
        "errorgroup": ("view", "change"),
        "idempotencykey": (),
    }

    def ready(self) -> None:
        autodiscover_modules("subscribers", "listeners")
