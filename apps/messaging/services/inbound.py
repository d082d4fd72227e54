"""What arrives by e-mail and SMS finds its conversation, or begins one. The same one told twice is one."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DataError, transaction
from django.utils.translation import gettext as _

from apps.core.errors import EMLError
from apps.core.events import SYSTEM
from apps.users import contacts
from apps.users.choices import ContactKind
from apps.users.models import ContactPoint, Customer
from apps.users.services import customers

from .. import policy, reply_address
from ..choices import InboxKind, Quarantined, Sender
from ..models import Arrival, Conversation, Inbox
from . import arrivals, attachments, conversations, messages

logger = logging.getLogger(__name__)

MOST_NAME_CHARACTERS = 200
CONTACT_KINDS = {InboxKind.EMAIL: ContactKind.EMAIL, InboxKind.SMS: ContactKind.PHONE}


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a gateway was told. `to` are the addresses it was sent to, the likeliest first; `answers` is the
    conversation whose message it answers, as far as ids that nobody signed can tell."""

    id: str
    sender: str
    to: tuple[str, ...]
    text: str
    sender_name: str = ""
    subject: str = ""
    files: tuple[tuple[str, bytes], ...] = ()
    is_automatic: bool = False
    answers: int | None = None


def receive(incoming: Incoming, *, kind: InboxKind, now: datetime) -> Arrival:
    """Put it into a conversation, or hold it back with the reason."""
    incoming = _storable(incoming)
    inbox, tag = _inbox(incoming.to, kind) or (None, "")
    with transaction.atomic():
        if inbox is not None:
            # One after the other, so that two first messages of somebody do not begin two conversations.
            Inbox.objects.select_for_update(no_key=True).get(pk=inbox.pk)
        arrival, is_new = Arrival.objects.get_or_create(
            inbox=inbox,
            kind=kind,
            source_id=incoming.id[:300],
            defaults={
                "sender": _address(incoming.sender, kind)[:254],
                "sender_name": _name(incoming),
                "to": ", ".join(incoming.to)[:500],
                "subject": incoming.subject[:300],
                "text": incoming.text[: policy.MOST_ARRIVED_CHARACTERS],
                "at": now,
            },
        )
        if is_new:
            _sort(arrival, incoming, tag=tag, now=now)
        return arrival


def _storable(incoming: Incoming) -> Incoming:
    """Without what no database takes: NUL, and halves of characters."""
    return replace(
        incoming,
        id=_text(incoming.id),
        sender=_text(incoming.sender),
        sender_name=_text(incoming.sender_name),
        to=tuple(map(_text, incoming.to)),
        subject=_text(incoming.subject),
        text=_text(incoming.text),
        files=tuple((_text(name), content) for name, content in incoming.files),
    )


def _text(text: str) -> str:
    return text.replace("\0", "").encode(errors="replace").decode()


def _name(incoming: Incoming) -> str:
    return " ".join(incoming.sender_name.split())[:MOST_NAME_CHARACTERS]


def _sort(arrival: Arrival, incoming: Incoming, *, tag: str, now: datetime) -> None:
    """What breaks on its way into a conversation is held as well: its sender has been told that it arrived."""
    reason = _reason_to_hold(arrival, incoming, now=now)
    if reason is None:
        try:
            with transaction.atomic():
                reason = _take_in(arrival, incoming, tag=tag, now=now)
        except (EMLError, DataError, ValueError, TypeError, LookupError):
            logger.exception("arrival %s could not be taken in", arrival.pk)
            reason = Quarantined.BROKEN
    if reason is not None:
        arrivals.hold(arrival, reason, files=incoming.files)


def _reason_to_hold(arrival: Arrival, incoming: Incoming, *, now: datetime) -> Quarantined | None:
    if not arrival.sender:
        return Quarantined.BROKEN
    if arrival.inbox is None:
        return Quarantined.UNKNOWN_INBOX
    same = Arrival.objects.filter(inbox=arrival.inbox, sender=arrival.sender, at__gt=now - timedelta(hours=1))
    return Quarantined.OVER_LIMITS if same.count() > policy.MOST_ARRIVALS_PER_HOUR else None


def _inbox(addresses: tuple[str, ...], kind: InboxKind) -> tuple[Inbox, str] | None:
    for written in addresses:
        address, tag = reply_address.split(written) if kind == InboxKind.EMAIL else (written.strip(), "")
        inbox = Inbox.objects.filter(kind=kind, address=address, is_active=True).exclude(address="").first()
        if inbox is not None:
            return inbox, tag
    return None


def _address(written: str, kind: InboxKind) -> str:
    """In the form contacts are stored in; what is no address stays as it is, and is never answered."""
    try:
        return contacts.normalised(CONTACT_KINDS[kind], written, is_dialled=False)
    except EMLError:
        return written.strip()


def _take_in(arrival: Arrival, incoming: Incoming, *, tag: str, now: datetime) -> Quarantined | None:
    """Into a conversation; or the reason why not."""
    named = reply_address.conversation_of(tag)
    if reply_address.is_reply(tag) and named is None:
        return Quarantined.FORGED
    earlier = _named(arrival, named or incoming.answers)
    customer = earlier.customer if earlier else _known_customer(arrival)
    open_one = _open_one(arrival, earlier, customer)
    if open_one is None and incoming.is_automatic:
        return Quarantined.AUTOMATIC
    if open_one is not None:
        _say(arrival, incoming, open_one, now=now)
    else:
        _begin(arrival, incoming, customer or _new_customer(arrival, incoming), earlier=earlier, now=now)
    return None


