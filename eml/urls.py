"""Every address, by floor."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from .views import api_root, front

admin.autodiscover()

api_v1: list[URLPattern | URLResolver] = [
    path("", include("apps.users.api.urls")),
    path("", include("apps.messaging.api.urls")),
    path("", include("apps.routing.api.urls")),
    path("", include("apps.notifications.api.urls")),
    path("", api_root, name="api-root"),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
]

urlpatterns = [
    path("", front, name="front"),
    path("account/", include("apps.users.urls")),
    path("account/", include("allauth.urls")),
    path("admin/", include("apps.reports.urls")),
    path("admin/", admin.site.urls),
    path("chat/", include("apps.messaging.urls")),
    path("preferences/", include("apps.notifications.urls")),
    path(".well-known/", include("apps.users.api.keys")),
    path("hooks/", include("apps.notifications.api.hooks")),
    path("console/", include("apps.console.urls")),
    path("api/v1/", include(api_v1)),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
    path("health/", include("apps.core.urls")),
    path("", include("django_prometheus.urls")),
]

handler400 = "apps.core.api.errors.handler400"
handler403 = "apps.core.api.errors.handler403"
handler404 = "apps.core.api.errors.handler404"
handler500 = "apps.core.api.errors.handler500"
