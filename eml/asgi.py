"""The door for websockets, and for everything in the embedded profile."""

from __future__ import annotations

import os
from typing import Any, cast

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "eml.settings")
http = get_asgi_application()

# Only now may models be imported.
from django.urls import path, re_path  # noqa: E402

from apps.console.consumers import DeskSocket  # noqa: E402
from apps.core.origins import SameOriginOnly, refuse  # noqa: E402
from apps.messaging.consumers import ChatSocket  # noqa: E402

# Applications, where the types expect views.
sockets = [
    path("ws/chat/", cast(Any, SameOriginOnly(ChatSocket.as_asgi))),
    path(
        "ws/desk/", cast(Any, SameOriginOnly(AuthMiddlewareStack(DeskSocket.as_asgi), may_lack_origin=True))
    ),
    # Anybody may ask for any path: an answer, not an exception with a traceback in the log.
    re_path(r"", cast(Any, refuse)),
]


application = ProtocolTypeRouter({"http": http, "websocket": URLRouter(sockets)})
