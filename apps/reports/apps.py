from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ReportsConfig(AppConfig):
    name = "apps.reports"
    verbose_name = _("Reports")

    def ready(self) -> None:
        from apps.core import visibility

        from . import prometheus, scopes

        visibility.decided_by(scopes.visible_events)
        prometheus.register()
