"""An agent's day: how long he was in which state, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from apps.core.admin_base import site
from apps.users.permissions import user_of

from .. import selectors
from ..choices import State
from ..models import Agent
from ..services import clock
from ..working_time import Interval, WorkingTime, clock_face, read_day

# In the order in which a day is read: at work, between, away.
SHOWN = (
    (State.AVAILABLE, gettext_lazy("Available")),
    (State.OFFERED, gettext_lazy("Being rung")),
    (State.ON_CONTACT, gettext_lazy("On contact")),
    (State.WRAP_UP, gettext_lazy("Wrap-up")),
    (State.NOT_READY, gettext_lazy("Not ready")),
    (State.NOT_RESPONDING, gettext_lazy("Not responding")),
    (State.DISCONNECTED, gettext_lazy("Connection lost")),
)


@require_safe
def page(request: HttpRequest, agent_id: int) -> TemplateResponse:
    """In the viewer's time zone; a day that cannot be read is today."""
    visible = selectors.agents_visible_to(user_of(request)).select_related("user")
    agent = visible.filter(pk=agent_id).first()
    if agent is None:
        raise Http404
    now, zone = clock.now(), timezone.get_current_timezone()
    today = now.astimezone(zone).date()
    asked = read_day(request.GET.get("date", "")) or today
    shown = selectors.day_of(agent.pk, day=asked, zone=zone, now=now)
    return TemplateResponse(
        request,
        "admin/routing/agent/day.html",
        site.each_context(request) | _context(agent, shown, today=today),
    )


def _context(agent: Agent, shown: selectors.AgentDay, *, today: Any) -> dict[str, Any]:
    occupancy = shown.time.occupancy
    return {
        "title": _("%(name)s's day") % {"name": agent.user},
        "agent": agent,
        "date": shown.date,
        "yesterday": shown.date - timedelta(days=1),
        "tomorrow": shown.date + timedelta(days=1) if shown.date < today else None,
        "staffed": clock_face(shown.time.staffed),
        "occupancy": None if occupancy is None else f"{occupancy:.0%}",
        "rows": _rows(shown.time),
        "intervals": [_told(interval) for interval in shown.intervals],
    }


def _rows(time: WorkingTime) -> list[tuple[Any, str, str]]:
    """Each state with its part of the staffed time; the reasons of not being ready below it."""
    rows: list[tuple[Any, str, str]] = []
    for state, words in SHOWN:
        rows.append((words, clock_face(time.of(state)), _part(time.of(state), time.staffed)))
        if state == State.NOT_READY:
            rows += [
                (f"– {reason or _('no reason')}", clock_face(seconds), _part(seconds, time.staffed))
                for reason, seconds in time.by_reason.items()
            ]
    return rows


def _part(seconds: int, whole: int) -> str:
    return f"{seconds / whole:.0%}" if whole else "–"


def _told(interval: Interval) -> tuple[Any, Any, str, str]:
    state = State(interval.state).label
    words = f"{state}: {interval.reason}" if interval.reason else str(state)
    return interval.started_at, interval.ended_at, words, clock_face(interval.seconds)
