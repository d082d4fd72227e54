"""Ready texts with placeholders: our own small replacer, which knows a few names and can do nothing else.

`{customer.first_name}` is filled in; `{customer.first_name|friend}` says what to write when the name is unknown. A text
with any other braces is refused when it is saved, so what agents insert never surprises them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.core.errors import Invalid

if TYPE_CHECKING:
    from apps.users.models import Customer, User

    from .models import Conversation

MOST_CHARACTERS = 4000
# With MOST_VALUE_CHARACTERS this bounds what a text can grow to.
MOST_PLACEHOLDERS = 50
MOST_VALUE_CHARACTERS = 200

_PLACEHOLDER = re.compile(r"\{([a-z_]+\.[a-z_]+)(?:\|([^{}|\n]{0,100}))?\}")
# Braces that are left, and the placeholders of other engines: meant as something that would not happen.
_FOREIGN = re.compile(r"[{}]|%\(\w{0,100}\)[a-z]")


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
    found = [match[1] for match in _PLACEHOLDER.finditer(text)]
    if len(found) > MOST_PLACEHOLDERS:
        raise TextTooLong
    if set(found) - PLACEHOLDERS.keys() or _FOREIGN.search(_PLACEHOLDER.sub("", text)):
        raise PlaceholderUnknown(names=", ".join(f"{{{name}}}" for name in PLACEHOLDERS))


def render(text: str, *, customer: Customer, agent: User, conversation: Conversation) -> str:
    """`text` with its placeholders filled. Values are inserted as they are and never looked at again."""
    facts = Facts(customer, agent, conversation)
    return _PLACEHOLDER.sub(lambda match: _filled(match, facts), text)


def _filled(match: re.Match[str], facts: Facts) -> str:
    placeholder = PLACEHOLDERS.get(match[1])
    if placeholder is None:
        return match[0]
    value = placeholder.value(facts).strip()[:MOST_VALUE_CHARACTERS]
    if value:
        return value
    return str(placeholder.fallback) if match[2] is None else match[2]
