from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import chat, conversations

router = SimpleRouter()
router.register("conversations", conversations.ConversationViewSet, "conversation")
router.register("dispositions", conversations.DispositionViewSet, "disposition")
router.register("canned-replies", conversations.CannedReplyViewSet, "canned-reply")

chat_urls = [
    path("<slug:inbox>/start/", chat.StartView.as_view(), name="chat-start"),
    path("conversation/", chat.ConversationView.as_view(), name="chat-conversation"),
    path("messages/", chat.MessagesView.as_view(), name="chat-messages"),
    path("attachments/", chat.AttachmentsView.as_view(), name="chat-attachments"),
    path("attachments/<uuid:attachment>/", chat.AttachmentView.as_view(), name="chat-attachment"),
    path("read/", chat.ReadView.as_view(), name="chat-read"),
    path("end/", chat.EndView.as_view(), name="chat-end"),
    path("rating/", chat.RatingView.as_view(), name="chat-rating"),
]

urlpatterns = [
    path("chat/", include(chat_urls)),
    path("attachments/<uuid:attachment>/", conversations.AttachmentView.as_view(), name="attachment"),
    path("", include(router.urls)),
]
