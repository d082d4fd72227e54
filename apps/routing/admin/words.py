"""Skills and not-ready reasons: the words of this floor."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import ModelAdmin, display, register

from ..models import NotReadyReason, Skill


@register(Skill)
class SkillAdmin(ModelAdmin):
    list_display = ["name", "description", "agent_count"]
    search_fields = ["name", "description"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Skill]:
        return super().get_queryset(request).annotate(count=Count("agents"))

    @display(description=_("agents"), ordering="count")
    def agent_count(self, skill: Skill) -> int:
        return skill.count  # type: ignore[attr-defined]


@register(NotReadyReason)
class NotReadyReasonAdmin(ModelAdmin):
    list_display = ["name", "is_active"]
    list_filter = ["is_active"]
    search_fields = ["name"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # agents' hours name them; switch it off instead
