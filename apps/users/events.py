"""What happens to people. Payloads hold ids and codes only."""

from __future__ import annotations

from dataclasses import dataclass

from apps.core.events import Fact


@dataclass(frozen=True)
class UserCreated(Fact, type="users.user.created"):
    user: int


@dataclass(frozen=True)
class UserChanged(Fact, type="users.user.changed"):
    user: int
    fields: list[str]


@dataclass(frozen=True)
class UserActivated(Fact, type="users.user.activated"):
    user: int


@dataclass(frozen=True)
class UserDeactivated(Fact, type="users.user.deactivated"):
    user: int


@dataclass(frozen=True)
class UserRoleChanged(Fact, type="users.user.role_changed"):
    """The highest role before and after; None is no role at all."""

    user: int
    old: str | None
    new: str | None


@dataclass(frozen=True)
class UserTeamsChanged(Fact, type="users.user.teams_changed"):
    user: int
    added: list[int]
    removed: list[int]


@dataclass(frozen=True)
class UserSignedOut(Fact, type="users.user.signed_out"):
    """Every session, token and ticket of the user ended; `reason` is a SignOutReason."""

    user: int
    reason: str


@dataclass(frozen=True)
class CustomerCreated(Fact, type="users.customer.created"):
    customer: int


@dataclass(frozen=True)
class CustomerChanged(Fact, type="users.customer.changed"):
    customer: int
    fields: list[str]


@dataclass(frozen=True)
class CustomerMerged(Fact, type="users.customer.merged"):
    """`customer` is history now; whatever points at it belongs to `into`."""

    customer: int
    into: int
