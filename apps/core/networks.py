"""Which network an address belongs to: what limits are counted by while somebody has no name."""

from __future__ import annotations

import ipaddress
from typing import Any

from .middleware import ip_behind_proxies

# Whoever has one IPv6 address has the other 2^64 of his network as well.
_IPV6_PREFIX = 64


def network_of(address: str) -> str:
    parsed = ipaddress.ip_address(address)
    if parsed.version == 6:
        return f"ip:{ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False)}"
    return f"ip:{parsed}"


def network_of_socket(scope: dict[str, Any]) -> str:
    client = scope.get("client")
    entries = [value.decode("latin1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return network_of(ip_behind_proxies(client[0] if client else None, ",".join(entries) or None))
