"""Every address of the project, with the parts of it that stand for something."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern
from django.utils.regex_helper import normalize

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclasses.dataclass(frozen=True)
class Address:
    """`route` is the namespaced name; what has none is called by its path."""

    route: str
    path: str
    parameters: tuple[str, ...]

    def to(self, values: Mapping[str, Any]) -> str:
        return self.path % {name: str(values[name]) for name in self.parameters}


def addresses() -> list[Address]:
    return list(_walk(get_resolver()))


def _walk(resolver: URLResolver, path: str = "/", spaces: tuple[str, ...] = ()) -> Iterator[Address]:
    for pattern in resolver.url_patterns:
        here = path + _readable(pattern)
        if isinstance(pattern, URLResolver):
            inside = (*spaces, pattern.namespace) if pattern.namespace else spaces
            yield from _walk(pattern, here, inside)
        elif isinstance(pattern, URLPattern):
            name = ":".join([*spaces, pattern.name]) if pattern.name else here
            yield Address(name, here, tuple(re.findall(r"%\((\w+)\)s", here)))


def _readable(pattern: URLPattern | URLResolver) -> str:
    """The part of the path, with %(name)s for each parameter."""
    if isinstance(pattern.pattern, RoutePattern):
        return _PARAMETER.sub(r"%(\1)s", str(pattern.pattern))
    return normalize(pattern.pattern.regex.pattern)[0][0]
