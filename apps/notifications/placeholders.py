"""What texts may say of the recipient and of what they are about: the allow-list, shown beside the editor.

Pure: facts in, text out. A name with a dot in a delivery's `context` (`{"reminder.note": "…"}`) overrules what is
known otherwise; that is how causes give values of their own.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf.locale import LANG_INFO
from django.utils import formats, translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.core import replacer

MOST_VALUE_CHARACTERS = 200
MOST_LONG_CHARACTERS = 2000
MOST_TRANSCRIPT_CHARACTERS = 40_000

# Of moments; without one it is date and time. Django's names of formats, or letters of its own.
FORMS = {"date": "DATE_FORMAT", "time": "TIME_FORMAT", "weekday": "l", "day": "MONTH_DAY_FORMAT"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when one delivery is written. Rows of other tables are there only when its text asks for them."""

    zone: ZoneInfo
    language: str
    context: Mapping[str, Any] = field(default_factory=dict)
    recipient: Any = None
    customer: Any = None
    conversation: Any = None
    appointment: Any = None
    reminder: Any = None
    transcript: str = ""
    # Makes the recipient's own addresses ("preferences", "unsubscribe", "conversation"), empty where he has none.
    link: Callable[[str], str] = lambda _name: ""


@dataclass(frozen=True, slots=True)
class Known:
    value: Callable[[Facts], Any]
    help: str | Promise
    # What is written when there is no value and the text names nothing else.
    fallback: str | Promise = ""
    most: int = MOST_VALUE_CHARACTERS
    is_moment: bool = False
    # An address of ours, which may stand inside of a tag.
    is_link: bool = False
    # What has to be loaded for it.
    needs: str = ""


def _first(name: str) -> str:
    return name.split(" ")[0]


def _of(thing: str, name: str) -> Callable[[Facts], Any]:
    """Reads `name` of a fact ("conversation", "agent.name"); empty when something on the way is missing."""
    *way, last = name.split(".")

    def read(facts: Facts) -> Any:
        found = getattr(facts, thing)
        for step in (*way, last):
            found = getattr(found, step, None)
        return found

    return read


def _first_of(thing: str, name: str) -> Callable[[Facts], Any]:
    read = _of(thing, name)
    return lambda facts: _first(read(facts) or "")


def _given(_facts: Facts) -> Any:
    """Comes with the cause, or not at all."""
    return None


def _link(name: str) -> Callable[[Facts], Any]:
    return lambda facts: facts.link(name)


KNOWN: dict[str, Known] = {
    "recipient.name": Known(_of("recipient", "name"), _("who gets it"), _("there")),
    "recipient.first_name": Known(_first_of("recipient", "name"), _("the first word of it"), _("there")),
    "customer.name": Known(_of("customer", "name"), _("the customer it is about"), _("there")),
    "customer.first_name": Known(_first_of("customer", "name"), _("the first word of it"), _("there")),
    "appointment.title": Known(
        _of("appointment", "title"), _("what the appointment is"), _("your appointment"), needs="appointment"
    ),
    "appointment.starts_at": Known(
        _of("appointment", "starts_at"), _("when it begins"), is_moment=True, needs="appointment"
    ),
    "reminder.note": Known(
        _of("reminder", "note"), _("what to remind of"), most=MOST_LONG_CHARACTERS, needs="reminder"
    ),
    "conversation.id": Known(_of("conversation", "pk"), _("its number"), needs="conversation"),
    "conversation.opened_at": Known(
        _of("conversation", "opened_at"), _("when it began"), is_moment=True, needs="conversation"
    ),
    "conversation.rating": Known(
        _of("conversation", "rating"), _("the customer's rating, 1 to 5"), needs="conversation"
    ),
    "conversation.rating_comment": Known(
        _of("conversation", "rating_comment"),
        _("what the customer wrote with it"),
        most=MOST_LONG_CHARACTERS,
        needs="conversation",
    ),
    "conversation.transcript": Known(
        lambda facts: facts.transcript,
        _("all that was said"),
        most=MOST_TRANSCRIPT_CHARACTERS,
        needs="transcript",
    ),
    "conversation.link": Known(
        _link("conversation"), _("its page in the console, for staff"), is_link=True, needs="conversation"
    ),
    "agent.name": Known(
        _of("conversation", "agent.name"), _("who answered"), _("our team"), needs="conversation"
    ),
    "agent.first_name": Known(
        _first_of("conversation", "agent.name"),
        _("the first word of it"),
        _("our team"),
        needs="conversation",
    ),
    "inbox.name": Known(
        _of("conversation", "inbox.name"), _("where the customer wrote"), needs="conversation"
    ),
    "team.name": Known(
        _of("conversation", "team.name"), _("the team of the conversation"), needs="conversation"
    ),
    "alert.title": Known(_given, _("what an alert is about")),
    "alert.text": Known(_given, _("more about it"), most=MOST_LONG_CHARACTERS),
    "alert.count": Known(_given, _("how often it happened")),
    "alert.at": Known(_given, _("when it happened"), is_moment=True),
    "alert.link": Known(_given, _("where to look at it"), is_link=True),
    "preferences.link": Known(
        _link("preferences"), _("where the customer chooses what to get"), is_link=True
    ),
    "unsubscribe.link": Known(
        _link("unsubscribe"), _("where the customer ends just this kind of message"), is_link=True
    ),
}
# Columns of an uploaded list ({list.amount}) and the customer's attributes ({attribute.plan}): any name.
_OPEN = re.compile(r"(list|attribute)\.[a-z0-9_]{1,40}")
OPEN_FAMILIES = {
    "list.…": _("a column of a campaign's uploaded list"),
    "attribute.…": _("an attribute of the customer"),
}


