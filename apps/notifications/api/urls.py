from __future__ import annotations

from django.urls import path

from . import consents

urlpatterns = [
    path("customers/<int:pk>/consents/", consents.ConsentsView.as_view(), name="customer-consents"),
]
