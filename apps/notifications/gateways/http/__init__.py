"""Any provider with an HTTP API, set up in the admin."""

from __future__ import annotations

from .gateway import HTTP

__all__ = ["HTTP"]
