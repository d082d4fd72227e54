"""Users and teams: supervisors look after their teams, administrators after everybody."""

from __future__ import annotations

from functools import partial
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import HistoryAdmin, ModelAdmin, action, display, register
from apps.core.admin_rows import do_each
from apps.core.admin_saving import TellsWhy, become

from .. import policy, selectors
from ..choices import Role
from ..models import Team, User
from ..permissions import user_of
from ..services import people, roles, teams
from .forms import UserForm


@register(User)
class UserAdmin(TellsWhy, HistoryAdmin):
    form = UserForm
    list_display = ["name", "email", "role", "team_names", "is_active", "has_second_factor", "last_login"]
    list_filter = ["is_active", "groups", ("teams", RelatedOnlyFieldListFilter)]
    search_fields = ["name", "email"]
    ordering = ["name", "id"]
    actions = ["sign_out", "switch_off", "remove_second_factor"]
    autocomplete_fields = ["teams"]
    fieldsets = [
        (None, {"fields": ["name", "email", "new_password"]}),
        (_("Work"), {"fields": ["role", "teams", "is_active"]}),
        (_("Preferences"), {"fields": ["language", "time_zone"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        factors = Authenticator.objects.filter(user=OuterRef("pk"), type=Authenticator.Type.TOTP)
        visible = selectors.users_visible_to(user_of(request)).annotate(mfa=Exists(factors))
        return visible.prefetch_related("groups", "teams")

    def get_form(self, request: HttpRequest, obj: User | None = None, **kwargs: Any) -> type[ModelForm]:
        form = super().get_form(request, obj, **kwargs)
        return type(form.__name__, (form,), {"by": user_of(request)})

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = selectors.teams_visible_to(user_of(request))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or self._may_manage(request, obj))

    def has_view_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_view_permission(request, obj) and (obj is None or self._sees(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False  # history names people: they are switched off instead

    def revert_disabled(self, request: HttpRequest, obj: User | None = None) -> bool:
        return True  # rights and teams do not come back by the back door

    @staticmethod
    def _sees(request: HttpRequest, user: User) -> bool:
        return selectors.users_visible_to(user_of(request)).filter(pk=user.pk).exists()

    def _may_manage(self, request: HttpRequest, user: User) -> bool:
        own, theirs = policy.highest(user_of(request).roles), policy.highest(user.roles)
        return policy.may_manage(by=own, user=theirs, shares_team=True) and self._sees(request, user)

    def save_model(self, request: HttpRequest, obj: User, form: UserForm, change: bool) -> None:
        data, by = form.cleaned_data, user_of(request)
        fields = {name: data[name] for name in people.FIELDS if name in data}
        if not change:
            password = data["new_password"] or None
            user = people.create(
                by=by, role=form.chosen_role, teams=data["teams"], password=password, **fields
            )
            become(obj, user)
            return
        user = people.update(obj, by=by, **fields)
        self._save_work(user, form, by=by)
        if data["new_password"]:
            people.set_password(user, data["new_password"], by=by)

    @staticmethod
    def _save_work(user: User, form: UserForm, *, by: User) -> None:
        if "is_active" in form.changed_data:
            (people.activate if form.cleaned_data["is_active"] else people.deactivate)(user, by=by)
        if "role" in form.changed_data:
            roles.assign(user, form.chosen_role, by=by)
        if "teams" in form.changed_data:
            # Teams this supervisor does not see were not on his form: they stay.
            unseen = user.teams.exclude(id__in=selectors.teams_visible_to(by).values("id"))
            people.set_teams(user, teams=[*form.cleaned_data["teams"], *unseen], by=by)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The services have saved the teams."""

    @display(description=_("role"), label=True)
    def role(self, user: User) -> str:
        own = {group.name for group in user.groups.all() if group.name in Role.values}
        role = policy.highest(own | {Role.ADMIN} if user.is_superuser else own)
        return str(role.label) if role else "—"

    @display(description=_("teams"))
    def team_names(self, user: User) -> str:
        return ", ".join(team.name for team in user.teams.all()) or "—"

    @display(description=_("two-factor"), boolean=True)
    def has_second_factor(self, user: User) -> bool:
        return user.mfa  # type: ignore[attr-defined]  # annotated by get_queryset

    @action(description=_("Sign out everywhere"), permissions=["change"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        do_each(request, queryset, partial(people.sign_out_everywhere, by=user_of(request)))

    @action(description=_("Switch off"), permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        do_each(request, queryset, partial(people.deactivate, by=user_of(request)))

    @action(description=_("Remove two-factor authentication (lost phone)"), permissions=["change"])
    def remove_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        do_each(request, queryset, partial(people.remove_second_factor, by=user_of(request)))


@register(Team)
class TeamAdmin(TellsWhy, ModelAdmin):
    list_display = ["name", "size"]
    search_fields = ["name"]
    fields = ["name", "member_names"]
    readonly_fields = ["member_names"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        visible = Team.objects.filter(id__in=selectors.teams_visible_to(user_of(request)).values("id"))
        return visible.annotate(size=Count("members", distinct=True)).order_by("name")

    def has_delete_permission(self, request: HttpRequest, obj: Team | None = None) -> bool:
        # Leaving a team closes sockets and is written down; that must not happen by the way.
        is_empty = obj is None or not obj.members.exists()
        return is_empty and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Team, form: ModelForm, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
        else:
            become(obj, teams.create(name=obj.name, by=user_of(request)))

    @display(description=_("members"), ordering="size")
    def size(self, team: Team) -> int:
        return team.size  # type: ignore[attr-defined]  # annotated by get_queryset

    @display(description=_("members"))
    def member_names(self, team: Team) -> str:
        return ", ".join(team.members.values_list("name", flat=True)) if team.pk else "—"
