"""What `planning.plan` has to know, for many deliveries at once: read-only, as many queries for one as for thousands.

Rows need not be saved: the preview asks about deliveries that do not exist yet.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q

from apps.core.among import among
from apps.users.models import ContactPoint, Customer, User

from .. import planning
from ..choices import CatchUp, DeliveryState, Reason, Way
from ..models import Campaign, Delivery, Preference, Purpose, SendingRule, Suppression
from . import rendering
from .preferences import CONTACT_KINDS, tidy

# A reminder that is not to be caught up is worth nothing when it is this late.
MISSED_AFTER = timedelta(minutes=15)
# Purposes, rules and texts that are older are asked for again. A batch goes by what held when it began, and takes about
# as long.
SETUP_SECONDS = 1.0
WENT_OUT = (DeliveryState.SENT, DeliveryState.DELIVERED)
# Where somebody may live and a week may begin: enough to find all that counts for a cap.
CAPS_LOOK_BACK = timedelta(days=9)


@dataclass(frozen=True, slots=True)
class Known:
    """What goes into `planning.plan` for one delivery."""

    slot: planning.Slot
    recipient: planning.Recipient
    rule: planning.Rule


def gather(rows: Sequence[Delivery], *, now: datetime) -> list[Known]:
    """For each row, in order. Sets `customer` and `user` of the rows; a merged customer stands for who he was found to
    be. Caps count what went out on the day and in the week (from Monday) of the row's own time, in local time."""
    world = load(rows)
    return [_known(row, world, now=now) for row in rows]


def decide(row: Delivery, world: World, *, now: datetime) -> planning.Verdict:
    """What becomes of one of the rows that `world` was loaded for, if it is looked at `now`: the sender and the preview
    ask here, in the order in which rows are due. What goes out counts for the caps of those after it.

    Sets `row.address`.
    """
    known = _known(row, world, now=now)
    row.address = known.recipient.address or row.address
    verdict = planning.plan(known.slot, known.recipient, known.rule, now=now)
    if isinstance(verdict, planning.Goes):
        world.sent[_counted_for(row, world)].append(now)
    return verdict


# For whom, for which purpose and by which way caps count.
_Key = tuple[str, int | None, str]
# The purpose and the way that a rule is for.
_RuleKey = tuple[int | None, str]


@dataclass(slots=True)
class Setup:
    """What seldom changes, for those who ask about a few rows many times a second. Never older than SETUP_SECONDS."""

    purposes: dict[int, Purpose] = field(default_factory=dict)
    rules: dict[_RuleKey, planning.Rule] = field(default_factory=dict)
    texts: dict[int, dict[str, Any]] = field(default_factory=dict)
    _since: float = field(default_factory=monotonic)

    def learn(self, rows: Sequence[Delivery]) -> None:
        """What these rows need of it."""
        if monotonic() - self._since > SETUP_SECONDS:
            self.purposes, self.rules, self.texts, self._since = {}, {}, {}, monotonic()
        if unknown := _some(row.purpose_id for row in rows) - self.purposes.keys():
            found = Purpose.objects.in_bulk(unknown)
            # The purposes last: one that is known without its rules would be one without rules.
            self.rules |= _rules(found)
            self.purposes |= found
        self.texts |= rendering.texts_of(row for row in rows if row.template_version_id not in self.texts)


