"""The notification centre: filled once by deliveries, shown in the console, read by its user alone."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.core.models import Event
from apps.notifications import selectors
from apps.notifications.gateways import KINDS
from apps.notifications.models import Notice
from apps.notifications.services import notices
from tests.factories import make_notice, make_user

pytestmark = pytest.mark.django_db


def test_a_delivery_sent_twice_is_one_notice_and_one_ring() -> None:
    user = make_user()
    gateway, outgoing = KINDS["in_app"]({}, {}), make_notice(user)
    for _ in range(2):
        (outcome,) = gateway.send([outgoing])
        assert outcome.error is None
    notice = Notice.objects.get()
    assert (notice.user, notice.title, notice.body) == (user, "Call Ada back", "She asked for it.")
    assert Event.objects.filter(type="notifications.notice.put", stream=f"user:{user.pk}").count() == 1


def test_a_text_without_a_subject_is_the_title() -> None:
    user = make_user()
    notices.put_many([make_notice(user, subject="", text="Lunch is over")])
    notice = Notice.objects.get()
    assert (notice.title, notice.body) == ("Lunch is over", "")


def test_the_console_shows_them_and_counts_what_is_unread(client) -> None:
    user, other = make_user(), make_user()
    notices.put_many([make_notice(user), make_notice(other, subject="Not yours")])
    client.force_login(user)
    page = client.get(reverse("console:notices")).content.decode()
    assert "Call Ada back" in page
    assert "Not yours" not in page
    assert "1 unread" in page


def test_following_one_reads_it_and_leads_to_what_it_is_about(client) -> None:
    user = make_user()
    notices.put_many([make_notice(user, extra={"link": "/console/c/7/"}), make_notice(user)])
    client.force_login(user)
    notice = selectors.notices_of(user).last()
    answer = client.post(reverse("console:notice", args=[notice.pk]))
    assert answer["Location"] == "/console/c/7/"
    assert selectors.unread_notices(user) == 1


def test_somebody_elses_notice_does_not_exist(client) -> None:
    notices.put_many([make_notice(make_user())])
    client.force_login(make_user())
    assert client.post(reverse("console:notice", args=[Notice.objects.get().pk])).status_code == 404
    assert Notice.objects.get().read_at is None


def test_all_are_read_at_once(client) -> None:
    user = make_user()
    notices.put_many([make_notice(user), make_notice(user)])
    client.force_login(user)
    page = client.post(reverse("console:notices"), headers={"HX-Request": "true"}).content.decode()
    assert "0 unread" in page
    assert selectors.unread_notices(user) == 0
