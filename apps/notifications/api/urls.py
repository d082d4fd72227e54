from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import consents, views

router = SimpleRouter()
router.register("reminders", views.ReminderViewSet, "reminder")
router.register("appointments", views.AppointmentViewSet, "appointment")

urlpatterns = [
    path("customers/<int:pk>/consents/", consents.ConsentsView.as_view(), name="customer-consents"),
    path(
        "customers/<int:pk>/notifications/",
        views.CustomerLedgerView.as_view(),
        name="customer-notifications",
    ),
    path("", include(router.urls)),
]
