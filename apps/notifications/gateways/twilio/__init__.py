"""SMS over Twilio's HTTP API, or one that is compatible with it."""

from __future__ import annotations

from .gateway import Twilio

__all__ = ["Twilio"]
