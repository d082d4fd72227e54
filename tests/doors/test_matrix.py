"""Z01: every address × verb × actor × {own team's object, another team's, one that is not there}; also Z03 and Z19.

The actors of the promise without a door yet are CB (customers do not sign in) and TK (there are no API tokens with
scopes): their columns come with their doors. What is expected is a table, in `matrix`; an address without a row fails.
"""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.http import HttpResponse
from django.template.response import SimpleTemplateResponse
from unfold.sites import UnfoldAdminSite

from . import admin_matrix, matrix
from .matrix import SIGN_IN, VERBS
from .payloads import payload
from .rows import Rows
from .walk import Address, addresses
from .world import Actor, Whose, World

pytestmark = pytest.mark.django_db

# What a parameter of an address stands for, by the route or its beginning.
OBJECTS = {
    "pk": {
        "user-": "user", "team-": "team", "customer-": "customer", "conversation-": "conversation",
        "admin:notifications_templateversion_": "template_version",
        "admin:notifications_delivery_customer": "customer",
        "admin:core_errorgroup_": "error",
        "admin:notifications_gateway_": "gateway_row", "admin:messaging_arrival_": "arrival",
        "admin:notifications_campaign_": "campaign", "campaign-": "campaign",
        "queue-": "queue", "not-ready-reason-": "reason", "offer-": "offer", "callback-": "callback",
        "reminder-": "reminder", "follow-up-": "follow_up", "appointment-": "appointment",
        "console:accept": "offer", "console:decline": "offer", "console:file": "attachment",
        "console:notice": "notice", "console:cancel-follow-up": "follow_up", "console:": "conversation",
    },
    "user_id": {"": "user"},
    "agent": {"": "agent"},
    "contact_id": {"": "contact"},
    "attachment": {"": "attachment"},
    "inbox": {"": "inbox"},
    "slug": {"": "inbox"},
    "token": {"": "wishes"},
}  # fmt: skip
# Parameters that stand for nothing we have.
FIXED = {
    "app_label": "users",
    "gateway": "999999999",
    "what": "inbound",
    "url": "nothing/here",
    "content_type_id": "1",
    "key": "abc",
    "uidb36": "abc",
    "provider_id": "nobody",
}


def value_of(address: Address, name: str, keys: Any) -> Any:
    if known := admin_matrix.model_and_page(address.route):
        return keys[f"{known[0].key}_history" if name == "_1" else known[0].key]
    if name in FIXED:
        return FIXED[name]
    if name == "object_id":
        return keys["conversation"] if address.route.startswith("admin:messaging_conversation_") else "1"
    meanings = OBJECTS[name]
    return keys[next(key for start, key in meanings.items() if address.route.startswith(start))]


def expected(address: Address, verb: str, actor: Actor, whose: Whose) -> str:
    if known := admin_matrix.model_and_page(address.route):
        return admin_matrix.expected(*known, verb, actor, whose)
    return matrix.ROWS[address.route].expected(verb, actor, whose)


def objects_to_ask_for(address: Address, verb: str, actor: Actor) -> list[Whose]:
    """Whoever is not let in, and verbs that are not known, are refused before anything is looked up."""
    is_known = admin_matrix.model_and_page(address.route) is not None
    row = matrix.ROWS.get(address.route)
    named = verb in ("GET", "POST") if is_known else row is not None and verb in row.verbs
    if not named or all(name in FIXED for name in address.parameters):
        return [Whose.OWN]
    return list(Whose)


def ask(world: World, address: Address, verb: str, actor: Actor, whose: Whose) -> HttpResponse:
    client, keys = world.clients[actor], world.keys(actor, whose)
    values = {name: value_of(address, name, keys) for name in address.parameters}
    sent = payload(address.route, verb, world.keys(actor, Whose.OWN))
    cookies, client.cookies = client.cookies, SimpleCookie(client.cookies)
    try:
        return client.generic(verb, address.to(values), sent.body, sent.content_type, headers=sent.headers)
    finally:
        client.cookies = cookies  # signing out is taken back like everything else


def told(answer: HttpResponse) -> str:
    """The answer in the words of the table."""
    where = answer.headers.get("Location", "")
    if where.startswith(("/account/login/", "/admin/login/")):
        return SIGN_IN
    return (
        admin_matrix.NOT_THERE
        if answer.status_code == 302 and where == "/admin/"
        else str(answer.status_code)
    )


# Looking at one's addresses notes down the user's own (allauth); looking at one's presence makes him an agent.
WRITING_READS = {"account_email", "presence"}

# Django's own names of places that the admin's answers lead to.
ALIKE = {("302", admin_matrix.NOT_THERE), ("302", SIGN_IN)}


def is_to_change_nothing(address: Address, verb: str, answer: HttpResponse) -> bool:
    if address.route in WRITING_READS:
        return False
    is_refused = answer.status_code >= 400 or told(answer) == SIGN_IN
    return verb == "GET" or (is_refused and address.route != "console:sign-out")


@pytest.fixture
def without_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of the time goes into drawing the admin's pages and all metrics; rights are decided before."""
    monkeypatch.setattr("prometheus_client.generate_latest", lambda registry: b"")
    monkeypatch.setattr(SimpleTemplateResponse, "rendered_content", property(lambda self: ""))
    # The menu beside each page, and old versions, which are drawn at once.
    monkeypatch.setattr(UnfoldAdminSite, "each_context", lambda site, request: {})
    monkeypatch.setattr("simple_history.admin.render", lambda *what, **how: HttpResponse())


def test_z01_every_address_has_a_row_and_every_row_an_address() -> None:
    routes = {address.route for address in addresses()}
    of_models = {route for route in routes if admin_matrix.model_and_page(route)}
    assert routes - of_models == matrix.ROWS.keys()
    named = {admin_matrix.model_and_page(route)[0].key for route in of_models}
    assert named == {model.key for model in matrix.MODELS.values()}


def once_is_enough(actor: Actor, verbs: tuple[str, ...]) -> bool:
    """The rules know no database. What they let through asks it, so those who see most look on each kind of it."""
    return actor not in (Actor.SX, Actor.AD) or verbs != VERBS[:1]


EVERYBODY_WITH_EVERY_VERB = [
    pytest.param(
        actor,
        verbs,
        marks=pytest.mark.embedded if once_is_enough(actor, verbs) else (),
        id=f"{actor}-{' '.join(verbs)}",
    )
    for actor in Actor
    for verbs in (VERBS[:1], VERBS[1:2], VERBS[2:])
]


# Every address with every verb: together they take longer than any other test.
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("actor", "verbs"), EVERYBODY_WITH_EVERY_VERB)
def test_z01_every_door_for(
    actor: Actor, verbs: tuple[str, ...], world: World, without_rendering: None
) -> None:
    world.renew(actor)
    wrong, rows = [], Rows()
    for address in addresses():
        for verb in verbs:
            for whose in objects_to_ask_for(address, verb, actor):
                with rows.taken_back():
                    answer = ask(world, address, verb, actor, whose)
                    is_harmed = is_to_change_nothing(address, verb, answer) and rows.have_changed()
                said, due = told(answer), expected(address, verb, actor, whose)
                if said != due and (due, said) not in ALIKE:
                    wrong.append(f"{verb} {address.route} ({whose}): {said} instead of {due}")
                if is_harmed:
                    wrong.append(f"{verb} {address.route} ({whose}): {said}, and yet something was changed")
    assert not wrong, "\n".join(wrong)
