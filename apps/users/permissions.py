"""Who may call an API view, by role. A higher role includes the lower ones."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from .choices import Role
from .models import User


def user_of(request: Any) -> User:
    """Who is signed in. For doors that let nobody else in; should one forget to, this does not."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


class HasRole(BasePermission):
    role: ClassVar[Role]

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, User) and request.user.has_role(self.role)


class IsAgent(HasRole):
    role = Role.AGENT


class IsSupervisor(HasRole):
    role = Role.SUPERVISOR


class IsSignedIn(BasePermission):
    """Any active user, even one without a role; customers are no users."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, User) and request.user.is_active
