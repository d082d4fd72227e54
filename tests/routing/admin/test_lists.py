"""All of routing in the admin: lists count their queries, and forged posts change nothing."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.routing.services import router
from apps.users.choices import Role
from tests.factories import hand_to, make_agent, make_queue, make_reason, make_user, put_in_line
from tests.routing.admin.pages import AGENTS, DECISIONS, LINE, QUEUES, as_, page

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("address", [QUEUES, AGENTS, LINE, DECISIONS, "/admin/routing/skill/"])
def test_lists_ask_as_often_for_many_as_for_few(queue, as_boss, address):
    def more():
        agent = make_agent(queue.team, skills={"cards": 3}, capacity=8, reason=make_reason())
        hand_to(put_in_line(queue), agent)
        make_queue(team=queue.team)
        put_in_line(queue)
        router.run(now=timezone.now())
        put_in_line(queue)

    def count():
        with CaptureQueriesContext(connection) as captured:
            page(as_boss, address)
        return len(captured)

    more()
    count()
    few = count()
    for _ in range(4):
        more()
    assert count() == few


@pytest.mark.parametrize(
    "address",
    [QUEUES, AGENTS, LINE, DECISIONS, "/admin/routing/skill/", "/admin/routing/notreadyreason/"],
)
def test_agents_have_no_way_into_the_admin(address):
    client = as_(make_user(Role.AGENT))
    assert client.get(address).status_code == 302
    assert client.post(address, {"action": "sign_out"}).status_code == 302


@pytest.mark.parametrize("address", [LINE, DECISIONS])
def test_z19_what_happened_is_not_written_by_hand(queue, as_admin, address):
    make_agent(queue.team, skills={"cards": 3})
    item = put_in_line(queue)
    router.run(now=timezone.now())
    row = item if address == LINE else item.decisions.get()
    assert as_admin.get(f"{address}add/").status_code == 403
    assert as_admin.post(f"{address}{row.pk}/change/", {"state": "done", "score": 1}).status_code == 403
    assert as_admin.post(f"{address}{row.pk}/delete/", {"post": "yes"}).status_code == 403
