"""The door for pages, admin and REST where several processes serve (see docs/architecture.md)."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "eml.settings")

application = get_wsgi_application()
