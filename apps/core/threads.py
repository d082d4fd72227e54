"""Database work for the sockets: off the event loop, on a few threads that give their connections back."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections

from . import lost

P = ParamSpec("P")
R = TypeVar("R")

# `database_sync_to_async` would make the whole process take turns in one thread.
_pool = ThreadPoolExecutor(max_workers=6, thread_name_prefix="socket-db")


async def run(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a synchronous function that uses the database; await its result."""
    call = functools.partial(_with_fresh_connections, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_pool, call)


def _with_fresh_connections(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    close_old_connections()
    try:
        return function(*args, **kwargs)
    except (OperationalError, InterfaceError):
        lost.forget_connections()
        raise
    finally:
        close_old_connections()
