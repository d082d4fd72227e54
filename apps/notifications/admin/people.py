"""What customers want, and addresses nothing is sent to."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import InfinitePaginator, ModelAdmin, SelectWidget, register
from apps.core.admin_saving import TellsWhy, become
from apps.core.errors import EMLError
from apps.users import contacts
from apps.users import selectors as people
from apps.users.permissions import user_of

from ..choices import ConsentSource, Reason, Way
from ..models import Preference, Purpose, Suppression
from ..services import preferences

ADDRESSED_WAYS = [(way.value, way.label) for way in preferences.CONTACT_KINDS]
REASONS = [(reason.value, reason.label) for reason in (Reason.BOUNCED, Reason.OPTED_OUT)]


class PreferenceForm(forms.ModelForm):
    way = forms.ChoiceField(label=_("Way"), choices=ADDRESSED_WAYS, widget=SelectWidget)

    class Meta:
        model = Preference
        fields = ["customer", "purpose", "way", "is_wanted"]

    def clean(self) -> dict[str, Any]:
        """What he said before is no hindrance: what he says now takes its place."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        about = {name: data.get(name) for name in ("customer", "purpose", "way")}
        self.instance = Preference.objects.filter(**about).first() or self.instance
        return data


@register(Preference)
class PreferenceAdmin(TellsWhy, ModelAdmin):
    """A customer told somebody here what he wants: that is noted, and the log keeps who noted it."""

    form = PreferenceForm
    paginator = InfinitePaginator
    list_display = ["customer", "purpose", "way", "is_wanted", "source", "at"]
    empty_hint = _("What customers choose on their preference page, or tell you, stands here.")
    list_filter = ["is_wanted", "way", ("purpose", RelatedOnlyFieldListFilter), "source"]
    list_select_related = ["customer", "purpose"]
    search_fields = ["customer__name"]
    ordering = ["-id"]
    autocomplete_fields = ["customer"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Preference]:
        visible = people.customers_visible_to(user_of(request))
        return super().get_queryset(request).filter(customer__in=visible.values("pk"))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "customer":
            kwargs["queryset"] = people.customers_visible_to(user_of(request))
        if db_field.name == "purpose":
            kwargs["queryset"] = Purpose.objects.filter(is_for_staff=False)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Preference | None = None) -> bool:
        return False  # a new wish is a new line in the log: add it

    def has_delete_permission(self, request: HttpRequest, obj: Preference | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Preference, form: Any, change: bool) -> None:
        by, now = user_of(request), timezone.now()
        wish = preferences.Wish(obj.purpose_id, obj.way, obj.is_wanted)
        preferences.set_wishes(obj.customer, [wish], source=ConsentSource.STAFF, by=by, now=now)
        saved = Preference.objects.get(customer=obj.customer, purpose=obj.purpose, way=obj.way)
        become(obj, saved)


class SuppressionForm(forms.ModelForm):
    way = forms.ChoiceField(label=_("Way"), choices=ADDRESSED_WAYS, widget=SelectWidget)
    reason = forms.ChoiceField(label=_("Reason"), choices=REASONS, widget=SelectWidget)

    class Meta:
        model = Suppression
        fields = ["way", "address", "reason", "detail"]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if "way" in data and "address" in data:
            kind = preferences.CONTACT_KINDS[Way(data["way"])]
            try:
                data["address"] = contacts.normalised(kind, data["address"], is_dialled=False)
            except EMLError as error:
                raise ValidationError({"address": str(error)}) from None
        return data


@register(Suppression)
class SuppressionAdmin(TellsWhy, ModelAdmin):
    form = SuppressionForm
    paginator = InfinitePaginator
    list_display = ["address", "way", "reason", "detail", "at"]
    empty_hint = _(
        "Addresses that do not work any more, and those whose owners asked for silence, stand here."
    )
    list_filter = ["way", "reason"]
    search_fields = ["=address"]
    search_help_text = _("A whole address or number.")
    ordering = ["-id"]

    def has_change_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False  # an address that works again is deleted here

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        saved = preferences.suppress(
            way=Way(obj.way),
            address=obj.address,
            reason=Reason(obj.reason),
            detail=obj.detail,
            by=user_of(request),
            now=timezone.now(),
        )
        become(obj, saved)

    def delete_model(self, request: HttpRequest, obj: Suppression) -> None:
        preferences.release(obj, by=user_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> None:
        for row in queryset:
            preferences.release(row, by=user_of(request))
