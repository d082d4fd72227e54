from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import campaigns, consents, follow_ups, views

router = SimpleRouter()
router.register("reminders", views.ReminderViewSet, "reminder")
router.register("follow-ups", follow_ups.FollowUpViewSet, "follow-up")
router.register("appointments", views.AppointmentViewSet, "appointment")
router.register("campaigns", campaigns.CampaignViewSet, "campaign")

urlpatterns = [
    path("customers/<int:pk>/consents/", consents.ConsentsView.as_view(), name="customer-consents"),
    path(
        "customers/<int:pk>/notifications/",
        views.CustomerLedgerView.as_view(),
        name="customer-notifications",
    ),
    path("conversations/<int:pk>/answers/", follow_ups.AnswersView.as_view(), name="conversation-answers"),
    path(
        "conversations/<int:pk>/follow-ups/",
        follow_ups.NewFollowUpView.as_view(),
        name="conversation-follow-ups",
    ),
    path("", include(router.urls)),
]
