"""Questions about texts, wishes, campaigns and notices."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from django.db.models import F, OuterRef, Prefetch, Q, QuerySet, Subquery

from apps.messaging.choices import InboxKind
from apps.messaging.models import Inbox, Message
from apps.users.choices import Role
from apps.users.models import Customer, Team, User
from apps.users.selectors import customers_visible_to, users_visible_to

from .choices import PurposeKind, Reason, Way
from .errors import VersionNotFound
from .models import (
    Appointment,
    Attempt,
    Campaign,
    Delivery,
    Notice,
    OutboxMessage,
    Preference,
    Purpose,
    Receipt,
    Reminder,
    Segment,
    Suppression,
    Template,
    TemplateVersion,
)
from .services import answers, claiming
from .services.preferences import CONTACT_KINDS, wants

NOTICES_SHOWN = 30
FOLLOW_UPS_SHOWN = 100


class Choice(NamedTuple):
    """One box of the preference page."""

    purpose: Purpose
    way: Way
    is_wanted: bool

    @property
    def key(self) -> str:
        return f"{self.purpose.pk}-{self.way}"


def ways_of(customer: Customer) -> list[Way]:
    """The ways the customer can be reached by; e-mail when nothing is known yet."""
    return addresses_of(customer) or [Way.EMAIL]


def choices_of(customer: Customer) -> list[Choice]:
    """All that a customer can choose, with what holds now."""
    said = {(row.purpose_id, row.way): row.is_wanted for row in Preference.objects.filter(customer=customer)}
    ways = ways_of(customer)
    return [
        Choice(purpose, way, wants(said.get((purpose.pk, way)), purpose=purpose))
        for purpose in purposes_of_customers()
        for way in ways
    ]


class Consent(NamedTuple):
    """What holds for a purpose by a way, and the customer's word on it if there is one."""

    purpose: Purpose
    way: Way
    is_wanted: bool
    source: str | None
    at: datetime | None


def purposes_of_customers() -> QuerySet[Purpose]:
    return Purpose.objects.filter(is_for_staff=False)


def consents_of(customer: Customer) -> list[Consent]:
    """Every purpose by every way that customers are written to; two queries."""
    said = {(row.purpose_id, row.way): row for row in Preference.objects.filter(customer=customer)}
    return [
        Consent(
            purpose,
            way,
            wants(row.is_wanted if row else None, purpose=purpose),
            row.source if row else None,
            row.at if row else None,
        )
        for purpose in purposes_of_customers()
        for way in CONTACT_KINDS
        for row in [said.get((purpose.pk, way))]
    ]


def stopped_of(customer: Customer) -> QuerySet[Suppression]:
    """Addresses of the customer that nothing is sent to because he asked for it."""
    values = customer.contact_points.values("value")
    return Suppression.objects.filter(
        address__in=values, way__in=list(CONTACT_KINDS), reason=Reason.OPTED_OUT
    )


def notices_of(user: User) -> QuerySet[Notice]:
    """His notification centre, the newest first."""
    return Notice.objects.filter(user=user).order_by("-id")


def unread_notices(user: User) -> int:
    return Notice.objects.filter(user=user, read_at=None).count()


# Templates

# On the page of a template; the list of versions has the rest.
MOST_VERSIONS_SHOWN = 5


def with_current_texts(rows: QuerySet[Template]) -> QuerySet[Template]:
    """Each with its version in force as the only one of `current`."""
    newest = TemplateVersion.objects.filter(number=F("template__version"))
    return rows.prefetch_related(Prefetch("versions", newest, to_attr="current"))


def versions_of(template: Template) -> QuerySet[TemplateVersion]:
    """Newest first, each with the texts of the one before as `texts_before`."""
    before = TemplateVersion.objects.filter(template=OuterRef("template"), number__lt=OuterRef("number"))
    return (
        TemplateVersion.objects.filter(template=template)
        .select_related("by", "template")
        .annotate(texts_before=Subquery(before.order_by("-number").values("texts")[:1]))
        .order_by("-number")
    )


def get_version(pk: int) -> TemplateVersion:
    version = TemplateVersion.objects.select_related("template").filter(pk=pk).first()
    if version is None:
        raise VersionNotFound
    return version


def reminders_visible_to(user: User) -> QuerySet[Reminder]:
    """Administrators see all; supervisors those of their teams and of their teams' customers; agents their own, and
    those of conversations in their teams."""
    if user.has_role(Role.ADMIN):
        return Reminder.objects.all()
    if not user.has_role(Role.AGENT):
        return Reminder.objects.none()
    teams = user.teams.values("id")
    own = Q(user=user) | Q(conversation__team__in=teams)
    if user.has_role(Role.SUPERVISOR):
        own |= Q(team__in=teams) | Q(customer__in=customers_visible_to(user).values("pk"))
    return Reminder.objects.filter(own)


