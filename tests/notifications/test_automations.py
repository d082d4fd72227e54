"""Automations: who is told of what, after which time, unless something settles it, and never twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.core import dispatch, incidents
from apps.core.events import SYSTEM
from apps.core.models import ErrorGroup, Event
from apps.messaging.services import conversations
from apps.notifications import triggers
from apps.notifications.choices import Audience, DeliveryState, Reason, Way
from apps.notifications.models import Automation, Delivery, Purpose, Template, TemplateVersion
from apps.notifications.services import automations, rendering
from apps.routing.choices import CallbackWay, Otherwise
from apps.routing.models import Agent, Item
from apps.routing.services import callbacks
from apps.users.choices import Role
from tests.factories import (
    hand_to,
    make_agent,
    make_conversation,
    make_queue,
    make_team,
    make_user,
    put_in_line,
)

pytestmark = pytest.mark.django_db

RATED, CLOSED, ENQUEUED, MISSED = (
    "messaging.conversation.rated",
    "messaging.conversation.closed",
    "routing.item.enqueued",
    "routing.callback.missed",
)


def make_template(slug: str = "told") -> Template:
    purpose, _ = Purpose.objects.get_or_create(slug="service", defaults={"name": "Service"})
    template = Template.objects.create(slug=slug, name=slug, purpose=purpose, version=1)
    TemplateVersion.objects.create(template=template, number=1, texts={})
    return template


def make_automation(event_type: str, audience: Audience = Audience.SUPERVISORS, **fields) -> Automation:
    fields = {"name": event_type, "ways": [Way.EMAIL]} | fields
    return Automation.objects.create(
        event_type=event_type, audience=audience, template=make_template(), **fields
    )


def made_by(automation: Automation):
    return Delivery.objects.filter(cause=f"automation:{automation.pk}").order_by("id")


def rated(rating: int):
    """A conversation of a team with one supervisor, rated by its customer."""
    conversation = make_conversation()
    supervisor = make_user(Role.SUPERVISOR, [conversation.team])
    make_user(Role.SUPERVISOR, [make_team()])
    conversations.close(conversation.pk, by=SYSTEM, now=timezone.now())
    conversations.rate(conversation.pk, rating=rating, comment="", by=conversation.customer)
    return conversation, supervisor


def test_low_rating_tells_the_supervisors_of_its_team() -> None:
    automation = make_automation(RATED, conditions={"rating__lte": 2})
    conversation, supervisor = rated(2)
    dispatch.drain()
    delivery = made_by(automation).get()
    assert (delivery.user, delivery.way) == (supervisor, Way.EMAIL)
    assert delivery.context["conversation"] == conversation.pk


def test_a_good_rating_tells_nobody() -> None:
    automation = make_automation(RATED, conditions={"rating__lte": 2})
    rated(3)
    dispatch.drain()
    assert not made_by(automation).exists()


def test_an_event_handled_twice_tells_once() -> None:
    automation = make_automation(RATED)
    rated(1)
    dispatch.drain()
    automations.follow(Event.objects.get(type=RATED), now=timezone.now())
    assert made_by(automation).count() == 1


def test_a_long_wait_is_told_after_its_time_unless_an_agent_has_it() -> None:
    automation = make_automation(
        ENQUEUED, delay_seconds=300, unless=["messaging.conversation.assigned", CLOSED]
    )
    queue = make_queue()
    make_user(Role.SUPERVISOR, [queue.team])
    lucky, unlucky = put_in_line(queue), put_in_line(queue)
    dispatch.drain()
    hand_to(lucky, make_agent(queue.team))
    dispatch.drain()
    found = {row.context["conversation"]: row for row in made_by(automation)}
    assert found[lucky.conversation_id].state == DeliveryState.CANCELLED
    assert found[lucky.conversation_id].reason == Reason.NOT_NEEDED
    waiting = found[unlucky.conversation_id]
    assert waiting.state == DeliveryState.DUE
    begun = Event.objects.get(pk=waiting.context["event"]).at
    assert waiting.due_at == begun + timedelta(seconds=300)


def test_the_customer_is_told_at_the_end_but_not_in_a_console() -> None:
    automation = make_automation(CLOSED, Audience.CUSTOMER, ways=[Way.EMAIL, Way.IN_APP])
    conversation = make_conversation()
    conversations.close(conversation.pk, by=SYSTEM, now=timezone.now())
    dispatch.drain()
    delivery = made_by(automation).get()
    assert (delivery.customer, delivery.way) == (conversation.customer, Way.EMAIL)


def test_an_incident_tells_who_is_on_duty_again_and_again_until_it_is_acknowledged() -> None:
    automation = make_automation(
        "core.incident.opened",
        Audience.ON_DUTY,
        ways=[Way.IN_APP, Way.EMAIL],
        repeat_seconds=900,
        most_repeats=3,
        unless=["core.incident.acknowledged"],
    )
    here, _away = make_user(Role.SUPERVISOR), make_user(Role.ADMIN)
    make_agent(make_team(), user=here)
    now = timezone.now()
    incidents.keep(_seen(now))
    dispatch.drain()
    rows = list(made_by(automation))
    assert {row.user for row in rows} == {here}
    assert len(rows) == 2 * 4
    Delivery.objects.filter(pk__in=[rows[0].pk, rows[1].pk]).update(state=DeliveryState.SENT)
    incidents.acknowledge(ErrorGroup.objects.get(), by=here, now=now)
    dispatch.drain()
    assert not made_by(automation).filter(state=DeliveryState.DUE).exists()
    assert made_by(automation).filter(state=DeliveryState.SENT).count() == 2


def _seen(now):
    return incidents.Seen("CRITICAL", "x", "broken", "here", True, 1, now, now)


def test_an_alert_says_what_failed_and_where_and_leads_there() -> None:
    make_user(Role.ADMIN)
    incidents.keep(_seen(timezone.now()))
    dispatch.drain()
    ready_made = Automation.objects.get(name="Critical errors")
    rows = list(made_by(ready_made))
    assert {row.way for row in rows} == {Way.IN_APP, Way.EMAIL}
    message = rendering.render([row for row in rows if row.way == Way.IN_APP][:1])[rows[0].pk]
    assert (message.subject, message.text) == ("broken", "here")
    assert message.extra["link"] == f"/admin/core/errorgroup/{ErrorGroup.objects.get().pk}/change/"


def test_ready_made_automations_can_work() -> None:
    for row in Automation.objects.all():
        assert triggers.problems(row.event_type, row.conditions, row.unless) == []
    assert Automation.objects.filter(is_active=True).get().name == "Critical errors"


def test_everybody_who_leads_is_told_when_nobody_is_on_duty() -> None:
    automation = make_automation("core.incident.opened", Audience.ON_DUTY)
    leaders = {make_user(Role.SUPERVISOR), make_user(Role.ADMIN)}
    make_agent(make_team())
    assert Agent.objects.exists()
    incidents.keep(_seen(timezone.now()))
    dispatch.drain()
    assert {row.user for row in made_by(automation)} == leaders


def called_back(queue):
    """A conversation whose customer asked for a call, in the hands of an agent."""
    item = put_in_line(queue, waited=60)
    conversation, now = item.conversation, timezone.now()
    callbacks.request(
        conversation.pk, way=CallbackWay.CALL, phone="+4930901820", by=conversation.customer, now=now
    )
    agent = make_agent(queue.team)
    hand_to(item, agent)
    return conversation, agent.user


def test_supervisors_hear_of_a_customer_who_was_not_reached_at_the_last_try() -> None:
    automation = Automation.objects.get(name="Missed callback")
    Automation.objects.filter(pk=automation.pk).update(is_active=True)
    queue = make_queue(longest_wait_seconds=0, when_full=Otherwise.CALLBACK, callback_tries=1)
    supervisor = make_user(Role.SUPERVISOR, [queue.team])
    conversation, agent = called_back(queue)
    callbacks.not_reached(conversation.pk, by=agent, now=timezone.now())
    dispatch.drain()
    delivery = made_by(automation).get()
    assert delivery.user == supervisor
    message = rendering.render([delivery])[delivery.pk]
    assert message.subject == f"{conversation.customer.name} was not reached"
    assert message.text == f"{agent.name} called back and nobody answered."
    assert message.extra["link"] == f"/console/c/{conversation.pk}/"


def test_reaching_the_customer_settles_that_he_was_missed() -> None:
    automation = make_automation(MISSED, delay_seconds=3600, unless=["routing.callback.reached"])
    queue = make_queue(longest_wait_seconds=0, when_full=Otherwise.CALLBACK, callback_tries=2)
    make_user(Role.SUPERVISOR, [queue.team])
    conversation, agent = called_back(queue)
    callbacks.not_reached(conversation.pk, by=agent, now=timezone.now())
    dispatch.drain()
    assert made_by(automation).get().state == DeliveryState.DUE
    callbacks.wake_due(now=timezone.now() + timedelta(days=1))
    hand_to(Item.objects.get(conversation=conversation), Agent.objects.get(user=agent))
    callbacks.reached(conversation.pk, by=agent, now=timezone.now())
    dispatch.drain()
    assert made_by(automation).get().state == DeliveryState.CANCELLED


def test_what_happened_long_ago_is_told_to_nobody() -> None:
    automation = make_automation(RATED)
    rated(1)
    automations.follow(Event.objects.get(type=RATED), now=timezone.now() + automations.STALE * 2)
    assert not made_by(automation).exists()


def test_a_switched_off_automation_or_template_tells_nothing() -> None:
    automation = make_automation(RATED, is_active=False)
    Template.objects.update(is_active=False)
    other = Automation.objects.create(
        name="other",
        event_type=RATED,
        audience=Audience.ADMINS,
        ways=[Way.EMAIL],
        template=automation.template,
    )
    make_user(Role.ADMIN)
    rated(1)
    dispatch.drain()
    assert not made_by(automation).exists()
    assert not made_by(other).exists()


@pytest.mark.parametrize(
    ("conditions", "payload", "is_so"),
    [
        ({}, {"rating": 5}, True),
        ({"rating__lte": 2}, {"rating": 2}, True),
        ({"rating__gte": 3}, {"rating": 2}, False),
        ({"reason": "resolved"}, {"reason": "resolved"}, True),
        ({"reason__ne": "resolved"}, {"reason": "inactive"}, True),
        ({"queue__eq": 7}, {"queue": 7}, True),
        ({"queue__eq": 7}, {}, False),
        ({"rating__lte": "two"}, {"rating": 1}, False),
        ({"rating__lte": 2}, {"rating": None}, False),
        ({"rating__sounds_like": 2}, {"rating": 2}, False),
        ({"is_last": True}, {"is_last": True}, True),
        ({"is_last": True}, {"is_last": False}, False),
        ({"is_last": "Yes"}, {"is_last": True}, True),
        ({"is_last": 0}, {"is_last": False}, True),
        ({"is_last__ne": "yes"}, {"is_last": False}, True),
        ({"is_last": "perhaps"}, {"is_last": False}, False),
    ],
)
def test_conditions_are_compared_as_said(conditions, payload, is_so) -> None:
    assert triggers.holds(conditions, payload) is is_so


@pytest.mark.parametrize(
    ("event_type", "conditions", "unless", "words"),
    [
        ("messaging.message.sent", {}, [], "listed events"),
        (RATED, {"password": 1}, [], "cannot be compared"),
        (RATED, {"rating__regex": "."}, [], "cannot be compared"),
        (RATED, [], [], "names with values"),
        (RATED, {}, ["users.user.created"], "from the list"),
    ],
)
def test_what_cannot_work_is_said_when_it_is_saved(event_type, conditions, unless, words) -> None:
    (problem,) = triggers.problems(event_type, conditions, unless)
    assert words in problem


def test_every_trigger_can_be_described() -> None:
    for name, trigger in triggers.TRIGGERS.items():
        assert triggers.problems(name, {}, []) == []
        assert str(trigger.title)
        assert set(trigger.fields) <= set(trigger.fact.__dataclass_fields__)


# The form


@pytest.fixture
def boss(client, settings):
    settings.REQUIRE_MFA = False
    user = make_user(Role.ADMIN)
    client.force_login(user)
    return user


def saved(client, pk: int | None = None, **fields) -> Any:
    """The answer's form when it was refused, else None."""
    page = "change" if pk else "add"
    data = {
        "name": "Somebody waits",
        "is_active": "on",
        "event_type": ENQUEUED,
        "condition_field": "",
        "condition_how": "eq",
        "condition_value": "",
        "delay_seconds": "5",
        "template": (Template.objects.filter(slug="told").first() or make_template()).pk,
        "audience": Audience.SUPERVISORS,
        "ways": [Way.EMAIL],
        "repeat_seconds": "0",
        "most_repeats": "0",
    }
    answer = client.post(
        reverse(f"admin:notifications_automation_{page}", args=[pk] if pk else []), data | fields
    )
    return answer.context["adminform"].form if answer.status_code == 200 else None


