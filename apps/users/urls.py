from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("home/", views.home, name="home"),
    path("profile/", views.profile, name="profile"),
]
