"""The record of a conversation: where it arrived, who spoke, every message in order, and what staff noted."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from apps.users.models import Customer, Team

from .choices import CloseReason, InboxKind, Quarantined, Sender, Status


class Disposition(models.Model):
    """What a conversation came to, chosen when it is closed."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("disposition")
        verbose_name_plural = _("dispositions")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    name = models.CharField(_("name"), max_length=50, unique=True)

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CannedReply(models.Model):
    """A ready text; `{customer.name}` and the other placeholders of apps.messaging.canned are filled in."""

    shortcut = models.SlugField(_("shortcut"), max_length=50, help_text=_("Agents type / and this word."))
    title = models.CharField(_("title"), max_length=100)
    body = models.TextField(_("text"), max_length=4000)
    team = models.ForeignKey(
        Team,
        models.CASCADE,
        null=True,
        blank=True,
        verbose_name=_("team"),
        help_text=_("Empty: for all teams."),
    )
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("canned reply")
        verbose_name_plural = _("canned replies")
        ordering = ["shortcut"]
        constraints = [
            models.UniqueConstraint(fields=["shortcut", "team"], name="canned_reply_shortcut_once"),
            models.UniqueConstraint(
                fields=["shortcut"], condition=Q(team__isnull=True), name="canned_reply_shared_shortcut_once"
            ),
        ]

    def __str__(self) -> str:
        return f"/{self.shortcut}"


class Inbox(models.Model):
    """The place messages arrive."""

    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(
        _("address"),
        unique=True,
        help_text=_("How the address of the chat page ends: “support” in /chat/support/."),
    )
    kind = models.CharField(_("kind"), max_length=20, choices=InboxKind, default=InboxKind.CHAT)
    # Where customers write to (e-mail, SMS) and whom answers come from.
    address = models.CharField(
        _("e-mail address or number"),
        max_length=254,
        blank=True,
        help_text=_("For e-mail and SMS: support@example.com, or +4930901820. Empty for a chat."),
    )
    team = models.ForeignKey(Team, models.PROTECT, verbose_name=_("team"), related_name="inboxes")
    language = models.CharField(_("language"), max_length=10, default="en")
    greeting = models.CharField(
        _("greeting"),
        max_length=300,
        default="Hello! How can we help?",
        help_text=_("Shown before the first message."),
    )
    away_text = models.CharField(
        _("text when nobody is signed in"),
        max_length=300,
        default="Nobody is at the desk right now. Leave your message: it keeps its place, and we answer here later.",
    )
    allowed_origins = models.JSONField(
        _("pages that may embed the widget"),
        default=list,
        blank=True,
    )
    idle_close_minutes = models.PositiveIntegerField(
        _("close after silence of (minutes)"),
        default=24 * 60,
        help_text=_("An answered conversation in which nobody wrote for so long is closed. 0: never."),
    )
    is_active = models.BooleanField(_("active"), default=True)
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("inbox")
        verbose_name_plural = _("inboxes")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "address"], condition=~Q(address=""), name="inbox_address_once"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ConversationQuerySet(models.QuerySet):
    def open(self) -> ConversationQuerySet:
        return self.exclude(status=Status.CLOSED)


