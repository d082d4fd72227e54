"""Policies as they were."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class PolicyVersion(models.Model):
    """A policy as a queue had it since `at`, whole and readable. Append-only: decisions name it by its number."""

    queue = models.ForeignKey("Queue", models.CASCADE, related_name="versions", verbose_name=_("queue"))
    number = models.PositiveIntegerField(_("policy version"))
    at = models.DateTimeField(_("since"))
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("changed by")
    )
    # As `policy_history.Snapshot` writes it.
    policy = models.JSONField(_("policy"))

    class Meta:
        verbose_name = _("policy version")
        verbose_name_plural = _("policy versions")
        constraints = [models.UniqueConstraint(fields=["queue", "number"], name="policy_version_once")]

    def __str__(self) -> str:
        return _("%(queue)s, version %(number)s") % {"queue": self.queue, "number": self.number}
