"""Actions of the admin over several rows: services say why not, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .errors import EMLError


def told(error: EMLError) -> list[str]:
    """The sentences of an error, those about single fields too."""
    return [str(error)] if not error.fields else [text for texts in error.fields.values() for text in texts]


def do_each(request: HttpRequest, rows: Iterable[Model], do: Callable[[Any], Any]) -> None:
    """Do it to each row; what cannot be done is named with its reason, and hinders no other."""
    done = total = 0
    for row in rows:
        total += 1
        try:
            do(row)
            done += 1
        except EMLError as error:
            messages.error(request, f"{row}: {' '.join(told(error))}")
    if 0 < done < total:
        messages.warning(request, _("Done for %(done)s of %(total)s.") % {"done": done, "total": total})
    elif done:
        messages.success(
            request, ngettext("Done for %(count)s.", "Done for all %(count)s.", done) % {"count": done}
        )
