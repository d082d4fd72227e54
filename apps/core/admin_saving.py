"""Pages of the admin that save through services: what those refuse is said in the form, with all that was typed."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse

from .errors import EMLError


class TellsWhy:
    """What a service refuses is said in the form, which is shown again as it was filled in; nothing was saved then."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)  # type: ignore[misc]
        except EMLError as error:
            if request.method != "POST":
                raise
            # Once more, rolled back by now: with this error of its form the admin saves nothing and shows it.
            request.refused = error  # type: ignore[attr-defined]
            return super().changeform_view(request, *args, **kwargs)  # type: ignore[misc]

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, **kwargs)  # type: ignore[misc]
        error = getattr(request, "refused", None)
        return type(form.__name__, (_Refused, form), {"refused": error}) if error else form


class _Refused(BaseForm):
    refused: EMLError

    def full_clean(self) -> None:
        super().full_clean()
        if not self.is_bound:
            return
        if not self.refused.fields:
            self.add_error(None, str(self.refused))
        for name, texts in self.refused.fields.items():
            self.add_error(name if name in self.fields else None, texts)


def become(row: Model, saved: Model) -> None:
    """The admin goes on with the object of its form; let it be the one that the service saved."""
    row.__dict__.update(saved.__dict__)
