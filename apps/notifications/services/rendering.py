"""Deliveries become messages: the text of their template's version, filled in for each recipient, many at once.

What `Delivery.context` may hold:
- `{"appointment": 12, "conversation": 34, "reminder": 5}`: ids of rows the text is about. The reminder of a cause
  "reminder:5" is known without, and so are its appointment and conversation.
- `{"reminder.note": "…", "alert.title": "…", "list.amount": "…"}`: values of placeholders, moments as ISO text. They
  overrule what the rows say.
- `{"link": "/console/c/12/"}`: where a notice in the console leads, when it is not the conversation.
- without a template: `subject`, `body`, `html`, `headers` and `sender` as they go out. A cause that makes its messages
  in another way (`composes`) decides for itself.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import prefetch_related_objects

from apps.core import replacer
from apps.core.among import among
from apps.messaging.models import Conversation

from .. import links, placeholders, sms, transcripts
from ..choices import ErrorKind, Reason, Way
from ..gateways import Outcome, Outgoing
from ..models import Appointment, Delivery, Reminder, TemplateVersion

logger = logging.getLogger(__name__)

MOST_SUBJECT_CHARACTERS = 250
PARTS = ("subject", "body", "html")

# A message, why there is none, or (when making it failed, which is our mistake) a permanent failure.
Rendered = Outgoing | Reason | Outcome
Compose = Callable[[Sequence[Delivery]], Mapping[int, Rendered]]
_composers: dict[str, Compose] = {}


def composes(kind: str) -> Callable[[Compose], Compose]:
    """Registers who makes the messages of causes "<kind>:…" that have no template."""

    def remember(compose: Compose) -> Compose:
        _composers[kind] = compose
        return compose

    return remember


def render(
    deliveries: Sequence[Delivery],
    *,
    texts: Mapping[int, dict[str, Any]] | None = None,
    reminders: Mapping[int, Remembered] | None = None,
) -> dict[int, Rendered]:
    """What goes out for each of these rows, by their ids; `address` must be filled in.

    The number of queries does not depend on the number of rows; customers, users, purposes, `texts` (see `texts_of`)
    and `reminders` (see `reminders_of`) that the caller has loaded already are not asked for again. One row that cannot
    be rendered hurts no other.
    """
    rendered: dict[int, Rendered] = {}
    with_template = [row for row in deliveries if row.template_version_id]
    if with_template:
        _load_people(with_template)
        world = World(
            texts_of(with_template) if texts is None else texts,
            reminders_of(with_template) if reminders is None else reminders,
        )
        _load_subjects(with_template, world)
        rendered = {row.pk: _guarded(_from_template, row, world) for row in with_template}
    for kind, rows in _without_template(deliveries).items():
        compose = _composers.get(kind)
        rendered |= compose(rows) if compose else {row.pk: _guarded(_verbatim, row) for row in rows}
    return rendered


def _without_template(deliveries: Sequence[Delivery]) -> dict[str, list[Delivery]]:
    by_kind: dict[str, list[Delivery]] = defaultdict(list)
    for row in deliveries:
        if not row.template_version_id:
            by_kind[row.cause.partition(":")[0]].append(row)
    return by_kind


def _guarded(make: Callable[..., Rendered], row: Delivery, *args: Any) -> Rendered:
    try:
        return make(row, *args)
    except Exception as error:
        # Without its name nobody would find the mistake; the text of the error may hold personal data.
        logger.exception("delivery %s could not be rendered", row.pk)
        return Outcome(row.pk, ErrorKind.PERMANENT, f"the text could not be made: {type(error).__name__}")


# What is loaded for a batch


class Remembered(NamedTuple):
    """What texts may say of a reminder, and what it is about. A whole row takes ten times as long to make."""

    pk: int
    note: str
    appointment_id: int | None
    conversation_id: int | None
    catch_up: str


@dataclass(slots=True)
class World:
    """The rows that the texts of a batch ask for."""

    texts: Mapping[int, dict[str, Any]]
    reminders: Mapping[int, Remembered]
    # By the ids of the texts.
    needs: dict[int, set[str]] = field(default_factory=dict)
    appointments: dict[int, Appointment] = field(default_factory=dict)
    conversations: dict[int, Conversation] = field(default_factory=dict)
    transcripts: transcripts.Transcripts = field(default_factory=dict)


def _load_people(rows: Sequence[Delivery]) -> None:
    prefetch_related_objects(rows, "customer", "user", "purpose")


def texts_of(rows: Iterable[Delivery]) -> dict[int, dict[str, Any]]:
    """The texts of their templates' versions, by the ids of the versions: way → language → text."""
    ids = _some(row.template_version_id for row in rows)
    return dict(TemplateVersion.objects.filter(pk__in=ids).values_list("pk", "texts")) if ids else {}


def text_of(row: Delivery, texts: Mapping[int, Mapping[str, Any]]) -> Mapping[str, str] | None:
    """The text for its way in the recipient's language, or the nearest there is; None when there is none."""
    languages = texts.get(row.template_version_id or 0, {}).get(row.way) or {}
    return placeholders.text_in(languages, language_of(row), otherwise=settings.LANGUAGE_CODE)


def render_text(row: Delivery, text: Mapping[str, str], *, language: str) -> Outgoing:
    """One text for one row that need not be saved: how a preview is made."""
    world = World({row.template_version_id or 0: {row.way: {language: text}}}, reminders_of([row]))
    _load_subjects([row], world)
    return filled(row, text, _facts(row, world, language))


def reminders_of(rows: Iterable[Delivery]) -> dict[int, Remembered]:
    """The reminders that these rows come from, or are about, by their ids."""
    ids = _some(reminder_id(row) for row in rows)
    found = Reminder.objects.filter(among("pk", ids)).values_list(*Remembered._fields) if ids else ()
    return {row[0]: Remembered(*row) for row in found}


