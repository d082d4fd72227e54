"""What the pages of this floor share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from apps.core.errors import EMLError

from .. import texts
from ..choices import Way
from ..models import TemplateVersion


class TellsWhy:
    """What a service refuses is said on the page; nothing was saved then."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)  # type: ignore[misc]
        except EMLError as error:
            messages.error(request, str(error))
            return redirect(request.get_full_path())


def become(row: Model, saved: Model) -> None:
    """The admin goes on with the object of its form; let it be the one that the service saved."""
    row.__dict__.update(saved.__dict__)


def versions_shown(versions: Iterable[TemplateVersion]) -> list[dict[str, Any]]:
    """Versions from `selectors.versions_of`, each with what was different before."""
    return [
        {
            "number": version.number,
            "at": version.at,
            "by": version.by,
            "path": reverse("admin:notifications_templateversion_change", args=[version.pk]),
            "changes": [
                {"where": f"{Way(change.way).label}, {change.language}, {change.part}", "lines": change.lines}
                for change in texts.changes(version.texts_before or {}, version.texts)  # type: ignore[attr-defined]
            ],
        }
        for version in versions
    ]
