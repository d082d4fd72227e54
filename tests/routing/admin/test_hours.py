"""Opening hours and callbacks in the admin: what is wrong is said at its field, and everything is counted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.routing import hours
from apps.routing.admin.hours import in_words
from apps.routing.choices import Otherwise
from apps.routing.estimate import Error, Table
from apps.routing.models import Calendar, Callback, Queue, WaitTable
from apps.routing.services import policies
from apps.users.choices import Role
from tests.factories import make_calendar, make_queue, make_user, put_in_line
from tests.routing.admin.pages import form_of

pytestmark = pytest.mark.django_db
CALENDARS, CALLBACKS, QUEUES = (f"/admin/routing/{name}/" for name in ("calendar", "callback", "queue"))


@pytest.fixture
def queue():
    return make_queue()


@pytest.fixture
def client(queue):
    client = Client()
    client.force_login(make_user(Role.SUPERVISOR, [queue.team]))
    return client


def save(client, address=f"{CALENDARS}add/", days=(), **fields):
    """The page posted with these fields; the answer, or the row that was saved."""
    rows = {f"days-{n}-{name}": value for n, day in enumerate(days) for name, value in day.items()}
    form = {"name": "Office", "zone": "Europe/Berlin", "days-TOTAL_FORMS": len(days), "days-INITIAL_FORMS": 0}
    answer = client.post(address, form | rows | fields)
    return answer if answer.status_code != 302 else Calendar.objects.get(name=fields.get("name", "Office"))


def errors_of(answer):
    page = answer.context["adminform"].form.errors
    (formset,) = (inline.formset for inline in answer.context["inline_admin_formsets"])
    return dict(page), list(formset.non_form_errors())


def test_a_week_holidays_and_special_days_are_saved_with_their_history(client):
    day = {"date": "2026-12-24", "name": "Christmas Eve", "ranges": "08:00-12:00"}
    saved = save(client, monday="8:00-12:30, 13:30-18:00", country="DE", subdivision="BY", days=[day])
    assert (saved.monday, saved.country, saved.days.get().name) == (
        "8:00-12:30, 13:30-18:00",
        "DE",
        "Christmas Eve",
    )
    assert (saved.history.count(), saved.days.get().history.count()) == (1, 1)


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({"monday": "morning"}, "monday", "Write hours like 08:00-12:30"),
        ({"tuesday": "08:00-12:00, 11:00-13:00"}, "tuesday", "Tuesday: 08:00–12:00 and 11:00–13:00 overlap."),
        ({"friday": "22:00-02:00"}, "friday", "Across midnight takes two ranges"),
        ({"monday": "08:00-12:00", "subdivision": "BY"}, "subdivision", "Choose the country of the region"),
        (
            {"monday": "08:00-12:00", "country": "DE", "subdivision": "XX"},
            "subdivision",
            "DE has no region “XX”",
        ),
        ({"monday": "08:00-12:00", "zone": "Atlantis"}, "zone", "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(client, fields, field, sentence):
    page, _ = errors_of(save(client, **fields))
    assert list(page) == [field]
    assert sentence in str(page[field])
    assert not Calendar.objects.exists()


def test_hours_that_never_open_are_refused_but_special_days_alone_are_hours(client):
    page, days = errors_of(save(client))
    assert (page, days) == ({}, ["No day has opening hours, so the queue would never open."])
    assert (
        save(client, days=[{"date": "2026-12-24", "name": "Sale", "ranges": "08:00-12:00"}]).days.count() == 1
    )


def test_special_days_are_looked_at_too(client):
    day = {"date": "2026-12-24", "name": "Eve", "ranges": "12:00-08:00"}
    _, days = errors_of(save(client, monday="08:00-12:00", days=[day]))
    assert "2026-12-24 Eve: 12:00–08:00 ends before it begins." in days[0]


def test_hours_of_a_queue_are_not_deleted(client, queue):
    queue.calendar = make_calendar(every="08:00-12:00")
    queue.save()
    client.post(f"{CALENDARS}{queue.calendar.pk}/delete/", {"post": "yes"})
    assert Calendar.objects.count() == 1


def test_lists_cost_the_same_however_long(client, queue):
    counts = []
    for _ in range(2):
        for _n in range(3):
            calendar = make_calendar(every="08:00-12:00", country="DE")
            make_queue(team=queue.team, calendar=calendar)
            Callback.objects.create(conversation=put_in_line(queue).conversation, way="write")
        with CaptureQueriesContext(
            connection,
        ) as taken:
            assert client.get(CALENDARS).status_code == 200
            assert client.get(CALLBACKS).status_code == 200
        counts.append(len(taken))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (datetime(2026, 6, 1, 9, tzinfo=UTC), "Open until 12:00."),
        (datetime(2026, 6, 1, 13, tzinfo=UTC), "Closed. Opens Tue 2 Jun, 08:00."),
    ],
)
def test_open_now_in_plain_words(at, words, monkeypatch):
    monkeypatch.setattr(timezone, "localdate", lambda: at.date())
    plan = hours.Hours(((hours.Range.parse("08:00-12:00"),),) * 7)
    with timezone.override("UTC"):
        assert in_words(plan, now=at) == words


def test_never_and_always_are_words_too():
    never = hours.Hours(((),) * 7)
    assert in_words(never, now=timezone.now()) == "Closed. It does not open again."
    assert in_words(hours.Hours((hours.ALL_DAY,) * 7), now=timezone.now()) == "Open, always."


def test_queue_page_says_whether_it_is_open_and_how_good_its_promises_were(client, queue):
    Queue.objects.filter(pk=queue.pk).update(calendar=make_calendar())
    table = Table(error=Error(count=40, coverage=0.8, bias_seconds=-12.0, mean_square=900.0))
    WaitTable.objects.create(queue=queue, table=table.as_json())
    page = client.get(f"{QUEUES}{queue.pk}/change/").content.decode()
    assert "Closed. It does not open again." in page
    assert "80 % of 40 waits ended inside the range announced." in page
    assert "The mean was -12 s off on average; typical error 30 s." in page


def test_a_circle_of_overflow_is_named_on_the_page(client, queue):
    other = make_queue(team=queue.team, name="Other")
    Queue.objects.filter(pk=other.pk).update(overflow_to=queue)
    wish = {"when_full": Otherwise.OVERFLOW, "overflow_to": other.pk}
    answer = client.post(f"{QUEUES}{queue.pk}/change/", form_of(queue, **wish), follow=True)
    told = answer.context["adminform"].form.non_field_errors()
    assert told == [f"Contacts would be sent in a circle: {queue} → Other → {queue}."]
    assert policies.draft_of(Queue.objects.get(pk=queue.pk)).settings["overflow_to"] is None
