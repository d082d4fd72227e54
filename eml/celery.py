"""The Celery application: workers take their tasks from here, beat its schedule."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "eml.settings")

app = Celery("eml")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
