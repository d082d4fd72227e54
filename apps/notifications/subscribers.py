"""What must follow. Each handler may run twice."""

from __future__ import annotations

from apps.core.events import subscribe
from apps.core.models import Event
from apps.routing.services import clock

from . import triggers
from .services import automations


@subscribe(*triggers.FACTS)
def follow_automations(event: Event) -> None:
    automations.follow(event, now=clock.now())
