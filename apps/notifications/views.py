"""Pages of customers: what they want to be told, and by which way. The signed link is the key; nobody signs in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import get_supported_language_variant, override
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from apps.core.api.throttles import check_network
from apps.users.models import Customer

from . import links, selectors
from .choices import ConsentSource, Way
from .models import Purpose
from .services import preferences as wishes

METHODS = require_http_methods(["GET", "HEAD", "POST"])


@METHODS
@never_cache
def preferences(request: HttpRequest, token: str) -> HttpResponse:
    """All choices on one page; a POST notes what was changed on it."""
    _wish, customer = _who(request, token)
    if request.method == "POST":
        _note(request, customer)
        return HttpResponseRedirect(f"{request.path}?saved")
    return _page(request, "preferences", customer, {"rows": _rows(customer)})


@csrf_exempt  # the mail program posts for its reader (RFC 8058); the token says who, and it can do nothing but this
@METHODS
@never_cache
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ends one purpose by one way. Looking at the page changes nothing: only a POST does."""
    wish, customer = _who(request, token)
    purpose = get_object_or_404(Purpose, pk=wish.purpose_id)
    if wish.way not in Way.values:
        raise Http404
    if request.method == "POST":
        end = wishes.Wish(purpose.pk, wish.way, is_wanted=False)
        wishes.set_wishes(customer, [end], source=ConsentSource.ONE_CLICK, by=customer, now=timezone.now())
    is_ended = _is_ended(customer, purpose, wish.way)
    context = {"purpose": purpose, "way": Way(wish.way).label, "is_ended": is_ended, "token": token}
    return _page(request, "unsubscribe", customer, context)


def _who(request: HttpRequest, token: str) -> tuple[links.Wish, Customer]:
    check_network(request, scope="preferences")
    wish = links.wish(token)
    if wish is None:
        raise Http404
    customer = get_object_or_404(Customer.objects.select_related("merged_into"), pk=wish.customer_id)
    return wish, customer.merged_into or customer


def _note(request: HttpRequest, customer: Customer) -> None:
    """Only boxes that were on the page: a purpose that came since is not refused by not being there."""
    shown, ticked = set(request.POST.getlist("shown")), set(request.POST.getlist("wanted"))
    said = [
        wishes.Wish(choice.purpose.pk, choice.way, choice.key in ticked)
        for choice in selectors.choices_of(customer)
        if choice.key in shown and (choice.key in ticked) != choice.is_wanted
    ]
    wishes.set_wishes(customer, said, source=ConsentSource.PREFERENCE_PAGE, by=customer, now=timezone.now())
    if "again" in request.POST:
        for suppression in selectors.stopped_of(customer).filter(way=Way.EMAIL):
            wishes.release(suppression, by=customer)


def _rows(customer: Customer) -> list[dict[str, Any]]:
    rows: dict[int, dict[str, Any]] = {}
    for choice in selectors.choices_of(customer):
        rows.setdefault(choice.purpose.pk, {"purpose": choice.purpose, "choices": []})["choices"].append(
            choice
        )
    return list(rows.values())


def _is_ended(customer: Customer, purpose: Purpose, way: str) -> bool:
    return not any(
        choice.is_wanted
        for choice in selectors.choices_of(customer)
        if choice.purpose == purpose and choice.way == way
    )


def _page(request: HttpRequest, name: str, customer: Customer, context: dict) -> HttpResponse:
    stopped = list(selectors.stopped_of(customer))
    context |= {
        "is_saved": "saved" in request.GET,
        "stopped_email": any(row.way == Way.EMAIL for row in stopped),
        "stopped_sms": any(row.way == Way.SMS for row in stopped),
        "preferences_path": links.preferences_path(links.Wish(customer.pk)),
    }
    with override(_language_of(customer)):
        response = render(request, f"notifications/{name}.html", context)
    response["X-Robots-Tag"] = "noindex"
    return response


def _language_of(customer: Customer) -> str:
    """One that the page itself is written in: Django has words of its own in many more, and they would stand alone."""
    try:
        return get_supported_language_variant(customer.language)
    except LookupError:
        return settings.LANGUAGE_CODE
