from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import campaigns, consents, views

router = SimpleRouter()
router.register("reminders", views.ReminderViewSet, "reminder")
router.register("appointments", views.AppointmentViewSet, "appointment")
router.register("campaigns", campaigns.CampaignViewSet, "campaign")

urlpatterns = [
    path("customers/<int:pk>/consents/", consents.ConsentsView.as_view(), name="customer-consents"),
    path(
        "customers/<int:pk>/notifications/",
        views.CustomerLedgerView.as_view(),
        name="customer-notifications",
    ),
    path("", include(router.urls)),
]
