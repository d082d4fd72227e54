"""Versions of policies: what each said, who made it and when, and what was different before."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.admin import RelatedOnlyFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import (
    InfinitePaginator,
    RangeDateTimeFilter,
    ReadOnlyAdmin,
    display,
    exact,
    link,
    register,
)
from apps.users.permissions import user_of

from .. import policy_history, selectors
from ..models import PolicyVersion, Queue
from .base import table

# On the page of a queue; the list of versions has the rest.
MOST_SHOWN = 5


@register(PolicyVersion)
class PolicyVersionAdmin(ReadOnlyAdmin):
    paginator = InfinitePaginator
    list_display = ["queue", "number", "moment", "author", "changes"]
    list_display_links = ["number"]
    list_filter = [("queue", RelatedOnlyFieldListFilter), ("at", RangeDateTimeFilter)]
    list_filter_submit = True
    ordering = ["-id"]
    fields = [("queue", "number"), ("moment", "author"), "changes", "steps", "levels", "settings"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[PolicyVersion]:
        return selectors.versions_visible_to(user_of(request))

    @display(description=_("at"), ordering="at")
    def moment(self, version: PolicyVersion) -> str:
        return exact(version.at)

    @display(description=_("changed by"))
    def author(self, version: PolicyVersion) -> str:
        return author(version)

    @display(description=_("changes"))
    def changes(self, version: PolicyVersion) -> SafeString | str:
        return changes_list(version)

    @display(description=_("steps"))
    def steps(self, version: PolicyVersion) -> SafeString | str:
        steps = version.policy["steps"]
        if not steps:
            return _now("Everybody of the team, at once.")
        rows = ((f"{step['after']} s", policy_history.step_in_words(step)) for step in steps)
        return table([_now("after"), _now("who")], rows, numbers=(0,))

    @display(description=_("priority levels"))
    def levels(self, version: PolicyVersion) -> SafeString | str:
        levels = version.policy["levels"]
        rows = ((name, f"{credit} s") for name, credit in levels.items())
        return table([_now("name"), _now("head start")], rows, numbers=(1,)) if levels else "–"

    @display(description=_("settings"))
    def settings(self, version: PolicyVersion) -> SafeString:
        labels = _labels()
        rows = ((labels.get(name, name), _shown(value)) for name, value in version.policy["settings"].items())
        return table([_now("setting"), _now("value")], rows)


def author(version: PolicyVersion) -> str:
    return str(version.by) if version.by else _now("the system")


def changes_list(version: PolicyVersion) -> SafeString | str:
    """Of a version from `versions_visible_to` or `versions_of`."""
    before = version.policy_before  # type: ignore[attr-defined]
    if before is None:
        return _now("the first version") if version.number == 1 else _now("the version before was not kept")
    told = policy_history.changes(before, version.policy, labels=_labels())
    return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", ((text,) for text in told)))


def versions_table(queue: Queue) -> SafeString:
    """The last versions of a queue, and the way to the others."""
    rows = [_row(version) for version in selectors.versions_of(queue)[:MOST_SHOWN]]
    shown = table([_now("version"), _now("since"), _now("changed by"), _now("changes")], rows)
    address = f"{reverse('admin:routing_policyversion_changelist')}?queue__id__exact={queue.pk}"
    return format_html('{}<p class="mt-2">{}</p>', shown, link(address, _now("All versions")))


def _row(version: PolicyVersion) -> Iterable[SafeString | str]:
    address = reverse("admin:routing_policyversion_change", args=[version.pk])
    since = exact(version.at)
    return link(address, version.number), since, author(version), changes_list(version)


def _labels() -> dict[str, str]:
    """The words for settings on the page of a queue."""
    return {field.name: capfirst(str(field.verbose_name)) for field in Queue._meta.fields}


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return _now("yes") if value else _now("no")
    return "–" if value in (None, "") else str(value)
