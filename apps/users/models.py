"""Who people are: users and their teams, customers and how to reach them, one-time tickets for sockets."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from zoneinfo import available_timezones

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from .choices import ContactKind, Role


def validate_time_zone(value: str) -> None:
    if value not in available_timezones():
        raise ValidationError(
            _("There is no time zone called %(zone)s."), params={"zone": value[:50]}, code="time_zone"
        )


# Free facts from other systems, shown on the customer's card: few and flat.
MOST_ATTRIBUTES, MOST_ATTRIBUTE_CHARACTERS = 50, 500


def validate_attributes(value: object) -> None:
    if not isinstance(value, dict) or len(value) > MOST_ATTRIBUTES:
        raise ValidationError(_("Attributes are up to 50 names with values."), code="attributes")
    for name, fact in value.items():
        is_flat = fact is None or isinstance(fact, str | int | float | bool)
        if not is_flat or max(len(name), len(str(fact))) > MOST_ATTRIBUTE_CHARACTERS:
            raise ValidationError(
                _("An attribute is a text of up to 500 characters, a number, true, false or null."),
                code="attributes",
            )


class Team(models.Model):
    """People who share conversations: what a team may see, all its members may see."""

    name = models.CharField(_("name"), max_length=100, unique=True)

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> User:
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, email: str | None) -> User:
        return self.get(email__iexact=email)


class User(AbstractBaseUser, PermissionsMixin):
    """Somebody who works here and signs in by e-mail."""

    email = models.EmailField(_("e-mail"), unique=True)
    name = models.CharField(_("name"), max_length=100)
    teams = models.ManyToManyField(Team, verbose_name=_("teams"), blank=True, related_name="members")
    time_zone = models.CharField(
        _("time zone"), max_length=64, default="UTC", validators=[validate_time_zone]
    )
    language = models.CharField(_("language"), max_length=10, default="en")
    is_active = models.BooleanField(_("active"), default=True, help_text=_("Switch off instead of deleting."))
    is_staff = models.BooleanField(_("may open the admin"), default=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    # Part of every session's and token's fingerprint: raising it signs the user out everywhere.
    sign_in_epoch = models.PositiveIntegerField(default=0, editable=False)

    objects = UserManager()
    history = HistoricalRecords(
        excluded_fields=["password", "last_login", "sign_in_epoch"], m2m_fields=[teams]
    )

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once")]

    def __str__(self) -> str:
        return self.name or self.email

    def save(self, **options: Any) -> None:
        """A row read before a sign-out must not bring the old epoch back: only `end_all` ever writes it."""
        if not self._state.adding and options.get("update_fields") is None:
            own = (field.name for field in self._meta.concrete_fields if not field.primary_key)
            options["update_fields"] = [name for name in own if name != "sign_in_epoch"]
        super().save(**options)

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name.split(" ")[0] or self.email

    @property
    def actor_ref(self) -> str:
        return f"user:{self.pk}"

    @cached_property
    def roles(self) -> frozenset[str]:
        """The user's own roles and every lower one."""
        order = list(Role)
        own = {name for name in self.groups.values_list("name", flat=True) if name in Role.values}
        if self.is_superuser:
            own.add(Role.ADMIN)
        highest = max((order.index(Role(name)) for name in own), default=-1)
        return frozenset(order[: highest + 1])

    def has_role(self, role: Role) -> bool:
        return self.is_active and role in self.roles

    def get_session_auth_hash(self) -> str:
        return self._fingerprint()

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        return self._fingerprint(secret)

    def _fingerprint(self, secret: str | None = None) -> str:
        value = f"{self.password}:{self.sign_in_epoch}"
        return salted_hmac("apps.users.session", value, secret=secret, algorithm="sha256").hexdigest()


class CustomerQuerySet(models.QuerySet):
    def current(self) -> CustomerQuerySet:
        """Without those who were merged into another record."""
        return self.filter(merged_into=None)


class Customer(models.Model):
    """Somebody who writes or calls. What a visitor claims about himself is kept as unverified."""

    name = models.CharField(_("name"), max_length=200, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True, validators=[validate_time_zone])
    language = models.CharField(_("language"), max_length=10, blank=True)
    external_id = models.CharField(_("external id"), max_length=100, null=True, blank=True, unique=True)
    attributes = models.JSONField(_("attributes"), default=dict, blank=True, validators=[validate_attributes])
    teams = models.ManyToManyField(Team, verbose_name=_("teams"), blank=True, related_name="customers")
    merged_into = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="merged",
        verbose_name=_("merged into"),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)

    objects = CustomerQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        indexes = [models.Index(Lower("name"), name="customer_by_name")]

    def __str__(self) -> str:
        return self.name or str(_("Visitor %(id)s") % {"id": self.pk})

    @property
    def actor_ref(self) -> str:
        return f"customer:{self.pk}"


class ContactPoint(models.Model):
    """One e-mail address or phone number (E.164) of a customer."""

    customer = models.ForeignKey(
        Customer, models.CASCADE, related_name="contact_points", verbose_name=_("customer")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=ContactKind)
    value = models.CharField(_("value"), max_length=254)
    is_verified = models.BooleanField(_("verified"), default=False)

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        constraints = [
            models.UniqueConstraint(fields=["customer", "kind", "value"], name="contact_point_once"),
            models.UniqueConstraint(
                fields=["kind", "value"],
                condition=models.Q(is_verified=True),
                name="contact_point_verified_once",
            ),
        ]
        indexes = [models.Index(fields=["kind", "value"], name="contact_point_by_value")]

    def __str__(self) -> str:
        return self.value


class Ticket(models.Model):
    """Lets one websocket in, once, within 30 seconds; only its hash is kept."""

    token_hash = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    sign_in_epoch = models.PositiveIntegerField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")

    def __str__(self) -> str:
        return f"ticket {self.pk}"
