"""Calls that are made while a call is served belong to its trace: they carry on its traceparent and tracestate.

The call that a thread serves is known by a context variable, which holds for that thread alone; whoever hands work to another
one takes it along with contextvars.copy_context().run(…). The metadata is looked at when a call is made, not when one comes.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

import grpc

TRACEPARENT = "traceparent"
KEYS = (TRACEPARENT, "tracestate")

_served: ContextVar[Optional[grpc.ServicerContext]] = ContextVar("plugind.served", default=None)


def carried(metadata: Iterable[Tuple[str, Any]] = ()) -> List[Tuple[str, Any]]:
    """What a call with that metadata carries on besides; nothing if it has a trace of its own."""
    context = _served.get()
    if context is None or any(key == TRACEPARENT for key, _ in metadata):
        return []
    return [(key, value) for key, value in context.invocation_metadata() if key in KEYS]


def serving_all(handlers: Mapping[str, grpc.RpcMethodHandler]) -> Dict[str, grpc.RpcMethodHandler]:
    return {name: serving(handler) for name, handler in handlers.items()}


def serving(handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
    """The handler, whose behaviour can be asked which call it serves."""
    behaviours = {
        (False, False): (handler.unary_unary, grpc.unary_unary_rpc_method_handler),
        (False, True): (handler.unary_stream, grpc.unary_stream_rpc_method_handler),
        (True, False): (handler.stream_unary, grpc.stream_unary_rpc_method_handler),
        (True, True): (handler.stream_stream, grpc.stream_stream_rpc_method_handler),
    }
    streams = bool(handler.response_streaming)
    behaviour, make = behaviours[bool(handler.request_streaming), streams]
    noted = _noted(behaviour, streams)
    return make(noted, handler.request_deserializer, handler.response_serializer)


def _noted(behaviour: Callable[..., Any], streams: bool) -> Callable[..., Any]:
    # With the attributes of grpcio's that it may have: see _handlers.
    @functools.wraps(behaviour)
    def noted(request: Any, context: grpc.ServicerContext, *more: Any) -> Any:
        before = _served.set(context)
        try:
            answer = behaviour(request, context, *more)
        finally:
            _served.reset(before)
        # A generator has not begun yet. A behaviour that is given a callback has no answer.
        return _Answers(iter(answer), context) if streams and answer is not None else answer

    return noted


class _Answers:
    """The answers of a stream: each is made while the call is served."""

    def __init__(self, answers: Iterator[Any], context: grpc.ServicerContext) -> None:
        self._answers = answers
        self._context = context

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        before = _served.set(self._context)
        try:
            return next(self._answers)
        finally:
            _served.reset(before)


class Service(grpc.ServiceRpcHandler):
    """A service whose calls are noted, as `serving` does for one handler."""

    def __init__(self, service: grpc.ServiceRpcHandler) -> None:
        self._service = service
        self._handlers: Dict[str, Tuple[grpc.RpcMethodHandler, grpc.RpcMethodHandler]] = {}

    def service_name(self) -> str:
        name: str = self._service.service_name()
        return name

    def service(self, details: grpc.HandlerCallDetails) -> Optional[grpc.RpcMethodHandler]:
        handler = self._service.service(details)
        if handler is None:
            return None
        # A service has the same handler for each call of a method, as a rule.
        known, noted = self._handlers.get(details.method, (None, None))
        if known is not handler:
            noted = serving(handler)
            self._handlers[details.method] = (handler, noted)
        return noted
