"""Ready texts of agents: which placeholders they may use, and what is filled in (apps.core.replacer does the rest).

A text with any other braces is refused when it is saved, so what agents insert never surprises them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.core import replacer
from apps.core.errors import Invalid

if TYPE_CHECKING:
    from apps.users.models import Customer, User

    from .models import Conversation

MOST_CHARACTERS = 4000
MOST_PLACEHOLDERS = replacer.MOST_PLACEHOLDERS
MOST_VALUE_CHARACTERS = 200


class Facts(NamedTuple):
    customer: Customer
    agent: User
    conversation: Conversation


class Placeholder(NamedTuple):
    value: Callable[[Facts], str]
    # What is written when there is no value and the text names nothing else.
    fallback: str | Promise
    help: str | Promise


def _first(name: str) -> str:
    return name.split(" ")[0]


PLACEHOLDERS: dict[str, Placeholder] = {
    "customer.name": Placeholder(lambda facts: facts.customer.name, _("there"), _("the customer's name")),
    "customer.first_name": Placeholder(
        lambda facts: _first(facts.customer.name), _("there"), _("the first word of it")
    ),
    "agent.name": Placeholder(lambda facts: facts.agent.name, _("your agent"), _("the agent's name")),
    "agent.first_name": Placeholder(
        lambda facts: facts.agent.get_short_name(), _("your agent"), _("the first word of it")
    ),
    "conversation.id": Placeholder(lambda facts: str(facts.conversation.pk), "", _("its number")),
    "inbox.name": Placeholder(lambda facts: facts.conversation.inbox.name, "", _("where the customer wrote")),
    "team.name": Placeholder(
        lambda facts: facts.conversation.team.name, "", _("the team of the conversation")
    ),
}


class PlaceholderUnknown(Invalid):
    code = "placeholder_unknown"
    detail = _(
        "Only these placeholders may be used: %(names)s. A fallback follows a bar: {customer.name|friend}."
    )


class TextTooLong(Invalid):
    code = "text_too_long"
    detail = _("A ready text has 4,000 characters and 50 placeholders at most.")


def check(text: str) -> None:
    """Raises PlaceholderUnknown (naming the allowed ones) or TextTooLong."""
    if len(text) > MOST_CHARACTERS:
        raise TextTooLong
    fault = replacer.fault(text, forms=lambda name: () if name in PLACEHOLDERS else None)
    if fault is None:
        return
    if fault.what == "too_many":
        raise TextTooLong
    raise PlaceholderUnknown(names=", ".join(f"{{{name}}}" for name in PLACEHOLDERS))


def render(text: str, *, customer: Customer, agent: User, conversation: Conversation) -> str:
    """`text` with its placeholders filled. Values are inserted as they are and never looked at again."""
    facts = Facts(customer, agent, conversation)
    return replacer.compiled(text).fill(lambda placeholder: _value(placeholder.name, facts), default=_default)


def _value(name: str, facts: Facts) -> str:
    if name not in PLACEHOLDERS:
        return ""
    return replacer.one_line(PLACEHOLDERS[name].value(facts), most=MOST_VALUE_CHARACTERS)


def _default(name: str) -> str:
    """A name that was allowed once, in a text that is older, stands there as it was written."""
    return str(PLACEHOLDERS[name].fallback) if name in PLACEHOLDERS else f"{{{name}}}"
