"""The admin's first page: today's figures in words, charts and a table. Says nothing that `selectors` did not count."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.core import visibility
from apps.core.models import Handling
from apps.routing.choices import State
from apps.users.models import User

from . import metrics, selectors
from .selectors import QueueToday, Today

NOTHING = "–"
BUSY = (State.ON_CONTACT, State.OFFERED, State.WRAP_UP)
AWAY = (State.NOT_READY, State.NOT_RESPONDING, State.DISCONNECTED)
# From ready to gone; colours are the style sheet's.
SHOWN_STATES = (
    State.AVAILABLE,
    State.OFFERED,
    State.ON_CONTACT,
    State.WRAP_UP,
    State.NOT_READY,
    State.NOT_RESPONDING,
    State.DISCONNECTED,
)
MOST_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class Card:
    """One figure: its name, its value in words, one line below, and how it is measured."""

    name: str | Promise
    value: str
    note: str
    how: str | Promise
    tone: str = ""


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's hook for the first page."""
    return context | {"title": _("Overview")} | overview(request)


def overview(request: HttpRequest) -> dict[str, Any]:
    """For signed-in users: both doors have looked."""
    user = cast(User, request.user)
    figures = selectors.today(user, now=timezone.now())
    return {
        "cards": cards(figures),
        "queue_rows": [queue_row(row, figures) for row in figures.queues],
        "hours_chart": json.dumps(hours_chart(figures)),
        "states_chart": json.dumps(states_chart(figures)),
        "has_arrivals": bool(figures.tally.offered),
        "has_agents": bool(figures.states),
        "signed_out": figures.signed_out,
        "measures": list(metrics.CATALOGUE.values()),
        "measured_at": figures.now,
        "time_zone": user.time_zone,
        "problems": problems(request),
    }


def cards(figures: Today) -> list[Card]:
    return [*_line_cards(figures), *_day_cards(figures)]


def _line_cards(figures: Today) -> list[Card]:
    line, longest = figures.line, metrics.longest_wait(figures.line, now=figures.now)
    states = metrics.agents_by_state(figures.states)
    left = ngettext("%(n)s left message", "%(n)s left messages", line.left_messages) % {
        "n": line.left_messages
    }
    available, busy = states.get(State.AVAILABLE, 0), sum(states.get(state, 0) for state in BUSY)
    return [
        _card(
            "waiting_now", str(metrics.waiting_now(line)), left if line.left_messages else _("in line now")
        ),
        _card("longest_wait", clock(longest), _("of those in line now")),
        Card(
            _("Agents available"),
            str(available),
            _("%(busy)s busy, %(all)s signed in") % {"busy": busy, "all": len(figures.states)},
            metrics.CATALOGUE["agents_by_state"].formula,
            "bad" if line.waiting and not available else "",
        ),
        _card("speed_of_answer", clock(metrics.speed_of_answer(figures.tally)), _("of today's answered")),
    ]


def _day_cards(figures: Today) -> list[Card]:
    tally, handling = figures.tally, figures.handling
    lost = metrics.abandonment(tally)
    short = _("%(percent)s, %(short)s of them short") % {
        "percent": percent(lost),
        "short": metrics.short_abandons(tally),
    }
    return [
        _card("offered", str(metrics.offered(tally)), _("entered the line today")),
        _card(
            "answered",
            str(metrics.answered(tally)),
            _("handle time %(aht)s") % {"aht": clock(metrics.handle_time(handling))},
        ),
        _card("abandoned", str(metrics.abandoned(tally)), short if tally.abandoned else _("left unanswered")),
        _card(
            "service_level",
            percent(metrics.service_level(tally)),
            _("every abandon a miss"),
            name=_("Service level"),
        ),
    ]


def _card(key: str, value: str, note: str, *, name: str = "") -> Card:
    measure = metrics.CATALOGUE[key]
    return Card(name or measure.name, value, note, measure.formula)


def queue_row(row: QueueToday, figures: Today) -> dict[str, Any]:
    level, target = metrics.service_level(row.tally), row.queue.service_target_percent
    return {
        "name": row.queue.name,
        "is_active": row.queue.is_active,
        "link": _link("admin:routing_queue_change", row.queue.pk),
        "waiting": row.line.waiting,
        "left_messages": row.line.left_messages,
        "longest_wait": clock(metrics.longest_wait(row.line, now=figures.now)),
        "offered": row.tally.offered,
        "answered": row.tally.answered,
        "abandoned": row.tally.abandoned,
        "service_level": percent(level),
        "target": _("%(percent)s %% in %(seconds)s s")
        % {"percent": target, "seconds": row.queue.service_target_seconds},
        "tone": "" if level is None else "good" if level >= target else "bad",
        "available": row.agents.get(State.AVAILABLE, 0),
        "busy": sum(row.agents.get(state, 0) for state in BUSY),
        "away": sum(row.agents.get(state, 0) for state in AWAY),
    }


def hours_chart(figures: Today) -> dict[str, Any]:
    """Bars by the hour of arrival, from the first to the last hour of the day, so the picture keeps its shape."""
    series = (
        (_("Offered"), "offered", metrics.offered),
        (_("Answered"), "answered", metrics.answered),
        (_("Abandoned"), "abandoned", metrics.abandoned),
    )
    return {
        "labels": [date_format(hour, "H:i") for hour in figures.day.hours],
        "datasets": [
            {"label": label, "tone": tone, "data": [measure(tally) for tally in figures.hours]}
            for label, tone, measure in series
        ],
    }


def states_chart(figures: Today) -> dict[str, Any]:
    counts = metrics.agents_by_state(figures.states)
    return {
        "labels": [str(state.label) for state in SHOWN_STATES],
        "datasets": [
            {
                "label": _("Agents"),
                "tones": [state.value for state in SHOWN_STATES],
                "data": [counts.get(state, 0) for state in SHOWN_STATES],
            }
        ],
    }


def problems(request: HttpRequest) -> dict[str, Any] | None:
    """Follow-ups that failed for good; None for who may not see them."""
    if not request.user.has_perm("core.view_handling"):
        return None
    dead = (
        visibility.visible(Handling.objects.dead(), to=request.user).select_related("event").order_by("-id")
    )
    latest = list(dead[:MOST_PROBLEMS])
    return {
        "count": dead.count() if len(latest) == MOST_PROBLEMS else len(latest),
        "latest": latest,
        "link": f"{reverse('admin:core_handling_changelist')}?state=dead",
    }


def clock(seconds: float | None) -> str:
    """0:07, 12:05, 1:02:09."""
    if seconds is None:
        return NOTHING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def percent(value: float | None) -> str:
    return NOTHING if value is None else f"{number_format(value, 1)} %"


def _link(name: str, pk: int) -> str:
    try:
        return reverse(name, args=[pk])
    except NoReverseMatch:
        return ""
