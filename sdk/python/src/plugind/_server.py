"""The gRPC server of a plugin: the author's services and ours, and its end in bounded time."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, Iterator, List, Optional, Set

import grpc

from ._contract import SERVICE, THREADS, Contract
from ._handlers import on_pool
from ._health import Health
from ._log import log
from ._spec import Spec

# How long the last words to watchers may take, and what a cancelled call has to return in.
LAST_WORDS_SECONDS = 0.5
LAST_CALLS_SECONDS = 1.0

REFLECTION = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


# What a connection on which nothing runs gets to answer the goodbye, and the last answers to reach slow readers.
GOODBYE_SECONDS = 0.2


class Workers(ThreadPoolExecutor):
    """Threads for calls, which can be asked when all of them have returned."""

    def __init__(self, threads: int, name: str) -> None:
        super().__init__(threads, name)
        self._running = 0
        self._changed = threading.Condition()

    def submit(self, *args: Any, **keys: Any) -> Future[Any]:
        with self._changed:
            self._running += 1
        future = super().submit(*args, **keys)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: Future[Any]) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def wait_idle(self, within: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, within)


class Server:
    def __init__(
        self,
        spec: Spec,
        health: Health,
        contract: Contract,
        stop: Callable[[], None],
        stdio: Any = None,
    ) -> None:
        self._spec = spec
        self._health = health
        self._stdio = stdio
        self._workers = Workers(spec.workers, "plugin")
        self._orders = Workers(THREADS, "plugind-contract")
        self._questions = Workers(THREADS, "plugind-reflection")
        self._reflections: Set[grpc.ServicerContext] = set()
        self._services: List[str] = []
        self._server = grpc.server(self._workers, options=spec.options)
        spec.recorder.replay(self._server)
        handlers = [health.handler(), *contract.handlers(self._orders, stop)]
        handlers += [self._reflection_handler(name) for name in REFLECTION]
        if stdio is not None:
            handlers.append(stdio.handler())
        self._services = sorted(
            {*spec.recorder.services(), "grpc.health.v1.Health", SERVICE, *REFLECTION}
        )
        self._server.add_generic_rpc_handlers(tuple(handlers))

    def listen(self, path: str, credentials: Optional[grpc.ServerCredentials] = None) -> None:
        """On a Unix socket that is its owner's alone from the start. Raises OSError."""
        self._path = path
        # gRPC says of a failure only that there was one.
        if len(os.fsencode(path)) > 107:
            raise OSError(f"the socket's path is longer than 107 bytes: {path}")
        before = os.umask(0o177)
        try:
            address = f"unix:{path}"
            bound = (
                self._server.add_secure_port(address, credentials)
                if credentials
                else self._server.add_insecure_port(address)
            )
        except RuntimeError as error:
            raise OSError(f"cannot listen on {path}: {error}") from error
        finally:
            os.umask(before)
        if not bound:
            raise OSError(f"cannot listen on {path}")

    def start(self) -> None:
        self._server.start()

    def end(self) -> bool:
        """The end in order; see Plugin.on_shutdown. False if a call has ignored that it was cancelled."""
        self._health.end(LAST_WORDS_SECONDS)
        ended = self._server.stop(self._spec.shutdown_timeout)
        for context in list(self._reflections):
            context.cancel()
        if self._spec.shutdown:
            try:
                self._spec.shutdown()
            except Exception:
                import traceback

                log("error", f"on_shutdown: {traceback.format_exc()}")
        if self._stdio is not None:
            self._stdio.end()
        self._workers.wait_idle(self._spec.shutdown_timeout)
        if not ended.wait(GOODBYE_SECONDS):
            self._server.stop(0).wait(LAST_CALLS_SECONDS)
        pools = (self._workers, self._orders, self._questions)
        returned = all([pool.wait_idle(LAST_CALLS_SECONDS) for pool in pools])
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass  # gRPC has done it
        self._health.close()
        for pool in pools:
            pool.shutdown(wait=False)
        return returned

    def _reflection_handler(self, service: str) -> grpc.GenericRpcHandler:
        method = grpc.stream_stream_rpc_method_handler(on_pool(self._questions, self._reflect))
        return grpc.method_handlers_generic_handler(service, {"ServerReflectionInfo": method})

    def _reflect(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        from ._reflection import Reflection

        # A caller may hold its stream open for ever; the end does not wait for it.
        self._reflections.add(context)
        try:
            yield from Reflection(self._services).answer(requests)
        finally:
            self._reflections.discard(context)
