"""What the pages of this floor share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.urls import reverse

from .. import texts
from ..choices import Way
from ..models import TemplateVersion


def versions_shown(versions: Iterable[TemplateVersion]) -> list[dict[str, Any]]:
    """Versions from `selectors.versions_of`, each with what was different before."""
    return [
        {
            "number": version.number,
            "at": version.at,
            "by": version.by,
            "path": reverse("admin:notifications_templateversion_change", args=[version.pk]),
            "changes": [
                {"where": f"{Way(change.way).label}, {change.language}, {change.part}", "lines": change.lines}
                for change in texts.changes(version.texts_before or {}, version.texts)  # type: ignore[attr-defined]
            ],
        }
        for version in versions
    ]
