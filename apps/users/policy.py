"""Who may manage whom: pure rules about roles and teams."""

from __future__ import annotations

from collections.abc import Iterable, Set

from .choices import Role

_ORDER = tuple(Role)


def rank(role: str | None) -> int:
    return -1 if role is None else _ORDER.index(Role(role))


def highest(roles: Iterable[str]) -> Role | None:
    return max((Role(role) for role in roles), key=rank, default=None)


def may_manage(*, by: str | None, user: str | None, shares_team: bool) -> bool:
    """Administrators manage everybody; supervisors the people of their teams who are not above them."""
    if by == Role.ADMIN:
        return True
    return by == Role.SUPERVISOR and shares_team and rank(user) <= rank(by)


def may_grant(*, by: str | None, old: str | None, new: str | None) -> bool:
    """Nobody grants a role above his own, nor takes one away that is above his own. Agents grant nothing."""
    return rank(by) >= rank(Role.SUPERVISOR) and rank(by) >= max(rank(old), rank(new))


def may_change_teams(*, by: str | None, own: Set[int], changed: Set[int]) -> bool:
    """Supervisors let people into and out of their own teams only."""
    return by == Role.ADMIN or (by == Role.SUPERVISOR and changed <= own)


def home_path(role: str | None) -> str:
    """Where work begins after signing in."""
    if role is None:
        return "/account/profile/"
    return "/console/" if role == Role.AGENT else "/admin/"