_ADDRESSES = ("https://", "http://", "/")


def forms_of(name: str) -> Collection[str] | None:
    """The forms a name may be written in; None when no text may use it."""
    if known := KNOWN.get(name):
        return FORMS if known.is_moment else ()
    return () if _OPEN.fullmatch(name) else None


def is_link(name: str) -> bool:
    return name in KNOWN and KNOWN[name].is_link


def allowed() -> str:
    return ", ".join(f"{{{name}}}" for name in (*KNOWN, *OPEN_FAMILIES))


def needs_of(names: Collection[str]) -> set[str]:
    """What has to be loaded before these can be filled in."""
    needs = {KNOWN[name].needs for name in names if name in KNOWN} - {""}
    return needs | {"conversation"} if "transcript" in needs else needs


def value(placeholder: replacer.Placeholder, facts: Facts) -> str:
    """The value as text in the recipient's language and zone; empty when there is none."""
    name = placeholder.name
    known = KNOWN.get(name)
    found = facts.context.get(name)
    if found is None and known is not None:
        found = known.value(facts)
    elif found is None and name.startswith("attribute."):
        found = getattr(facts.customer, "attributes", {}).get(name.partition(".")[2])
    if found is None:
        return ""
    if known is not None and known.is_moment:
        return moment_text(found, form=placeholder.form, zone=facts.zone, language=facts.language)
    if known is not None and known.is_link:
        # Stands inside of tags: nothing but an address may come of it.
        return str(found) if str(found).startswith(_ADDRESSES) else ""
    if known is not None and known.most > MOST_VALUE_CHARACTERS:
        return replacer.lines(str(found), most=known.most)
    return replacer.one_line(str(found), most=MOST_VALUE_CHARACTERS)


@functools.lru_cache(maxsize=1024)
def default(name: str, language: str) -> str:
    """What is written for a value that is missing, in the recipient's language."""
    with translation.override(spoken(language)):
        return str(KNOWN[name].fallback) if name in KNOWN else ""


def moment_text(moment: Any, *, form: str, zone: ZoneInfo, language: str) -> str:
    """A moment (or its ISO text) on the recipient's clock and in his language; empty for anything else."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return ""
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        return ""
    return _moment_text(moment.replace(microsecond=0), form, zone, spoken(language))


@functools.lru_cache(maxsize=4096)
def _moment_text(moment: datetime, form: str, zone: ZoneInfo, language: str) -> str:
    with translation.override(language):
        return formats.date_format(moment.astimezone(zone), FORMS.get(form, "DATETIME_FORMAT"), use_l10n=True)


@functools.lru_cache(maxsize=256)
def spoken(language: str) -> str:
    """The nearest language whose names of days and months are known; English when there is none."""
    tidy = language.strip().lower().replace("_", "-")
    for candidate in (tidy, tidy.partition("-")[0]):
        if candidate in LANG_INFO and "code" in LANG_INFO[candidate]:
            return candidate
    return "en"


def text_in(texts: Mapping[str, Any], language: str, *, otherwise: str) -> Any:
    """The text for a language: its own ("de-at"), its family's ("de"), the installation's, or any; None of none."""
    tidy = language.strip().lower().replace("_", "-")
    for candidate in (tidy, tidy.partition("-")[0], otherwise):
        if candidate in texts:
            return texts[candidate]
    return texts[min(texts)] if texts else None
