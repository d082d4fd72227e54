from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    name = "apps.messaging"
    verbose_name = _("Messaging")
    # What was said is read, never changed; small lists may also be tidied up.
    supervisors_may = {
        "conversation": ("view",),
        "message": (),
        "note": (),
        "attachment": (),
        "arrival": ("view", "change"),
        "heldfile": (),
        "visitorsession": (),
        "historicalinbox": ("view",),
        "historicalcannedreply": ("view",),
        "cannedreply": ("view", "add", "change", "delete"),
        "tag": ("view", "add", "change", "delete"),
    }
