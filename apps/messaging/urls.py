from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("<slug:slug>/", views.chat_page, name="chat"),
    path("<slug:slug>/frame/", views.chat_frame, name="chat-frame"),
    path("<slug:slug>/widget.js", views.widget_script, name="chat-widget"),
]
