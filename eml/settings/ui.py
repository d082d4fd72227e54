"""The admin's look and menu (django-unfold)."""

from __future__ import annotations

from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _

# The cobalt of static/css/tokens.css, in the theme's eleven steps; 600 is the accent itself.
COBALT = {
    "50": "#eef3ff",
    "100": "#dfe8ff",
    "200": "#c3d3ff",
    "300": "#9db8ff",
    "400": "#7698fb",
    "500": "#4d74ea",
    "600": "#2f57d6",
    "700": "#2748b8",
    "800": "#203c9b",
    "900": "#1c2f73",
    "950": "#141f4b",
}

UNFOLD = {
    "SITE_TITLE": "EML",
    "SITE_HEADER": "EML",
    "SITE_SUBHEADER": _("Call center"),
    "SITE_URL": "/",
    "SITE_SYMBOL": "support_agent",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("img/favicon.svg")}
    ],
    "STYLES": [lambda request: static("css/admin.css")],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "COLORS": {"primary": COBALT},
    "DASHBOARD_CALLBACK": "apps.reports.dashboard.context",
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": "eml.admin_menu.navigation",
    },
}
