"""Pages about oneself, and the way to work."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from . import policy
from .forms import ProfileForm
from .models import User
from .permissions import user_of
from .services import people


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    return redirect(policy.home_path(policy.highest(user_of(request).roles)))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def profile(request: HttpRequest) -> HttpResponse:
    # A copy: the form writes on what it is given, and the page's top shows who is signed in.
    form = ProfileForm(request.POST or None, instance=User.objects.get(pk=user_of(request).pk))
    if form.is_valid():
        people.update(user_of(request), by=user_of(request), **form.cleaned_data)
        messages.success(request, _("Your profile is saved."))
        return redirect("profile")
    return render(request, "users/profile.html", {"form": form})
