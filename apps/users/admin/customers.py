"""Customers: found, changed, merged."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.admin import RelatedOnlyFieldListFilter
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.admin_base import HistoryAdmin, TabularInline, action, display, panels, register
from apps.core.admin_rows import do_each
from apps.core.admin_saving import TellsWhy, become

from .. import selectors
from ..models import ContactPoint, Customer
from ..permissions import user_of
from ..services import customers
from .forms import ContactForm, CustomerForm


class ContactInline(TabularInline):
    model = ContactPoint
    form = ContactForm
    extra = 0
    verbose_name_plural = _("How to reach")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # another number is another contact: add it and remove the old one


@register(Customer)
class CustomerAdmin(TellsWhy, HistoryAdmin):
    form = CustomerForm
    list_display = ["__str__", "contact_values", "team_names", "external_id", "created_at"]
    list_filter = [("teams", RelatedOnlyFieldListFilter)]
    search_fields = ["name"]
    search_help_text = _("Part of a name, or a whole e-mail address, phone number or external id.")
    ordering = ["-id"]
    autocomplete_fields = ["teams"]
    inlines = [ContactInline]
    actions = ["merge"]
    change_form_outer_before_template = "admin/users/customer/before.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        # The search of other pages' fields goes through it page by page, without the list's own order.
        return selectors.with_contacts(selectors.customers_visible_to(user_of(request))).order_by("-id")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Customer], search_term: str
    ) -> tuple[QuerySet[Customer], bool]:
        if not search_term.strip():
            return queryset, False
        found = selectors.search_customers(user_of(request), search_term)
        return queryset.filter(id__in=found.values("id")), False

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = selectors.teams_visible_to(user_of(request))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_view_permission(self, request: HttpRequest, obj: Customer | None = None) -> bool:
        return super().has_view_permission(request, obj) and self._sees(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Customer | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._sees(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Customer | None = None) -> bool:
        return False  # conversations belong to them; doubles are merged

    @staticmethod
    def _sees(request: HttpRequest, customer: Customer | None) -> bool:
        return (
            customer is None
            or selectors.customers_visible_to(user_of(request)).filter(pk=customer.pk).exists()
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        customer = self.get_object(request, object_id)
        made = [make(request, customer) for make in panels["users.customer"]] if customer else []
        boxes = {"boxes": [box for box in made if box]}
        return super().change_view(request, object_id, form_url, boxes | (extra_context or {}))

    def save_model(self, request: HttpRequest, obj: Customer, form: CustomerForm, change: bool) -> None:
        fields = {name: form.cleaned_data[name] for name in customers.FIELDS if name in form.cleaned_data}
        chosen, by = form.cleaned_data["teams"], user_of(request)
        if not change:
            become(obj, customers.create(by=by, teams=chosen, **fields))
            return
        customer = customers.update(obj, by=by, **fields)
        if "teams" in form.changed_data:
            unseen = customer.teams.exclude(id__in=selectors.teams_visible_to(by).values("id"))
            customers.set_teams(customer, teams=[*chosen, *unseen], by=by)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        for formset in formsets:
            self.save_formset(request, form, formset, change=change)

    def save_formset(self, request: HttpRequest, form: Any, formset: BaseInlineFormSet, change: bool) -> None:
        formset.save(commit=False)
        for point in formset.deleted_objects:
            customers.remove_contact(form.instance, contact_id=point.pk, by=user_of(request))
        for point in formset.new_objects:
            facts = {"kind": point.kind, "value": point.value, "is_verified": point.is_verified}
            customers.add_contact(form.instance, by=user_of(request), **facts)

    @display(description=_("reached at"))
    def contact_values(self, customer: Customer) -> str:
        return ", ".join(point.value for point in customer.contact_points.all()) or "—"

    @display(description=_("teams"))
    def team_names(self, customer: Customer) -> str:
        return ", ".join(team.name for team in customer.teams.all()) or "—"

    @action(description=_("Merge doubles…"), permissions=["change"])
    def merge(self, request: HttpRequest, queryset: QuerySet[Customer]) -> HttpResponse | None:
        """Asks which record stays, then merges the others into it."""
        chosen = list(queryset.order_by("id")[:11])
        if not 2 <= len(chosen) <= 10:
            messages.error(request, gettext("Choose two to ten records of the same person."))
            return None
        keep = next((row for row in chosen if str(row.pk) == request.POST.get("keep")), None)
        if keep is None:
            context = self.admin_site.each_context(request) | {
                "customers": chosen,
                "opts": self.opts,
                "title": gettext("Merge"),
            }
            return TemplateResponse(request, "admin/users/customer/merge.html", context)
        doubles = [row for row in chosen if row != keep]
        do_each(request, doubles, partial(customers.merge, keep, by=user_of(request)))
        return None
