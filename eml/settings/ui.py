"""The admin's look and menu (django-unfold)."""

from __future__ import annotations

from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _

UNFOLD = {
    "SITE_TITLE": "EML",
    "SITE_HEADER": "EML",
    "SITE_SUBHEADER": _("Call center"),
    "SITE_URL": "/",
    "SITE_SYMBOL": "support_agent",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("img/favicon.svg")}
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "apps.reports.dashboard.context",
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": "eml.admin_menu.navigation",
    },
}
