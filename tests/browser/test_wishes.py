"""A customer chooses what he gets, with a link from a message and nothing else."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from apps.notifications import links
from apps.notifications.models import Preference
from apps.users.models import ContactPoint
from tests.factories import make_customer, make_purpose


def test_a_customer_unsubscribes_and_changes_his_mind(page: Page) -> None:
    customer, purpose = make_customer(name="Ada Lovelace"), make_purpose(name="Monthly letter")
    ContactPoint.objects.create(customer=customer, kind="email", value="ada@example.com")
    wish = links.Wish(customer.pk, purpose.pk, "email")
    page.goto(f"/preferences/{links.token(wish)}/unsubscribe/")
    assert not Preference.objects.exists()
    page.get_by_role("button", name="Unsubscribe").click()
    expect(page.get_by_role("heading", name="You are unsubscribed")).to_be_visible()
    assert not Preference.objects.get(customer=customer).is_wanted

    page.get_by_role("link", name="Change this").click()
    box = page.get_by_label("E-mail: Monthly letter")
    expect(box).not_to_be_checked()
    box.check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved")
    expect(page.get_by_label("E-mail: Monthly letter")).to_be_checked()
    assert Preference.objects.get(customer=customer).is_wanted