def place(
    arrival: Arrival, incoming: Incoming, *, conversation: Conversation | None, now: datetime
) -> Conversation:
    """Somebody has looked at it: into this conversation, or (None) to where its sender's messages go. The caller holds
    the locks of the inbox and of the conversation."""
    customer = None if conversation else _known_customer(arrival)
    open_one = conversation or _open_one(arrival, None, customer)
    if open_one is not None:
        _say(arrival, incoming, open_one, now=now)
    else:
        _begin(arrival, incoming, customer or _new_customer(arrival, incoming), earlier=None, now=now)
    assert arrival.message is not None
    return arrival.message.conversation


def _named(arrival: Arrival, conversation_id: int | None) -> Conversation | None:
    """Only in the inbox it came to: who writes to sales is not answered by support."""
    if conversation_id is None:
        return None
    found = Conversation.objects.filter(pk=conversation_id, inbox=arrival.inbox_id)
    return found.select_related("customer").first()


def _open_one(arrival: Arrival, named: Conversation | None, customer: Customer | None) -> Conversation | None:
    if named is not None and named.is_open:
        return named
    if customer is None:
        return None
    own = Conversation.objects.open().filter(inbox=arrival.inbox_id, customer=customer)
    # Locked, so that it is not closed while this is added to it.
    return own.select_for_update(no_key=True, of=("self",)).select_related("customer").order_by("-id").first()


def _known_customer(arrival: Arrival) -> Customer | None:
    """Whose address this is for certain, or who wrote from it before.

    What somebody merely claimed in a chat does not count: his record must not collect a stranger's mail. A sender can
    be forged, yet answers go to the address and not to who forged it.
    """
    kind = CONTACT_KINDS[InboxKind(arrival.kind)]
    verified = ContactPoint.objects.filter(kind=kind, value=arrival.sender, is_verified=True)
    if (point := verified.select_related("customer").first()) is not None:
        return point.customer
    before = Arrival.objects.filter(inbox__kind=arrival.kind, sender=arrival.sender, message__isnull=False)
    last = before.select_related("message__conversation__customer__merged_into").order_by("-id").first()
    if last is None or last.message is None:
        return None
    customer = last.message.conversation.customer
    return customer.merged_into or customer


def _new_customer(arrival: Arrival, incoming: Incoming) -> Customer:
    """His address is unverified: nothing but a sender's word stands behind it."""
    assert arrival.inbox is not None
    customer = customers.create(by=SYSTEM, teams=[arrival.inbox.team], name=_name(incoming))
    # A name instead of a number, as advertisers have: it is read, and cannot be answered.
    with suppress(EMLError):
        customers.add_contact(
            customer,
            kind=CONTACT_KINDS[InboxKind(arrival.kind)],
            value=arrival.sender,
            by=SYSTEM,
            is_dialled=False,
        )
    return customer


def _begin(
    arrival: Arrival, incoming: Incoming, customer: Customer, *, earlier: Conversation | None, now: datetime
) -> None:
    """A conversation that ended stays ended: who writes again gets in line anew, and the agent is told what it goes
    on from."""
    body = _body(incoming)
    assert arrival.inbox is not None
    conversation = conversations.start(
        arrival.inbox, customer=customer, body=body, now=now, is_left_message=True
    )
    if earlier is not None:
        number = earlier.pk
        conversations.tell(
            conversation.pk, lambda: _("This goes on from conversation %(id)s.") % {"id": number}
        )
    arrival.message = conversation.messages.get(seq=1)
    arrival.save(update_fields=["message"])
    kept, refused = _files(conversation, incoming, now=now)
    if kept or refused:
        _send(conversation, _missing(refused), kept)


def _say(arrival: Arrival, incoming: Incoming, conversation: Conversation, *, now: datetime) -> None:
    kept, refused = _files(conversation, incoming, now=now)
    body = policy.fitting("\n\n".join(part for part in (_body(incoming), _missing(refused)) if part))
    arrival.message = conversation.messages.get(pk=_send(conversation, body, kept))
    arrival.save(update_fields=["message"])


def _send(conversation: Conversation, body: str, files: tuple[UUID, ...]) -> int:
    draft = messages.Draft(
        conversation_id=conversation.pk,
        sender=Sender.CUSTOMER,
        body=body,
        actor_ref=conversation.customer.actor_ref,
        attachment_ids=files,
    )
    return messages.send(draft).id


def _body(incoming: Incoming) -> str:
    return policy.own_words(incoming.text) or incoming.subject or _("(empty message)")


def _missing(names: list[str]) -> str:
    """What came and could not be kept, so that nobody waits for it."""
    return "\n".join(_("[File not accepted: %(name)s]") % {"name": name[:100]} for name in names)


def _files(
    conversation: Conversation, incoming: Incoming, *, now: datetime
) -> tuple[tuple[UUID, ...], list[str]]:
    kept, refused = [], []
    for name, content in incoming.files[: policy.MOST_ATTACHMENTS]:
        try:
            upload = SimpleUploadedFile(name or "file", content)
            kept.append(attachments.store(conversation, upload, by=conversation.customer, now=now).pk)
        except EMLError:
            refused.append(name or "file")
    return tuple(kept), refused + [name for name, _content in incoming.files[policy.MOST_ATTACHMENTS :]]
