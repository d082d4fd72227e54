"""The admin as an app: its pages are loaded by eml.urls, so that roles that serve nobody do without them (35 MiB)."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks


class AdminConfig(SimpleAdminConfig):
    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(check_pages, checks.Tags.admin)


def check_pages(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Django's own check, of pages that are there."""
    import_module(settings.ROOT_URLCONF)
    return check_admin_app(app_configs, **kwargs)
