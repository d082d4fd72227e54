"""Programs of others that are told what happens."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.core.secrets import SecretJSONField


class WebhookSubscription(models.Model):
    """An address that gets events of the listed types, signed after the Standard Webhooks scheme."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    url = models.URLField(_("address"), max_length=500)
    event_types = models.JSONField(_("events"), default=list)
    # [{"secret": "whsec_…", "until": null}]: the first signs anew, all that are not over sign too (rotation).
    secrets = SecretJSONField(_("secrets"), default=list, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    disabled_reason = models.CharField(_("switched off because"), max_length=200, blank=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
