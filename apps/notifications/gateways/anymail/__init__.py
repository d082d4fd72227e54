"""E-mail by one of the providers of django-anymail: sending, what became of it, and mail that arrives."""

from __future__ import annotations

from .gateway import Anymail

__all__ = ["Anymail"]
