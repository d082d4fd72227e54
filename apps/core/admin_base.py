"""The admin's look: the only module that imports django-unfold, so that it can be replaced in one place."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import register, site
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin as UnfoldModelAdmin
from unfold.admin import StackedInline, TabularInline
from unfold.contrib.filters.admin import DropdownFilter, RangeDateTimeFilter, TextFilter
from unfold.decorators import action, display
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminPasswordWidget as PasswordWidget
from unfold.widgets import UnfoldAdminSelectWidget as SelectWidget

__all__ = [
    "DropdownFilter",
    "HistoryAdmin",
    "InfinitePaginator",
    "ModelAdmin",
    "PasswordWidget",
    "RangeDateTimeFilter",
    "ReadOnlyAdmin",
    "SelectWidget",
    "StackedInline",
    "TabularInline",
    "TextFilter",
    "action",
    "display",
    "register",
    "site",
]


class ModelAdmin(UnfoldModelAdmin):
    """Lists never count twice, and never load what they do not show."""

    show_full_result_count = False
    list_per_page = 50
    compressed_fields = True
    warn_unsaved_form = True


class HistoryAdmin(SimpleHistoryAdmin, ModelAdmin):
    """Configuration: who changed what, and how to go back."""


class ReadOnlyAdmin(ModelAdmin):
    """History: to be read, never to be changed by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
