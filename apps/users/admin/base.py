"""What the pages of this floor share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import ngettext

from apps.core.errors import EMLError

from ..permissions import user_of


class TellsWhy:
    """What a service refuses is said on the page; nothing was saved then."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)  # type: ignore[misc]
        except EMLError as error:
            messages.error(request, str(error))
            return redirect(request.get_full_path())

    def do_each(self, request: HttpRequest, rows: Iterable, do: Any) -> None:
        done = 0
        for row in rows:
            try:
                do(row, by=user_of(request))
                done += 1
            except EMLError as error:
                messages.error(request, f"{row}: {error}")
        if done:
            messages.success(request, ngettext("%d record changed.", "%d records changed.", done) % done)


def become(row: Model, saved: Model) -> None:
    """The admin goes on with the object of its form; let it be the one that the service saved."""
    row.__dict__.update(saved.__dict__)
