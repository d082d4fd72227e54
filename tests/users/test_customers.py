"""Customer records: versions, contacts, search, and two records of one person becoming one."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from apps.core.errors import Invalid
from apps.core.events import SYSTEM
from apps.core.models import Event
from apps.users import errors, selectors
from apps.users.choices import ContactKind, Role
from apps.users.models import ContactPoint, Customer
from apps.users.services import customers
from apps.users.services.customers import Contact
from tests.factories import make_customer, make_team, make_user

pytestmark = pytest.mark.django_db


def contacts_of(customer: Customer) -> set[str]:
    return set(customer.contact_points.values_list("value", flat=True))


def test_a_new_customer_has_his_contacts_in_one_form():
    team = make_team()
    customer = customers.create(
        by=SYSTEM,
        name="Ada",
        contacts=[Contact("email", "Ada@Example.com"), Contact("phone", "+44 20 7946 0018")],
        teams=[team],
        external_id="",
    )
    assert contacts_of(customer) == {"ada@example.com", "+442079460018"}
    assert customer.external_id is None
    assert list(customer.teams.all()) == [team]
    assert Event.objects.get().stream == f"customer:{customer.pk}"


def test_a_wrong_contact_leaves_nothing_behind():
    with pytest.raises(errors.PhoneNotDialled):
        customers.create(by=SYSTEM, name="Ada", contacts=[Contact("phone", "911")])
    assert not Customer.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"time_zone": "UTC+2"},
        {"attributes": {"a": {"deep": 1}}},
        {"attributes": {str(n): n for n in range(51)}},
        {"attributes": {"a": "x" * 501}},
        {"name": "x" * 201},
    ],
)
def test_a_wrong_field_is_refused(fields):
    with pytest.raises(Invalid) as caught:
        customers.create(by=SYSTEM, **fields)
    assert list(caught.value.fields) == list(fields)


def test_a_change_raises_the_version_and_is_written_down():
    customer = make_customer(name="Ada")
    changed = customers.update(customer, by=SYSTEM, version=1, name="Ada King")
    assert (changed.name, changed.version) == ("Ada King", 2)
    assert Event.objects.get().payload == {"customer": customer.pk, "fields": ["name"]}


def test_b11_no_change_is_no_version():
    customer = make_customer(name="Ada")
    assert customers.update(customer, by=SYSTEM, version=1, name="Ada").version == 1
    assert not Event.objects.exists()


def test_b11_a_stale_version_is_refused():
    customer = make_customer()
    customers.update(customer, by=SYSTEM, name="First")
    with pytest.raises(errors.StaleVersion):
        customers.update(customer, by=SYSTEM, version=1, name="Second")
    customer.refresh_from_db()
    assert customer.name == "First"


def test_an_external_id_belongs_to_one_customer():
    make_customer(external_id="crm-1")
    with pytest.raises(errors.ExternalIdTaken):
        customers.create(by=SYSTEM, external_id="crm-1")
    with pytest.raises(errors.ExternalIdTaken):
        customers.update(make_customer(), by=SYSTEM, external_id="crm-1")


def test_a_contact_noted_twice_is_one_and_may_become_verified():
    customer = make_customer()
    first = customers.add_contact(customer, kind="email", value="a@example.com", by=SYSTEM)
    again = customers.add_contact(customer, kind="email", value="A@example.com", by=SYSTEM, is_verified=True)
    assert again.pk == first.pk
    assert ContactPoint.objects.get().is_verified
    customer.refresh_from_db()
    assert customer.version == 3


def test_a_verified_contact_belongs_to_one_customer():
    one, other = make_customer(), make_customer()
    customers.add_contact(one, kind="email", value="a@example.com", by=SYSTEM, is_verified=True)
    customers.add_contact(other, kind="email", value="a@example.com", by=SYSTEM)
    with pytest.raises(errors.ContactTaken):
        customers.add_contact(other, kind="email", value="a@example.com", by=SYSTEM, is_verified=True)


def test_b38_a_premium_number_may_be_noted_for_a_caller_only():
    customer = make_customer()
    with pytest.raises(errors.PhoneNotDialled):
        customers.add_contact(customer, kind=ContactKind.PHONE, value="+499001234567", by=SYSTEM)
    customers.add_contact(
        customer, kind=ContactKind.PHONE, value="+499001234567", by=SYSTEM, is_dialled=False
    )
    assert contacts_of(customer) == {"+499001234567"}


def test_a_removed_contact_is_gone_and_foreign_ones_stay():
    one, other = make_customer(), make_customer()
    own = customers.add_contact(one, kind="email", value="a@example.com", by=SYSTEM)
    foreign = customers.add_contact(other, kind="email", value="b@example.com", by=SYSTEM)
    for contact_id in (own.pk, own.pk, foreign.pk):
        customers.remove_contact(one, contact_id=contact_id, by=SYSTEM)
    assert contacts_of(one) == set()
    assert contacts_of(other) == {"b@example.com"}


def test_merging_keeps_what_is_there_and_fills_the_gaps():
    one, two = make_team(), make_team()
    keep = make_customer([one], name="Ada", attributes={"plan": "gold"})
    double = make_customer(
        [two],
        name="A. King",
        language="en",
        external_id="crm-1",
        attributes={"plan": "free", "city": "London"},
    )
    for customer in (keep, double):
        customers.add_contact(customer, kind="email", value="ada@example.com", by=SYSTEM)
    customers.add_contact(double, kind="email", value="ada@example.com", by=SYSTEM, is_verified=True)
    customers.add_contact(double, kind="phone", value="+442079460018", by=SYSTEM)
    merged = customers.merge(keep, double, by=SYSTEM)
    merged.refresh_from_db()
    assert (merged.name, merged.language, merged.external_id) == ("Ada", "en", "crm-1")
    assert merged.attributes == {"plan": "gold", "city": "London"}
    assert set(merged.teams.all()) == {one, two}
    assert contacts_of(merged) == {"ada@example.com", "+442079460018"}
    assert merged.contact_points.get(kind="email").is_verified
    double.refresh_from_db()
    assert double.merged_into == merged
    assert not double.contact_points.exists()


def test_merging_tells_the_other_floors():
    keep, double = make_customer(), make_customer()
    customers.merge(keep, double, by=SYSTEM)
    event = Event.objects.get(type="users.customer.merged")
    assert event.payload == {"customer": double.pk, "into": keep.pk}
    assert event.stream == f"customer:{keep.pk}"


def test_a_chain_of_doubles_points_to_the_end():
    first, second, third = make_customer(), make_customer(), make_customer()
    customers.merge(second, first, by=SYSTEM)
    customers.merge(third, second, by=SYSTEM)
    first.refresh_from_db()
    assert first.merged_into == third


def test_a_double_is_history():
    keep, double, other = make_customer(), make_customer(), make_customer()
    customers.merge(keep, double, by=SYSTEM)
    with pytest.raises(errors.MergedAlready):
        customers.merge(other, double, by=SYSTEM)
    with pytest.raises(errors.MergedAlready):
        customers.merge(double, other, by=SYSTEM)
    with pytest.raises(errors.MergedAlready):
        customers.update(double, by=SYSTEM, name="x")
    with pytest.raises(errors.MergeWithItself):
        customers.merge(keep, keep, by=SYSTEM)


def test_customers_are_seen_by_their_teams():
    one, two = make_team(), make_team()
    mine, theirs, nobodys = make_customer([one]), make_customer([two]), make_customer()
    double = make_customer([one])
    customers.merge(mine, double, by=SYSTEM)
    for role in (Role.AGENT, Role.SUPERVISOR):
        assert set(selectors.customers_visible_to(make_user(role, [one]))) == {mine}
    assert set(selectors.customers_visible_to(make_user(Role.ADMIN))) == {mine, theirs, nobodys}
    assert not selectors.customers_visible_to(make_user(None, [one])).exists()


def test_z03_search_finds_only_what_one_may_see():
    one, two = make_team(), make_team()
    customer = make_customer([one], name="Ada Lovelace", external_id="crm-1")
    customers.add_contact(customer, kind="email", value="ada@example.com", by=SYSTEM)
    customers.add_contact(customer, kind="phone", value="+442079460018", by=SYSTEM)
    texts = ["lovelace", "Ada L", "ADA@example.com", "+44 20 7946 0018", "crm-1", ""]
    for text in texts:
        assert list(selectors.search_customers(make_user(teams=[one]), text)) == [customer], text
        assert not selectors.search_customers(make_user(teams=[two]), text).exists(), text


@pytest.mark.parametrize("text", ["%", "_", "\\", "a & | !", "x" * 10_000, "' OR 1=1 --", "\u202e", "😀"])
def test_b23_strange_searches_find_nothing_and_break_nothing(text):
    team = make_team()
    make_customer([team], name="Grace Hopper")
    assert not selectors.search_customers(make_user(teams=[team]), text).exists()


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_two_opposite_merges_at_once_leave_one_record():
    pair = [make_customer(), make_customer()]
    barrier, outcomes = threading.Barrier(2), []

    def merge(keep: Customer, double: Customer) -> None:
        barrier.wait()
        try:
            customers.merge(keep, double, by=SYSTEM)
            outcomes.append("merged")
        except errors.MergedAlready as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=merge, args=args) for args in (pair, pair[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["merged", "merged_already"]
    assert Customer.objects.current().count() == 1