def test_times_are_written_in_minutes_and_rows_by_name(client, boss) -> None:
    queue = make_queue(name="Sales")
    repeats = {"repeat_seconds": "1.5", "most_repeats": "2"}
    assert saved(client, condition_field="queue", condition_value="sales", **repeats) is None
    row = Automation.objects.get(name="Somebody waits")
    assert (row.delay_seconds, row.repeat_seconds) == (300, 90)
    assert row.conditions == {"queue__eq": queue.pk}
    page = client.get(reverse("admin:notifications_automation_change", args=[row.pk]))
    form = page.context["adminform"].form
    assert (form["delay_seconds"].value(), form["repeat_seconds"].value()) == ("5", "1.5")
    assert form["condition_value"].value() == "Sales"
    assert saved(client, row.pk, condition_field="queue", condition_value=str(queue.pk), **repeats) is None
    row.refresh_from_db()
    assert (row.delay_seconds, row.repeat_seconds, row.conditions) == (300, 90, {"queue__eq": queue.pk})


@pytest.mark.parametrize(
    ("fields", "where", "said"),
    [
        ({"condition_field": "rating", "condition_value": "2"}, "condition_field", "compared: queue."),
        (
            {"condition_field": "queue", "condition_value": "nowhere"},
            "condition_value",
            "none with this name",
        ),
        ({"condition_field": "queue"}, "condition_value", "none with this name"),
        (
            {"event_type": CLOSED, "condition_field": "reason", "condition_value": "bored"},
            "condition_value",
            "Closed by an agent, Ended by the customer",
        ),
        ({"event_type": RATED, "condition_field": "rating"}, "condition_value", "compared with"),
        ({"event_type": "routing.offer.lapsed", "condition_field": "rating"}, "condition_field", "Nothing"),
        ({"delay_seconds": "-1"}, "delay_seconds", "greater than or equal to 0"),
        ({"delay_seconds": "1e9"}, "delay_seconds", "less than or equal to"),
        ({"delay_seconds": "nan"}, "delay_seconds", "a number"),
        ({"delay_seconds": ""}, "delay_seconds", "required"),
    ],
)
def test_the_form_says_in_words_what_is_wrong(client, boss, fields, where, said) -> None:
    form = saved(client, **fields)
    assert said in " ".join(form.errors[where])
    assert form.errors.keys() == {where}


def test_codes_are_written_as_words(client, boss) -> None:
    closed = {"event_type": CLOSED, "condition_field": "reason"}
    assert saved(client, condition_value="customer left before an answer", **closed) is None
    row = Automation.objects.get(name="Somebody waits")
    assert row.conditions == {"reason__eq": "abandoned"}
    page = client.get(reverse("admin:notifications_automation_change", args=[row.pk]))
    assert page.context["adminform"].form["condition_value"].value() == "Customer left before an answer"
