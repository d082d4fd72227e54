from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class UsersConfig(AppConfig):
    name = "apps.users"
    verbose_name = _("People")
    # What supervisors may do here in the admin, where it is not simply view, add and change.
    supervisors_may = {
        "contactpoint": ("view", "add", "change", "delete"),
        "historicalcustomer": ("view",),
        "historicaluser": ("view",),
        "historicaluser_teams": ("view",),
        "ticket": (),
    }

    def ready(self) -> None:
        from allauth.mfa.signals import authenticator_added, authenticator_removed

        from . import adapters
        from .services import roles

        # Permissions exist only after the migrations of all apps; this is Django's own hook for that moment.
        post_migrate.connect(roles.after_migrate, dispatch_uid="users.roles")
        authenticator_added.connect(adapters.second_factor_changed, dispatch_uid="users.second_factor_added")
        authenticator_removed.connect(
            adapters.second_factor_changed, dispatch_uid="users.second_factor_removed"
        )
