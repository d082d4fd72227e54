"""Questions about people, scoped to who asks."""

from __future__ import annotations

from contextlib import suppress

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db.models import Prefetch, Q, QuerySet

from apps.core.errors import EMLError

from . import contacts
from .choices import Role
from .models import ContactPoint, Customer, Team, User

# Longer than anything stored, so nothing can match.
MOST_SEARCH_CHARACTERS = 254


def users_visible_to(user: User) -> QuerySet[User]:
    """Administrators see everybody; everybody else himself and the members of his teams."""
    if user.has_role(Role.ADMIN):
        return User.objects.all()
    if not user.has_role(Role.AGENT):
        return User.objects.filter(id=user.pk)
    colleagues = User.teams.through.objects.filter(team__in=user.teams.values("id"))
    return User.objects.filter(Q(id=user.pk) | Q(id__in=colleagues.values("user_id")))


def teams_visible_to(user: User) -> QuerySet[Team]:
    return Team.objects.all() if user.has_role(Role.ADMIN) else Team.objects.filter(members=user)


def customers_visible_to(user: User) -> QuerySet[Customer]:
    """Administrators see all; agents and supervisors the customers of their teams. Merged doubles are not shown."""
    if user.has_role(Role.ADMIN):
        return Customer.objects.current()
    if not user.has_role(Role.AGENT):
        return Customer.objects.none()
    shared = Customer.teams.through.objects.filter(team__in=user.teams.values("id"))
    return Customer.objects.current().filter(id__in=shared.values("customer_id"))


def search_customers(user: User, text: str) -> QuerySet[Customer]:
    """Visible customers whose name contains `text`, or whose e-mail, phone or external id is `text`."""
    text = text.strip()
    if len(text) > MOST_SEARCH_CHARACTERS:
        return Customer.objects.none()
    if not text:
        return customers_visible_to(user)
    points = ContactPoint.objects.filter(_contact_matches(text))
    matches = Q(name__icontains=text) | Q(external_id=text) | Q(id__in=points.values("customer_id"))
    return customers_visible_to(user).filter(matches)


def _contact_matches(text: str) -> Q:
    """Whole addresses only: that is what somebody types from a letter, and it uses the index."""
    values = {text.lower()}
    with suppress(EMLError):
        values.add(contacts.phone(text))
    return Q(value__in=values)


def with_contacts(customers: QuerySet[Customer]) -> QuerySet[Customer]:
    """Ready to be shown: contacts and teams in one query each, however many customers."""
    points = Prefetch("contact_points", ContactPoint.objects.order_by("kind", "id"))
    return customers.prefetch_related(points, "teams")


def has_second_factor(user: User) -> bool:
    return Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.RECOVERY_CODES).exists()


def must_set_up_second_factor(user: User) -> bool:
    """Supervisors and administrators need a second factor where the installation says so."""
    return settings.REQUIRE_MFA and user.has_role(Role.SUPERVISOR) and not has_second_factor(user)
