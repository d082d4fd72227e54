"""Addresses of the desk. A GET answers the page, or its fragment when HTMX asks."""

from __future__ import annotations

from django.urls import path

from .views import conversation, desk, later, notices, thread, work

app_name = "console"

urlpatterns = [
    path("", desk.page, name="desk"),
    path("nothing/", desk.nothing, name="nothing"),
    path("list/", desk.conversations, name="list"),
    path("line/", desk.line, name="line"),
    path("team/", desk.team, name="team"),
    path("queues/", desk.queues, name="queues"),
    path("presence/", desk.presence, name="presence"),
    path("offers/", desk.offers, name="offers"),
    path("offers/<int:pk>/accept/", desk.accept, name="accept"),
    path("offers/<int:pk>/decline/", desk.decline, name="decline"),
    path("notices/", notices.notice_list, name="notices"),
    path("notices/<int:pk>/", notices.follow, name="notice"),
    path("sign-out/", desk.sign_out, name="sign-out"),
    path("c/<int:pk>/", conversation.page, name="conversation"),
    path("c/<int:pk>/head/", conversation.head, name="head"),
    path("c/<int:pk>/composer/", conversation.composer, name="composer"),
    path("c/<int:pk>/details/", conversation.details, name="details"),
    path("c/<int:pk>/messages/", thread.messages, name="messages"),
    path("c/<int:pk>/fates/", thread.fates, name="fates"),
    path("c/<int:pk>/notes/", thread.notes, name="notes"),
    path("c/<int:pk>/read/", thread.read, name="read"),
    path("c/<int:pk>/canned/", thread.canned, name="canned"),
    path("c/<int:pk>/files/", thread.upload, name="upload"),
    path("files/<uuid:pk>/", thread.download, name="file"),
    path("c/<int:pk>/tags/", work.tags, name="tags"),
    path("c/<int:pk>/transfer/", work.transfer, name="transfer"),
    path("c/<int:pk>/callback/", work.callback, name="callback"),
    path("c/<int:pk>/later/", later.later, name="later"),
    path("c/<int:pk>/wake/", later.wake, name="wake"),
    path("follow-ups/", later.follow_up_list, name="follow-ups"),
    path("follow-ups/<int:pk>/cancel/", later.cancel, name="cancel-follow-up"),
    path("c/<int:pk>/close/", work.close, name="close"),
    path("c/<int:pk>/wrap-up/", work.wrap_up, name="wrap-up"),
]