def addresses_of(customer: Customer) -> list[Way]:
    """The ways there is an address for."""
    kinds = set(customer.contact_points.values_list("kind", flat=True))
    return [way for way, kind in CONTACT_KINDS.items() if kind in kinds]


def follow_ups_of(user: User) -> QuerySet[Reminder]:
    """What he asked for in conversations, for himself or for customers, and what he is to be reminded of; the next
    first."""
    own = Q(user=user) | Q(created_by=user, conversation__isnull=False)
    active = reminders_visible_to(user).active().filter(own)  # type: ignore[attr-defined]
    return active.select_related("conversation__customer", "customer", "template").order_by("next_at", "id")


def follow_up_templates() -> QuerySet[Template]:
    """Texts that agents may send to customers: what belongs to a service, never marketing, and nothing for staff."""
    offered = Template.objects.filter(is_active=True, version__gt=0)
    return offered.filter(purpose__is_for_staff=False, purpose__kind=PurposeKind.TRANSACTIONAL).order_by(
        "name"
    )


def team_for(by: User, customer: Customer | None) -> Team | None:
    """The team that what he sets up belongs to: one that both are in, if there is one."""
    return by.teams.filter(customers=customer).first() if customer else by.teams.first()


def appointments_visible_to(user: User) -> QuerySet[Appointment]:
    if user.has_role(Role.ADMIN):
        return Appointment.objects.all()
    if not user.has_role(Role.AGENT):
        return Appointment.objects.none()
    return Appointment.objects.filter(team__in=user.teams.values("id"))


def deliveries_visible_to(user: User) -> QuerySet[Delivery]:
    """Administrators see all; supervisors those to customers and members of their teams, and to nobody in particular
    none."""
    if user.has_role(Role.ADMIN):
        return Delivery.objects.all()
    to_customers = Q(customer__in=customers_visible_to(user).values("id"))
    return Delivery.objects.filter(to_customers | Q(user__in=users_visible_to(user).values("id")))


def outbox_visible_to(user: User) -> QuerySet[OutboxMessage]:
    if user.has_role(Role.ADMIN):
        return OutboxMessage.objects.all()
    return OutboxMessage.objects.filter(delivery__in=deliveries_visible_to(user).values("id"))


def segments_visible_to(user: User) -> QuerySet[Segment]:
    """Those of one's teams, and those of every team; administrators see all."""
    if user.has_role(Role.ADMIN):
        return Segment.objects.all()
    if not user.has_role(Role.SUPERVISOR):
        return Segment.objects.none()
    return Segment.objects.filter(Q(team=None) | Q(team__in=user.teams.values("id")))


def campaigns_visible_to(user: User) -> QuerySet[Campaign]:
    """Administrators see all; supervisors those of their teams."""
    if user.has_role(Role.ADMIN):
        return Campaign.objects.all()
    if not user.has_role(Role.SUPERVISOR):
        return Campaign.objects.none()
    return Campaign.objects.filter(team__in=user.teams.values("id"))


# Answers of agents by e-mail and SMS


def answers_to(message_ids: Collection[int]) -> dict[int, Delivery]:
    """The delivery of each of these messages, by the message, with `last_error` and `last_detail` of its latest attempt
    and, as `came_back`, what its provider told last. One query."""
    if not message_ids:
        return {}
    attempts = Attempt.objects.filter(delivery=OuterRef("pk")).order_by("-number")
    told = Receipt.objects.filter(delivery=OuterRef("pk"), kind__in=("bounced", "failed")).order_by("-id")
    rows = Delivery.objects.filter(cause__in=[answers.cause_of(pk) for pk in message_ids]).annotate(
        last_error=Subquery(attempts.values("error")[:1]),
        last_detail=Subquery(attempts.values("detail")[:1]),
        came_back=Subquery(told.values("kind")[:1]),
    )
    return {answers.message_of(row.cause) or 0: row for row in rows}


def place_of_answer(delivery_id: int) -> tuple[int, int] | None:
    """Conversation and seq of the message that a delivery carries; None when it is no agent's answer."""
    cause = Delivery.objects.filter(pk=delivery_id).values_list("cause", flat=True).first()
    if cause is None or (message := answers.message_of(cause)) is None:
        return None
    return Message.objects.filter(pk=message).values_list("conversation_id", "seq").first()


def hindrance_of_answers(inbox: Inbox, *, now: datetime) -> str:
    """Why nothing that agents write there goes out at the moment: "no_gateway", "resting" or "paused"; else empty."""
    way = answers.WAYS[InboxKind(inbox.kind)]
    return claiming.hindrance(way, priority=answers.PRIORITY, via=answers.gateway_of(inbox), now=now)
