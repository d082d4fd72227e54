"""What the pages of this floor share: actions that need a choice ask for it on a page, and a few things look alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from itertools import count
from typing import Any

from django import forms
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.core.admin_base import site

# A page of the list, and no more: each row is a transaction of its own.
MOST_AT_ONCE = 200


def ask(
    request: HttpRequest,
    *,
    form: type[forms.Form],
    action: str,
    title: str,
    rows: Iterable[Model],
    then: Callable[[dict[str, Any]], None],
    back: str = "",
) -> HttpResponse | None:
    """The page between an action and its effect: asks for what it needs, then does it and returns to the list.

    `back` is where to go instead when the question is a page of its own.
    """
    rows = list(rows[:MOST_AT_ONCE])  # type: ignore[index]
    filled = form(request.POST if "apply" in request.POST else None)
    if "apply" in request.POST and filled.is_valid():
        then(filled.cleaned_data | {"rows": rows})
        return redirect(back) if back else None
    context = site.each_context(request) | {
        "title": title,
        "form": filled,
        "rows": rows,
        "action": action,
        "back": back,
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/routing/ask.html", context)


def table(head: Iterable[Any], rows: Iterable[Iterable[Any]], *, numbers: Collection[int] = ()) -> SafeString:
    """A plain table; every cell is escaped unless it is safe already. `numbers` are the columns of figures."""
    return format_html(
        '<div class="overflow-x-auto"><table class="text-left">'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>",
        _cells('<th scope="col" class="py-1 pr-6 font-semibold{}">{}</th>', head, numbers),
        format_html_join(
            "", "<tr>{}</tr>", ((_cells('<td class="py-1 pr-6{}">{}</td>', row, numbers),) for row in rows)
        ),
    )


def _cells(cell: str, values: Iterable[Any], numbers: Collection[int]) -> SafeString:
    looks = (" text-right tabular-nums" if column in numbers else "" for column in count())
    return format_html_join("", cell, zip(looks, values, strict=False))


def ago(moment: datetime | None) -> str:
    """How long it is since then: 4 s, 3 min, 2 h 5 min."""
    if moment is None:
        return "–"
    seconds = max(int((timezone.now() - moment).total_seconds()), 0)
    if seconds < 60:
        return _("%(seconds)d s") % {"seconds": seconds}
    if seconds < 3600:
        return _("%(minutes)d min") % {"minutes": seconds // 60}
    return _("%(hours)d h %(minutes)d min") % {"hours": seconds // 3600, "minutes": seconds % 3600 // 60}
