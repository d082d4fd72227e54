"""People in the admin."""

from __future__ import annotations

from . import access, customers, users  # noqa: F401
