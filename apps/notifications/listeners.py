"""Live frames: the bell of the console."""

from __future__ import annotations

from apps.core.events import listen
from apps.core.models import Event
from apps.core.realtime import Frame, publish, user_group

from .events import NoticePut


@listen(NoticePut)
def ring_bell(event: Event) -> None:
    publish(user_group(event.payload["user"]), {"type": Frame.NOTICE_PUT})
