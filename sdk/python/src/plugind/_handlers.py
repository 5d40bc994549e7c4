"""How our own services are registered: on raw bytes, and on threads of their own, so that calls of the author's which take
every worker leave health and the host's orders answered.

The two attributes are those by which grpcio's own health service does the same (package grpcio-health-checking).
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable


def on_pool(
    pool: ThreadPoolExecutor, behaviour: Callable[..., Any], non_blocking: bool = False
) -> Callable[..., Any]:
    """`behaviour` for a method handler. A non-blocking one gets `send_response_callback` and holds no thread."""
    result: Any = functools.partial(behaviour)
    result.experimental_thread_pool = pool
    result.experimental_non_blocking = non_blocking
    return result  # type: ignore[no-any-return]
