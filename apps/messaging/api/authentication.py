"""Visitors: `Authorization: Visitor <token>`, and nowhere else; what stands in an address ends up in logs."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ..services import visitors
from ..services.visitors import Visitor


class VisitorAuthentication(BaseAuthentication):
    keyword = "visitor"

    def authenticate(self, request: Request) -> tuple[Visitor, None] | None:
        keyword, _space, token = get_authorization_header(request).decode("latin1").partition(" ")
        if keyword.lower() != self.keyword:
            return None
        visitor = visitors.authenticate(token.strip(), now=timezone.now())
        if visitor is None:
            raise AuthenticationFailed(_("This chat is over, or its key is not valid."), code="token_invalid")
        return visitor, None

    def authenticate_header(self, request: Request) -> str:
        return "Visitor"


class IsVisitor(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, Visitor)


def visitor_of(request: Any) -> Visitor:
    """Who asks. For doors that let only visitors in; should one forget to, this does not."""
    if not isinstance(request.user, Visitor):
        raise PermissionDenied
    return request.user


class _VisitorScheme(OpenApiAuthenticationExtension):
    target_class = VisitorAuthentication
    name = "visitor"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        text = "`Visitor <token>` with the token of the call that started the chat."
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": text}
