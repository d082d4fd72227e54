"""Under which name limits and idempotency keys are kept for whoever asks."""

from __future__ import annotations

import ipaddress

from rest_framework.request import Request

from ..middleware import client_ip

# Whoever has one IPv6 address has the other 2^64 of his network as well.
_IPV6_PREFIX = 64


def caller_of(request: Request) -> str:
    """`user:5`, `customer:7`, or the network the request came from; at most 80 characters."""
    if request.user and request.user.is_authenticated:
        return (
            getattr(request.user, "actor_ref", None)
            or f"{type(request.user).__name__}:{request.user.pk}"[:80]
        )
    return network_of(request)


def network_of(request: Request) -> str:
    address = ipaddress.ip_address(client_ip(request._request))
    if address.version == 6:
        return f"ip:{ipaddress.ip_network((address, _IPV6_PREFIX), strict=False)}"
    return f"ip:{address}"
