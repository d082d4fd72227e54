"""Which addresses on the network a program of others may make us call. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

PORTS = {"http": 80, "https": 443}
MOST_URL_CHARACTERS = 500
# Networks inside IPv6 that lead to an IPv4 address: what counts is where they lead.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# All of IPv6 that is given out in the internet; Python counts some old private networks as public.
_GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
# Relays into IPv6, given up by now.
_RELAYS = ipaddress.IPv4Network("192.88.99.0/24")


def is_public(address: IPAddress) -> bool:
    """Whether it lies in the internet: not here, not in a private or special network, however it is written."""
    if isinstance(address, ipaddress.IPv6Address):
        if inner := _inside(address):
            return is_public(inner)
        return address in _GIVEN_OUT and address.is_global
    if address in _RELAYS:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


def is_listed(host: str, port: int, listed: Collection[str]) -> bool:
    """Whether the installation allows this host ("inside.example" or "inside.example:8080") although it is inside."""
    return host.lower() in listed or f"{host.lower()}:{port}" in listed


def parse(url: str) -> tuple[str, int]:
    """Host and port of an address we may call. ValueError with a reason code when its form alone forbids it."""
    if not 0 < len(url) <= MOST_URL_CHARACTERS or any(c <= " " or c == "\x7f" or c == "\\" for c in url):
        raise ValueError("malformed")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("malformed") from None
    if parts.scheme not in PORTS:
        raise ValueError("scheme")
    if "@" in parts.netloc:
        raise ValueError("userinfo")
    if not parts.hostname:
        raise ValueError("malformed")
    return parts.hostname, port or PORTS[parts.scheme]
