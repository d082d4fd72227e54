"""What every story about routing ends with."""

from __future__ import annotations

from django.utils import timezone

from apps.routing.services import audit


def assert_in_order() -> None:
    """None of the promises of routing is broken now."""
    found = audit.violations(now=timezone.now())
    assert not found, found
