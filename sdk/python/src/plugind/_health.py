"""grpc.health.v1.Health, for "", "plugin" and each of the author's services. All of them have one status.

A Watch holds no thread. Every word to a Watch is sent by one thread, with the status as it then is: so the last word that a
host has heard is always the truth. Thread safety: every method may be called on any thread.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Callable, Dict, Optional

import grpc

from . import _wire
from ._handlers import on_pool
from ._spec import Spec

SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3

Send = Callable[[Optional[bytes]], Any]


# A caller that opens a call and never sends its message holds one for as long as the call lasts.
CHECKS = 16


class Health:
    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._known = {"", "plugin"}
        self._lock = threading.Lock()
        self._serving = True
        self._ended = False
        # Each open Watch, by the function that sends to it, and whether it knows its service.
        self._watches: Dict[Send, bool] = {}
        self._calls = ThreadPoolExecutor(CHECKS, "plugind-health")
        self._sender = ThreadPoolExecutor(1, "plugind-watch")

    def handler(self) -> grpc.GenericRpcHandler:
        self._known.update(self._spec.recorder.services())
        return grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health",
            {
                "Check": grpc.unary_unary_rpc_method_handler(on_pool(self._calls, self._check)),
                "Watch": grpc.unary_stream_rpc_method_handler(
                    on_pool(self._calls, self._watch, non_blocking=True)
                ),
            },
        )

    def set_serving(self, serving: bool) -> None:
        with self._lock:
            changed = self._serving != serving and not self._ended
            self._serving = serving
            if changed and self._watches:
                self._sender.submit(self._tell)

    def end(self, within: float) -> None:
        """NOT_SERVING, for good; every Watch ends with that word. Waits until they are told, or for `within` seconds."""
        with self._lock:
            self._ended = True
            told = self._sender.submit(self._tell) if self._watches else None
        if told is not None:
            wait([told], within)

    def close(self) -> None:
        self._calls.shutdown(wait=False)
        self._sender.shutdown(wait=False)

    def _answer(self) -> bytes:
        return _wire.put_number(1, SERVING if self._serving and not self._ended else NOT_SERVING)

    def _check(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        service = _wire.text(request, 1)
        if service not in self._known:
            # Cut, because what an error says travels in a header.
            context.abort(grpc.StatusCode.NOT_FOUND, f"unknown service: {service[:100]}")
        return self._answer()

    def _watch(
        self, request: bytes, context: grpc.ServicerContext, send_response_callback: Send
    ) -> None:
        send = send_response_callback
        with self._lock:
            self._watches[send] = _wire.text(request, 1) in self._known
            self._sender.submit(self._tell_one, send)
        if not context.add_callback(lambda: self._forget(send)):
            self._forget(send)

    def _forget(self, send: Send) -> None:
        with self._lock:
            self._watches.pop(send, None)

    # ---- On the sender's thread ----

    def _tell(self) -> None:
        with self._lock:
            watches = [send for send, known in self._watches.items() if known or self._ended]
        for send in watches:
            self._tell_one(send)

    def _tell_one(self, send: Send) -> None:
        with self._lock:
            known = self._watches.get(send)
            ended = self._ended
            answer = self._answer() if known else _wire.put_number(1, SERVICE_UNKNOWN)
        if known is None:
            return
        send(answer)
        if ended:
            send(None)
