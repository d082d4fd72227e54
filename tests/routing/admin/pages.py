"""The admin's pages of routing, as tests ask for them and fill them in."""

from __future__ import annotations

import re

from django.test import Client

from apps.routing.services import policies

QUEUES, AGENTS, LINE = "/admin/routing/queue/", "/admin/routing/agent/", "/admin/routing/item/"
VERSIONS = "/admin/routing/policyversion/"
DECISIONS, CONVERSATIONS = "/admin/routing/decision/", "/admin/messaging/conversation/"


def as_(user):
    client = Client()
    client.force_login(user)
    return client


def told(answer):
    """The messages shown to the user."""
    return [str(message) for message in answer.context["messages"]]


def page(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer
    return answer.content.decode()


def post(client, address, **fields):
    return client.post(address, fields, follow=True)


def rows(prefix, rows, initial=0):
    form = {f"{prefix}-TOTAL_FORMS": len(rows), f"{prefix}-INITIAL_FORMS": initial}
    for number, row in enumerate(rows):
        form |= {f"{prefix}-{number}-{name}": value for name, value in row.items()}
    return form


def form_of(queue, *, steps=None, levels=None, routes=(), **changes):
    """What the page of this queue would post back, with some changes."""
    settings = {name: getattr(queue, name) for name in policies.SETTINGS if name not in ("team", "is_active")}
    stored_steps, stored_levels = list(queue.steps.all()), list(queue.levels.all())
    if steps is None:
        steps = [
            {
                "id": step.pk,
                "queue": queue.pk,
                "after": step.after,
                "needs": ", ".join(f"{need.key} {need.level}" for need in step.needs.all()),
            }
            for step in stored_steps
        ]
    if levels is None:
        levels = [
            {"id": level.pk, "queue": queue.pk, "name": level.name, "credit": level.credit}
            for level in stored_levels
        ]
    fields = {"team": queue.team_id, "is_active": "on", "seen": queue.version} | settings
    inlines = rows("steps", steps, len(stored_steps)) | rows("levels", levels, len(stored_levels))
    inlines |= rows("routes", list(routes), queue.routes.count())
    return {name: value for name, value in (fields | inlines | changes).items() if value is not None}


def change(client, queue, **fields):
    return client.post(f"{QUEUES}{queue.pk}/change/", form_of(queue, **fields), follow=True)


def errors_of(answer):
    text = answer.content.decode()
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def act(client, address, action, chosen, **fields):
    return client.post(
        address, {"action": action, "_selected_action": [row.pk for row in chosen]} | fields, follow=True
    )
