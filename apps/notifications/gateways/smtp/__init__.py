"""E-mail by a mail server of one's own or a provider's, over kept connections."""

from __future__ import annotations

from .gateway import SMTPGateway

__all__ = ["SMTPGateway"]
