"""Events for programs of others, after the Standard Webhooks scheme."""

from __future__ import annotations

from .gateway import Webhook

__all__ = ["Webhook"]