@dataclass(slots=True)
class World:
    """What is known about many rows. `texts` (by template version) and `reminders` may be used to write them."""

    customers: dict[int, Customer]
    users: dict[int, User]
    purposes: dict[int, Purpose]
    rules: dict[_RuleKey, planning.Rule]
    # Verified addresses first.
    addresses: dict[tuple[int, str], str] = field(default_factory=dict)
    wishes: dict[tuple[int, int, str], bool] = field(default_factory=dict)
    suppressed: dict[tuple[str, str], Reason] = field(default_factory=dict)
    sent: dict[_Key, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    # Deliveries of the double that the other record got already.
    doubles: set[tuple[str, str, str, str]] = field(default_factory=set)
    texts: dict[int, dict[str, Any]] = field(default_factory=dict)
    reminders: dict[int, rendering.Remembered] = field(default_factory=dict)
    # The local hours of campaigns, by cause.
    hours: dict[str, tuple[time | None, time | None]] = field(default_factory=dict)


def load(rows: Sequence[Delivery], setup: Setup | None = None) -> World:
    """Sets `customer`, `user` and `purpose` of the rows."""
    setup = setup or Setup()
    setup.learn(rows)
    world = World(_customers(rows), _users(rows), setup.purposes, setup.rules, texts=setup.texts)
    set_people(rows, world)
    world.addresses = _addresses(rows, world)
    world.wishes = _wishes(rows, world)
    world.suppressed = _suppressed(rows, world)
    world.sent = _sent(rows, world)
    world.doubles = _doubles(rows, world)
    world.reminders = rendering.reminders_of(rows)
    world.hours = _hours(rows)
    return world


def _some(ids: Iterable[int | None]) -> set[int]:
    return {pk for pk in ids if pk is not None}


def _customers(rows: Sequence[Delivery]) -> dict[int, Customer]:
    """By id, and who they were merged into."""
    found: dict[int, Customer] = {}
    wanted = _some(row.customer_id for row in rows)
    while wanted:
        more = {row.pk: row for row in Customer.objects.filter(among("pk", wanted))}
        found |= more
        wanted = _some(row.merged_into_id for row in more.values()) - found.keys()
    return found


def _users(rows: Sequence[Delivery]) -> dict[int, User]:
    found = User.objects.filter(among("pk", wanted)) if (wanted := _some(row.user_id for row in rows)) else ()
    return {row.pk: row for row in found}


def set_people(rows: Sequence[Delivery], world: World) -> None:
    """So that nobody who works on these rows asks for them again."""
    for row in rows:
        row.customer = world.customers[row.customer_id] if row.customer_id else None
        row.user = world.users[row.user_id] if row.user_id else None
        row.purpose = world.purposes[row.purpose_id] if row.purpose_id else None


def _person(row: Delivery, world: World) -> int | None:
    """The id of the customer who counts: the one a double was merged into."""
    pk = row.customer_id
    while pk is not None and (into := world.customers[pk].merged_into_id) is not None:
        pk = into
    return pk


def _addresses(rows: Sequence[Delivery], world: World) -> dict[tuple[int, str], str]:
    wanted: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        person = _person(row, world)
        if person is not None and not row.address and row.way in CONTACT_KINDS:
            wanted[row.way].add(person)
    found: dict[tuple[int, str], str] = {}
    for way, people in wanted.items():
        points = ContactPoint.objects.filter(among("customer", people), kind=CONTACT_KINDS[Way(way)])
        for person, value in points.order_by("-is_verified", "id").values_list("customer_id", "value"):
            found.setdefault((person, way), value)
    return found


def _address(row: Delivery, world: World) -> str:
    if row.address:
        return row.address
    if (person := _person(row, world)) is not None:
        return world.addresses.get((person, row.way), "")
    if row.user_id is None:
        return row.recipient
    if row.way == Way.IN_APP:
        return world.users[row.user_id].actor_ref
    return world.users[row.user_id].email if row.way == Way.EMAIL else ""


def _wishes(rows: Sequence[Delivery], world: World) -> dict[tuple[int, int, str], bool]:
    people = _some(_person(row, world) for row in rows if row.purpose_id)
    said = Preference.objects.filter(among("customer", people), purpose__in=world.purposes)
    return {
        (customer, purpose, way): wanted
        for customer, purpose, way, wanted in said.values_list(
            "customer_id", "purpose_id", "way", "is_wanted"
        )
    }


def _suppressed(rows: Sequence[Delivery], world: World) -> dict[tuple[str, str], Reason]:
    by_way: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.way in CONTACT_KINDS and (address := _address(row, world)):
            by_way[row.way].add(tidy(row.way, address))
    found: dict[tuple[str, str], Reason] = {}
    for way, addresses in by_way.items():
        listed = Suppression.objects.filter(among("address", addresses), way=way)
        found |= {
            (way, address): Reason(reason) for address, reason in listed.values_list("address", "reason")
        }
    return found


def _counted_for(row: Delivery, world: World) -> _Key:
    person = _person(row, world)
    return f"customer:{person}" if person is not None else row.recipient, row.purpose_id, row.way


def _sent(rows: Sequence[Delivery], world: World) -> dict[_Key, list[datetime]]:
    """When what counts for caps went out, or began to in another batch."""
    found: dict[_Key, list[datetime]] = defaultdict(list)
    capped = [row for row in rows if _is_capped(world.rules.get((row.purpose_id, row.way)))]
    if not capped:
        return found
    earliest = min(row.due_at for row in capped) - CAPS_LOOK_BACK
    # Two batches at once: the one that began to send later counts the other.
    mine = [row.leased_until for row in capped if row.leased_until]
    others = (
        Q(state=DeliveryState.SENDING, leased_until__lt=min(mine)) if mine else Q(state=DeliveryState.SENDING)
    )
    people = _some(_person(row, world) for row in capped) | _some(row.customer_id for row in capped)
    went = Delivery.objects.filter(
        Q(state__in=WENT_OUT, sent_at__gte=earliest) | others,
        Q(customer__in=people) | Q(user__in=_some(row.user_id for row in capped)),
        purpose__in=_some(row.purpose_id for row in capped),
    ).exclude(pk__in=[row.pk for row in rows if row.pk])
    for other in went.only("customer_id", "user_id", "recipient", "purpose_id", "way", "sent_at", "due_at"):
        customer = world.customers.get(other.customer_id or 0)
        into = customer and customer.merged_into_id
        whose = f"customer:{into}" if into else other.recipient
        found[whose, other.purpose_id, other.way].append(other.sent_at or other.due_at)
    return found


def _is_capped(rule: planning.Rule | None) -> bool:
    return rule is not None and (rule.most_per_day is not None or rule.most_per_week is not None)


def _doubles(rows: Sequence[Delivery], world: World) -> set[tuple[str, str, str, str]]:
    """A double and who he is now may both be in a list; he gets it once."""
    merged = [row for row in rows if row.customer_id and _person(row, world) != row.customer_id]
    if not merged:
        return set()
    causes, people = {row.cause for row in merged}, {f"customer:{_person(row, world)}" for row in merged}
    open_or_out = Delivery.objects.filter(cause__in=causes, recipient__in=people).exclude(
        state__in=(DeliveryState.CANCELLED, DeliveryState.SUPPRESSED)
    )
    return set(open_or_out.values_list("cause", "occurrence", "way", "recipient"))


def _hours(rows: Sequence[Delivery]) -> dict[str, tuple[time | None, time | None]]:
    """Of the campaigns that go out at certain hours only."""
    ids = {row.cause.removeprefix("campaign:") for row in rows if row.cause.startswith("campaign:")}
    numbers = [int(pk) for pk in ids if pk.isdigit()]
    if not numbers:
        return {}
    limited = Campaign.objects.filter(pk__in=numbers).exclude(local_from=None, local_until=None)
    return {row.cause: (row.local_from, row.local_until) for row in limited}


# Rules


def _rules(purposes: Mapping[int, Purpose]) -> dict[_RuleKey, planning.Rule]:
    rows = SendingRule.objects.filter(purpose__in=purposes)
    return {(row.purpose_id, row.way): rule_of(row) for row in rows}


def rule_of(row: SendingRule) -> planning.Rule:
    return planning.Rule(
        quiet_from=row.quiet_from,
        quiet_until=row.quiet_until,
        weekdays=frozenset(row.weekdays),
        is_holiday=holidays_of(row.holidays_country, row.holidays_region),
        most_per_day=row.most_per_day,
        most_per_week=row.most_per_week,
    )


@functools.lru_cache(maxsize=256)
def holidays_of(country: str, region: str = "") -> Callable[[date], bool]:
    """A country or region that is not known has no holidays."""
    if not country:
        return planning.no_holidays
    # All calendars of the world, for those who ask for one.
    import holidays

    try:
        calendar = holidays.country_holidays(country.upper(), subdiv=region.upper() or None)
    except NotImplementedError:
        return planning.no_holidays
    return calendar.__contains__


# One delivery

_EVERYTHING = planning.Rule()


def _known(row: Delivery, world: World, *, now: datetime) -> Known:
    rule = world.rules.get((row.purpose_id, row.way), _EVERYTHING)
    recipient = _recipient(row, world)
    if _is_capped(rule):
        recipient = _counted(row, recipient, world, at=max(row.due_at, now))
    most_late = MISSED_AFTER if _is_skipped_when_missed(row, world) else None
    has_text = not row.template_version_id or bool(rendering.text_of(row, world.texts))
    slot = planning.Slot(row.due_at, row.expires_at, most_late, has_text, *world.hours.get(row.cause, ()))
    return Known(slot, recipient, rule)


def _is_skipped_when_missed(row: Delivery, world: World) -> bool:
    reminder = world.reminders.get(rendering.reminder_id(row) or 0)
    return reminder is not None and reminder.catch_up == CatchUp.SKIP and row.cause.startswith("reminder:")


def _recipient(row: Delivery, world: World) -> planning.Recipient:
    address = _address(row, world)
    person = _person(row, world)
    if person is None:
        return planning.Recipient(
            zone=_zone(row.user),
            address=address,
            is_active=row.user is None or row.user.is_active,
            suppressed=world.suppressed.get((row.way, tidy(row.way, address))),
        )
    into = person != row.customer_id
    return planning.Recipient(
        zone=_zone(world.customers[person]),
        address=address,
        wants=world.wishes.get((person, row.purpose_id or 0, row.way)),
        needs_consent=row.purpose is not None and row.purpose.is_marketing,
        suppressed=world.suppressed.get((row.way, tidy(row.way, address))),
        had_it=into and (row.cause, row.occurrence, row.way, f"customer:{person}") in world.doubles,
    )


def _counted(
    row: Delivery, recipient: planning.Recipient, world: World, *, at: datetime
) -> planning.Recipient:
    went = world.sent.get(_counted_for(row, world), ())
    return replace(
        recipient,
        sent_today=sum(same_day(one, at, recipient.zone) for one in went),
        sent_this_week=sum(same_week(one, at, recipient.zone) for one in went),
    )


def same_day(one: datetime, other: datetime, zone: ZoneInfo) -> bool:
    return one.astimezone(zone).date() == other.astimezone(zone).date()


def same_week(one: datetime, other: datetime, zone: ZoneInfo) -> bool:
    return one.astimezone(zone).isocalendar()[:2] == other.astimezone(zone).isocalendar()[:2]


def _zone(person: Any) -> ZoneInfo:
    return ZoneInfo((person and person.time_zone) or settings.TIME_ZONE)
