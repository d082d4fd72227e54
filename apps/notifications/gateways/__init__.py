"""Translators to the outside. A gateway is a small folder behind two methods: `send` and `receive`.

The row `models.Gateway` says which one is set up and how; `KINDS` says which class that is.
"""

from __future__ import annotations

from .contract import KINDS, Arrival, File, GatewayKind, Notice, Outcome, Outgoing, Request, register
from .errors import CallMalformed, SignatureWrong

__all__ = [
    "KINDS",
    "Arrival",
    "CallMalformed",
    "File",
    "GatewayKind",
    "Notice",
    "Outcome",
    "Outgoing",
    "Request",
    "SignatureWrong",
    "register",
]
