"""Nobody may do anything until a view says who may."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request


class DenyAll(BasePermission):
    """The default: a view that forgot to name its policy is closed, not open."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return False

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        return False


class ReadOnly(BasePermission):
    """To be combined: `[IsSupervisor | ReadOnly & IsAgent]`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.method in SAFE_METHODS
