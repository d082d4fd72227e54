"""The admin's look: the only module that imports django-unfold, so that it can be replaced in one place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django import forms
from django.contrib.admin import register, site
from django.contrib.admin.models import LogEntry
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.defaultfilters import linebreaksbr
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin as UnfoldModelAdmin
from unfold.admin import StackedInline, TabularInline
from unfold.contrib.filters.admin import DropdownFilter, TextFilter
from unfold.contrib.filters.admin import RangeDateTimeFilter as UnfoldRangeDateTimeFilter
from unfold.decorators import action
from unfold.decorators import display as unfold_display
from unfold.paginator import InfinitePaginator
from unfold.views import ChangeList as UnfoldChangeList
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget
from unfold.widgets import UnfoldAdminFileFieldWidget as FileWidget
from unfold.widgets import UnfoldAdminPasswordWidget as PasswordWidget
from unfold.widgets import UnfoldAdminSelect2Widget as SearchSelectWidget
from unfold.widgets import UnfoldAdminSelectWidget as SelectWidget
from unfold.widgets import UnfoldAdminSingleDateWidget as DateWidget
from unfold.widgets import UnfoldAdminTextareaWidget as TextareaWidget
from unfold.widgets import UnfoldAdminTextInputWidget as TextWidget

__all__ = [
    "CheckboxesWidget",
    "DateWidget",
    "DropdownFilter",
    "FileWidget",
    "HistoryAdmin",
    "InfinitePaginator",
    "ModelAdmin",
    "Panel",
    "PasswordWidget",
    "RangeDateTimeFilter",
    "ReadOnlyAdmin",
    "SearchSelectWidget",
    "SelectWidget",
    "StackedInline",
    "TabularInline",
    "TextFilter",
    "TextWidget",
    "TextareaWidget",
    "action",
    "display",
    "exact",
    "link",
    "panels",
    "prose",
    "register",
    "short",
    "site",
]


class _Colours(dict[Any, str]):
    """Unfold shows the database's word instead of the reader's for a value without a colour; here it is grey."""

    def __missing__(self, value: Any) -> str:
        return ""


def display(
    *, label: bool | str | Mapping[Any, str] | None = None, **how: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A column or line of a page; with `label` a badge, coloured by the value."""
    return unfold_display(label=_Colours(label) if isinstance(label, Mapping) else label, **how)


class CheckboxesWidget(UnfoldAdminCheckboxSelectMultipleWidget):
    """Long labels go on in the next line: on a phone they would make the page wider than the screen."""

    option_template_name = "core/checkbox_option.html"


class RangeDateTimeFilter(UnfoldRangeDateTimeFilter):
    """Times are those of the viewer's clock. A date alone means all of that day; what is no date is ignored."""

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        for end, lookup, whole_day in (("from", "gte", "00:00:00"), ("to", "lte", "23:59:59")):
            if moment := self._moment(end, whole_day):
                queryset = queryset.filter(**{f"{self.field_path}__{lookup}": moment})
        return queryset

    def _moment(self, end: str, whole_day: str) -> datetime | None:
        date, time = (self.used_parameters.get(f"{self.parameter_name}_{end}_{part}") for part in (0, 1))
        try:
            return forms.SplitDateTimeField().clean([date, time or whole_day]) if date else None
        except forms.ValidationError:
            return None


class ChangeList(UnfoldChangeList):
    """Without search or filter all there is is shown: nothing leads to more."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not (self.query or self.has_active_filters):
            self.full_result_count = self.result_count


class ModelAdmin(UnfoldModelAdmin):
    """Lists never count twice, and never load what they do not show."""

    # What stands where a list has no rows: what would be there, and how it comes there.
    empty_hint: str | Promise = ""
    show_full_result_count = False
    list_per_page = 50
    compressed_fields = True
    warn_unsaved_form = True

    def get_paginator(
        self, request: HttpRequest, queryset: QuerySet, per_page: int, *args: Any, **kwargs: Any
    ) -> Paginator:
        """A list that never counts is for many rows; the history of one of them says how long it is."""
        kind = Paginator if queryset.model is LogEntry else self.paginator
        return kind(queryset, per_page, *args, **kwargs)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ChangeList


class HistoryAdmin(SimpleHistoryAdmin, ModelAdmin):
    """Configuration: who changed what, and how to go back. The past of a row is for those who may see the row."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self._check_visible(request, object_id)
        return super().history_view(request, object_id, extra_context)

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None
    ) -> HttpResponse:
        self._check_visible(request, object_id)
        return super().history_form_view(request, object_id, version_id, extra_context)

    def _check_visible(self, request: HttpRequest, object_id: str) -> None:
        """simple-history looks into the table of old rows, which knows no teams."""
        if self.get_object(request, object_id) is None:
            raise Http404


def short(moment: datetime | None) -> SafeString | str:
    """A time of the viewer's clock in one line, for lists: they are read by comparing times."""
    if moment is None:
        return "–"
    return format_html(
        '<time class="whitespace-nowrap" datetime="{}">{}</time>',
        moment.isoformat(),
        f"{timezone.localtime(moment):%Y-%m-%d %H:%M}",
    )


def link(address: str, text: Any) -> SafeString:
    """A link that looks like one: the theme shows those in running text as words."""
    return format_html('<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>', address, text)


def exact(moment: datetime | None) -> str:
    """A time of the viewer's clock to the second, for stories: what came before what?"""
    return "–" if moment is None else f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}"


def prose(text: str) -> SafeString | str:
    """What somebody wrote, line by line as he wrote it."""
    return linebreaksbr(text, autoescape=True) if text else "–"


class ReadOnlyAdmin(ModelAdmin):
    """History: to be read, never to be changed by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Panel(NamedTuple):
    title: str | Promise
    html: SafeString


# Boxes that upper floors add to the page of one row of a lower floor, by the model's label ("messaging.conversation").
panels: dict[str, list[Callable[[HttpRequest, Model], Panel | None]]] = defaultdict(list)
