from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import tokens, views

router = SimpleRouter()
router.register("users", views.UserViewSet, "user")
router.register("teams", views.TeamViewSet, "team")
router.register("customers", views.CustomerViewSet, "customer")

urlpatterns = [
    path("auth/token/", tokens.SignInView.as_view(), name="auth-token"),
    path("auth/token/refresh/", tokens.RefreshView.as_view(), name="auth-token-refresh"),
    path("auth/logout/", tokens.SignOutView.as_view(), name="auth-logout"),
    path("auth/ticket/", views.TicketView.as_view(), name="auth-ticket"),
    path("me/", views.MeView.as_view(), name="me"),
    path("", include(router.urls)),
]
