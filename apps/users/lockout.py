"""What somebody hears who tried too many passwords, and whom the tries are counted for."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from apps.core.api import errors as answers
from apps.core.errors import TooMany


class LockedOut(TooMany):
    code = "locked_out"
    detail = _("Too many wrong passwords. Please try again in ten minutes.")
    retry_after = int(settings.AXES_COOLOFF_TIME.total_seconds())


def locked_out(request: HttpRequest, *args: Any) -> HttpResponse:
    """For AXES_LOCKOUT_CALLABLE: a page, or the JSON error under /api/."""
    return answers.respond(request, answers.answer_to(LockedOut()))


def tried_name(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """For AXES_USERNAME_CALLABLE: the address that was tried, however the door calls it and however it is written."""
    sent = credentials or request.POST
    name = next((sent[key] for key in ("email", "username", "login") if sent.get(key)), "")
    return str(name).strip().lower()[:254]
