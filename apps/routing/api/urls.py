from __future__ import annotations

from django.urls import path
from rest_framework.routers import SimpleRouter

from . import callbacks, chat, offers, presence, queues, work

router = SimpleRouter()
router.register("queues", queues.QueueViewSet, "queue")
router.register("not-ready-reasons", queues.NotReadyReasonViewSet, "not-ready-reason")
router.register("agents", presence.AgentViewSet, "agent")
router.register("offers", offers.OfferViewSet, "offer")
router.register("callbacks", callbacks.CallbackViewSet, "callback")

urlpatterns = [
    path("chat/<slug:inbox>/availability/", chat.AvailabilityView.as_view(), name="chat-availability"),
    path("chat/wait/", chat.WaitView.as_view(), name="chat-wait"),
    path("chat/callback/", chat.CallbackView.as_view(), name="chat-callback"),
    path("presence/", presence.PresenceView.as_view(), name="presence"),
    path("presence/day/", presence.OwnDayView.as_view(), name="presence-day"),
    path("presence/heartbeat/", presence.HeartbeatView.as_view(), name="presence-heartbeat"),
    path("conversations/<int:pk>/decisions/", work.DecisionsView.as_view(), name="conversation-decisions"),
    path("conversations/<int:pk>/transfer/", work.TransferView.as_view(), name="conversation-transfer"),
    path("conversations/<int:pk>/assign/", work.AssignView.as_view(), name="conversation-assign"),
    path(
        "conversations/<int:pk>/end-wrap-up/", work.EndWrapUpView.as_view(), name="conversation-end-wrap-up"
    ),
    path("conversations/<int:pk>/snooze/", work.SnoozeView.as_view(), name="conversation-snooze"),
    path(
        "conversations/<int:pk>/callback/",
        callbacks.CallbackOutcomeView.as_view(),
        name="conversation-callback",
    ),
    *router.urls,
]
