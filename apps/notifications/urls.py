from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("<str:token>/", views.preferences, name="preferences"),
    path("<str:token>/unsubscribe/", views.unsubscribe, name="unsubscribe"),
]