class Conversation(models.Model):
    """One contact of one customer, from its first message to its disposition."""

    inbox = models.ForeignKey(Inbox, models.PROTECT, related_name="conversations", verbose_name=_("inbox"))
    customer = models.ForeignKey(
        Customer, models.PROTECT, related_name="conversations", verbose_name=_("customer")
    )
    team = models.ForeignKey(Team, models.PROTECT, related_name="conversations", verbose_name=_("team"))
    agent = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="conversations",
        verbose_name=_("agent"),
    )
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.WAITING)
    # Chosen by the customer's browser: a repeated start finds the conversation it already opened.
    start_key = models.UUIDField(unique=True, null=True, editable=False)
    # Gap-free counter of messages, raised inside the message's transaction.
    last_seq = models.PositiveIntegerField(default=0)
    last_message_at = models.DateTimeField(_("last message"), null=True)
    last_sender = models.CharField(max_length=10, choices=Sender, blank=True)
    preview = models.CharField(_("preview"), max_length=120, blank=True)
    customer_read_seq = models.PositiveIntegerField(default=0)
    agent_read_seq = models.PositiveIntegerField(default=0)
    # Nobody was signed in: the customer left a message and does not wait at the screen.
    is_left_message = models.BooleanField(_("left as a message"), default=False)
    tags = models.ManyToManyField(Tag, blank=True, related_name="conversations", verbose_name=_("tags"))
    opened_at = models.DateTimeField(_("opened"), default=timezone.now)
    assigned_at = models.DateTimeField(_("with this agent since"), null=True)
    first_answer_at = models.DateTimeField(_("first answer"), null=True)
    closed_at = models.DateTimeField(_("closed"), null=True)
    close_reason = models.CharField(_("closed because"), max_length=20, choices=CloseReason, blank=True)
    disposition = models.ForeignKey(
        Disposition,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="conversations",
        verbose_name=_("disposition"),
    )
    rating = models.PositiveSmallIntegerField(
        _("rating"), null=True, validators=[MinValueValidator(1), MaxValueValidator(5)]
    )
    rating_comment = models.CharField(_("rating comment"), max_length=1000, blank=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        constraints = [
            models.CheckConstraint(
                condition=Q(status=Status.ACTIVE, agent__isnull=False) | ~Q(status=Status.ACTIVE),
                name="conversation_active_has_agent",
            ),
            models.CheckConstraint(
                condition=Q(status=Status.WAITING, agent__isnull=True) | ~Q(status=Status.WAITING),
                name="conversation_waiting_has_no_agent",
            ),
            models.CheckConstraint(
                condition=Q(customer_read_seq__lte=F("last_seq"), agent_read_seq__lte=F("last_seq")),
                name="conversation_read_not_beyond_last",
            ),
        ]
        indexes = [
            models.Index(
                fields=["agent", "-last_message_at"],
                condition=Q(status=Status.ACTIVE),
                name="conversation_desk",
            ),
            models.Index(fields=["team", "-id"], name="conversation_by_team"),
            models.Index(fields=["customer", "-id"], name="conversation_by_customer"),
            models.Index(fields=["status", "last_message_at"], name="conversation_by_status"),
            models.Index(fields=["-opened_at"], name="conversation_by_opening"),
        ]

    def __str__(self) -> str:
        return _("Conversation %(id)s") % {"id": self.pk}

    @property
    def stream(self) -> str:
        return stream(self.pk)

    @property
    def is_open(self) -> bool:
        return self.status != Status.CLOSED


def stream(conversation_id: int) -> str:
    """The name of a conversation's stream in the event log."""
    return f"conversation:{conversation_id}"


class Message(models.Model):
    """What was said, in order: `seq` runs 1, 2, 3 … without a gap in each conversation."""

    conversation = models.ForeignKey(Conversation, models.PROTECT, related_name="messages")
    seq = models.PositiveIntegerField()
    sender = models.CharField(max_length=10, choices=Sender)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    body = models.TextField(max_length=8000, blank=True)
    # Chosen by the sender, so that a retry is answered and not stored twice.
    client_msg_id = models.UUIDField(null=True)
    at = models.DateTimeField()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["seq"]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "seq"], name="message_seq_once"),
            models.UniqueConstraint(
                fields=["conversation", "sender", "client_msg_id"],
                condition=Q(client_msg_id__isnull=False),
                name="message_client_id_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.conversation_id}/{self.seq}"


class Note(models.Model):
    """What staff wrote for each other. Not a message: a customer's door never reads this table."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="notes")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    body = models.TextField(_("note"), max_length=4000)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"note {self.pk}"


def attachment_path(attachment: Attachment, filename: str) -> str:
    """A random key: nothing of the sender's file name reaches the disk."""
    return f"attachments/{attachment.id.hex[:2]}/{attachment.id.hex}"


class Attachment(models.Model):
    """A file, stored before the message that names it; without one it is swept after a day."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="attachments")
    message = models.ForeignKey(Message, models.CASCADE, null=True, related_name="attachments")
    uploaded_by = models.CharField(max_length=40)
    file = models.FileField(upload_to=attachment_path, max_length=120)
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=100)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        indexes = [
            models.Index(fields=["created_at"], condition=Q(message__isnull=True), name="attachment_unused"),
            models.Index(fields=["uploaded_by", "created_at"], name="attachment_quota"),
        ]

    def __str__(self) -> str:
        return self.name


class ArrivalQuerySet(models.QuerySet):
    def once_held(self) -> ArrivalQuerySet:
        return self.exclude(quarantined_because="")

    def held(self) -> ArrivalQuerySet:
        return self.once_held().filter(settled_at=None)


class Arrival(models.Model):
    """What came by e-mail or SMS, whole; `message` is what the conversation shows of it, once it is in one.

    Held back (`quarantined_because`) until somebody takes it into a conversation or drops it (`settled_at`).
    """

    kind = models.CharField(_("kind"), max_length=20, choices=InboxKind)
    # Empty when no inbox has the address it was sent to.
    inbox = models.ForeignKey(
        Inbox, models.PROTECT, null=True, related_name="arrivals", verbose_name=_("inbox")
    )
    message = models.OneToOneField(Message, models.CASCADE, null=True, related_name="arrival")
    # A mail's Message-ID, or the provider's id.
    source_id = models.CharField(max_length=300)
    sender = models.CharField(_("sender"), max_length=254)
    sender_name = models.CharField(_("name of the sender"), max_length=200, blank=True)
    # The addresses it was sent to, as far as they are known.
    to = models.CharField(_("sent to"), max_length=500, blank=True)
    subject = models.CharField(_("subject"), max_length=300, blank=True)
    text = models.TextField(_("text"), blank=True)
    quarantined_because = models.CharField(_("held because"), max_length=20, choices=Quarantined, blank=True)
    at = models.DateTimeField(_("arrived at"), default=timezone.now)
    settled_at = models.DateTimeField(_("decided at"), null=True)
    settled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("decided by"),
    )

    objects = ArrivalQuerySet.as_manager()

    class Meta:
        verbose_name = _("arrival held back")
        verbose_name_plural = _("arrivals held back")
        constraints = [
            models.UniqueConstraint(fields=["inbox", "source_id"], name="arrival_once"),
            models.UniqueConstraint(
                fields=["kind", "source_id"], condition=Q(inbox=None), name="arrival_nowhere_once"
            ),
        ]
        indexes = [
            models.Index(fields=["inbox", "sender", "-id"], name="arrival_by_sender"),
            models.Index(
                fields=["at"], condition=~Q(quarantined_because="") & Q(settled_at=None), name="arrival_held"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sender} → {self.inbox or self.to}"

    @property
    def is_held(self) -> bool:
        return bool(self.quarantined_because) and self.settled_at is None


def held_path(held: HeldFile, filename: str) -> str:
    """As for attachments: nothing of the sender's file name reaches the disk."""
    key = uuid.uuid4().hex
    return f"held/{key[:2]}/{key}"


class HeldFile(models.Model):
    """What came with an arrival that is held back, as it came: nobody has looked into it, and nobody is given it."""

    arrival = models.ForeignKey(Arrival, models.CASCADE, related_name="files")
    file = models.FileField(upload_to=held_path, max_length=120)
    name = models.CharField(max_length=255)
    size = models.PositiveIntegerField()

    class Meta:
        verbose_name = _("held file")
        verbose_name_plural = _("held files")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name


class VisitorSession(models.Model):
    """A customer's key to one conversation in one browser; only the hash of its token is kept."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="sessions")
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name = _("visitor session")
        verbose_name_plural = _("visitor sessions")
        indexes = [models.Index(fields=["expires_at"], name="visitor_session_expiry")]

    def __str__(self) -> str:
        return f"session {self.pk}"