def _needs(texts: Mapping[str, Any]) -> set[str]:
    names: set[str] = set()
    for languages in texts.values():
        for text in languages.values():
            names.update(*(replacer.names(text.get(part) or "") for part in PARTS))
    return placeholders.needs_of(names)


def _load_subjects(rows: Sequence[Delivery], world: World) -> None:
    versions = {row.template_version_id or 0 for row in rows}
    world.needs = {pk: _needs(world.texts.get(pk) or {}) for pk in versions}
    wanted = set().union(*world.needs.values())
    if "appointment" in wanted:
        world.appointments = Appointment.objects.in_bulk(_some(_appointment_id(row, world) for row in rows))
    if "conversation" in wanted:
        found = Conversation.objects.select_related("customer", "agent", "inbox", "team")
        world.conversations = found.in_bulk(_some(_conversation_id(row, world) for row in rows))
    if "transcript" in wanted:
        asked = [row for row in rows if "transcript" in world.needs.get(row.template_version_id or 0, ())]
        world.transcripts = transcripts.load(_some(_conversation_id(row, world) for row in asked))


def _some(ids: Iterable[int | None]) -> list[int]:
    return list({pk for pk in ids if pk is not None})


def _id(found: Any) -> int | None:
    return found if isinstance(found, int) else None


def reminder_id(row: Delivery) -> int | None:
    kind, _, number = row.cause.partition(":")
    return int(number) if kind == "reminder" and number.isdigit() else _id(row.context.get("reminder"))


def _appointment_id(row: Delivery, world: World) -> int | None:
    named = _id(row.context.get("appointment"))
    reminder = world.reminders.get(reminder_id(row) or 0)
    return named if named or reminder is None else reminder.appointment_id


def _conversation_id(row: Delivery, world: World) -> int | None:
    named = _id(row.context.get("conversation"))
    reminder = world.reminders.get(reminder_id(row) or 0)
    return named if named or reminder is None else reminder.conversation_id


# One delivery


def _from_template(row: Delivery, world: World) -> Rendered:
    text = text_of(row, world.texts)
    if not text:
        return Reason.NO_TEXT
    return filled(row, text, _facts(row, world, language_of(row)))


def filled(row: Delivery, text: Mapping[str, str], facts: placeholders.Facts) -> Outgoing:
    """One text (subject, body, html) filled in with these facts."""
    values: dict[tuple[str, str], str] = {}

    def value(placeholder: replacer.Placeholder) -> str:
        # Subject, text and HTML mostly say the same things.
        key = (placeholder.name, placeholder.form)
        if key not in values:
            values[key] = placeholders.value(placeholder, facts)
        return values[key]

    def default(name: str) -> str:
        return placeholders.default(name, facts.language)

    subject = replacer.compiled(text.get("subject") or "").fill(value, default=default)
    body = replacer.compiled(text.get("body") or "").fill(value, default=default)
    return Outgoing(
        delivery=row.pk,
        key=row.key,
        to=row.address,
        subject=replacer.one_line(subject, most=MOST_SUBJECT_CHARACTERS),
        text=body[: sms.MOST_CHARACTERS] if row.way == Way.SMS else body,
        html=replacer.compiled(text.get("html") or "").fill_html(value, default=default),
        headers=links.unsubscribe_headers(row),
        extra={"link": _page(row, facts)} if row.way == Way.IN_APP else {},
    )


def _facts(row: Delivery, world: World, language: str) -> placeholders.Facts:
    conversation = world.conversations.get(_conversation_id(row, world) or 0)
    return placeholders.Facts(
        zone=zone_of(row),
        language=language,
        context=row.context,
        recipient=row.customer or row.user,
        customer=row.customer or (conversation and conversation.customer),
        conversation=conversation,
        appointment=world.appointments.get(_appointment_id(row, world) or 0),
        reminder=world.reminders.get(reminder_id(row) or 0),
        transcript=transcripts.written(
            world.transcripts.get(conversation.pk if conversation else 0, ()),
            zone=zone_of(row),
            language=language,
        ),
        link=lambda name: links.link(name, row=row, conversation=conversation),
    )


def language_of(row: Delivery) -> str:
    return (row.customer or row.user or _nobody).language or settings.LANGUAGE_CODE


def zone_of(row: Delivery) -> ZoneInfo:
    return ZoneInfo((row.customer or row.user or _nobody).time_zone or settings.TIME_ZONE)


class _Nobody:
    """A recipient that is no person, like an address given by hand."""

    language = time_zone = name = ""


_nobody = _Nobody()


def _page(row: Delivery, facts: placeholders.Facts) -> str:
    if named := row.context.get("link"):
        return str(named)
    return links.conversation_path(facts.conversation.pk) if facts.conversation else ""


def _verbatim(row: Delivery) -> Rendered:
    context = row.context
    if not (context.get("body") or context.get("html")):
        return Reason.NO_TEXT
    return Outgoing(
        delivery=row.pk,
        key=row.key,
        to=row.address,
        subject=replacer.one_line(str(context.get("subject", "")), most=MOST_SUBJECT_CHARACTERS),
        text=str(context.get("body", "")),
        html=str(context.get("html", "")),
        headers={
            str(name): replacer.one_line(str(text), most=900)
            for name, text in context.get("headers", {}).items()
        }
        | links.unsubscribe_headers(row),
        sender=replacer.one_line(str(context.get("sender", "")), most=320),
        extra={"link": str(context.get("link", ""))} if row.way == Way.IN_APP else {},
    )
