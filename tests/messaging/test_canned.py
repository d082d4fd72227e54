"""Ready texts: a few placeholders, and nothing a template engine could do (B50-B53)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import EMLError
from apps.messaging import canned
from apps.messaging.models import Conversation, Inbox
from apps.users.models import Customer, Team, User

pytestmark = pytest.mark.embedded


def _filled(text: str, *, name: str = "Ada Lovelace") -> str:
    conversation = Conversation(id=12, inbox=Inbox(name="Shop"), team=Team(name="Support"))
    return canned.render(
        text, customer=Customer(name=name), agent=User(name="Ana Silva"), conversation=conversation
    )


def test_placeholders_are_filled() -> None:
    text = "Hi {customer.first_name} ({customer.name}), {agent.first_name} of {team.name} here."
    canned.check(text)
    assert _filled(text) == "Hi Ada (Ada Lovelace), Ana of Support here."
    assert _filled("{inbox.name} #{conversation.id}, {agent.name}") == "Shop #12, Ana Silva"


def test_b53_what_is_missing_has_a_fallback() -> None:
    assert _filled("Hi {customer.first_name}!", name="") == "Hi there!"
    assert _filled("Hi {customer.first_name|friend}!", name="") == "Hi friend!"
    assert _filled("Hi{customer.first_name|}!", name="") == "Hi!"
    assert _filled("Hi {customer.first_name|friend}!") == "Hi Ada!"


@pytest.mark.parametrize(
    "text",
    [
        "{{ settings.SECRET_KEY }}",
        "{% include 'x' %}",
        "{% debug %}",
        "{0.__class__}",
        "{customer.__class__}",
        "{customer.password}",
        "{agent.email}",
        "%(customer)s",
        "${customer.name}x${y}",
        "{{constructor.constructor('x')()}}",
        "{customer.name",
        "customer.name}",
        "{}",
        "{customer.name|{agent.name}}",
        "{customer.name!r}",
        "{customer.name:>99999999}",
        "{CUSTOMER.NAME}",
    ],
)
def test_b50_b51_everything_else_is_refused_and_says_what_is_allowed(text) -> None:
    with pytest.raises(canned.PlaceholderUnknown) as refused:
        canned.check(text)
    assert (refused.value.status, refused.value.code) == (400, "placeholder_unknown")
    assert all(f"{{{name}}}" in str(refused.value) for name in canned.PLACEHOLDERS)


@pytest.mark.parametrize("text", ["x" * 1_000_000, "{agent.name}" * 10_000, "{agent.name}" * 51])
def test_b51_long_texts_are_refused_at_once(text) -> None:
    began = time.perf_counter()
    with pytest.raises(canned.TextTooLong):
        canned.check(text)
    assert time.perf_counter() - began < 1


def test_b51_what_comes_out_is_bounded() -> None:
    text = "{customer.name}" * canned.MOST_PLACEHOLDERS
    canned.check(text)
    assert len(_filled(text, name="😀" * 100_000).encode()) <= 64 * 1024


def test_values_are_never_looked_at_again() -> None:
    assert _filled("{customer.name}", name="{agent.name}") == "{agent.name}"
    assert _filled("{customer.name}", name=r"\1 \g<0>") == r"\1 \g<0>"


@given(st.text(max_size=300))
def test_b13_any_text_is_either_refused_or_comes_out_as_it_is(text) -> None:
    try:
        canned.check(text)
    except EMLError:
        return
    if not any(f"{{{name}" in text for name in canned.PLACEHOLDERS):
        assert _filled(text) == text
