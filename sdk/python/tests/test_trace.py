"""Handlers that note which call they serve; test_fake_host.py has what that is for."""

from __future__ import annotations

from typing import Any, List

import grpc
import pytest
from plugind import _trace
from plugind._handlers import on_pool

KINDS = {
    "unary_unary": grpc.unary_unary_rpc_method_handler,
    "unary_stream": grpc.unary_stream_rpc_method_handler,
    "stream_unary": grpc.stream_unary_rpc_method_handler,
    "stream_stream": grpc.stream_stream_rpc_method_handler,
}


class Call:
    """What a ServicerContext has of a call."""

    def invocation_metadata(self) -> List[Any]:
        return [("traceparent", "00-1"), ("tracestate", "a=b"), ("other", "x")]


TRACE = [("traceparent", "00-1"), ("tracestate", "a=b")]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_method_knows_its_call(kind: str) -> None:
    def behaviour(request: Any, context: Any) -> Any:
        return iter([_trace.carried()]) if kind.endswith("stream") else _trace.carried()

    handler = _trace.serving(KINDS[kind](behaviour, bytes.decode, str.encode))
    assert (handler.request_deserializer, handler.response_serializer) == (bytes.decode, str.encode)
    answer = getattr(handler, kind)(b"", Call())
    assert (list(answer) if kind.endswith("stream") else [answer]) == [TRACE]
    assert _trace.carried() == []


def test_a_call_that_fails_leaves_nothing_behind() -> None:
    def behaviour(request: Any, context: Any) -> Any:
        raise ValueError("no")

    handler = _trace.serving(grpc.unary_unary_rpc_method_handler(behaviour))
    with pytest.raises(ValueError):
        handler.unary_unary(b"", Call())
    assert _trace.carried() == []


def test_a_behaviour_that_answers_by_a_callback_keeps_its_pool() -> None:
    pool: Any = object()
    sent: List[Any] = []
    behaviour = on_pool(
        pool, lambda request, context, send: send(_trace.carried()), non_blocking=True
    )
    noted: Any = _trace.serving(grpc.unary_stream_rpc_method_handler(behaviour)).unary_stream
    assert (noted.experimental_thread_pool, noted.experimental_non_blocking) == (pool, True)
    assert noted(b"", Call(), sent.append) is None
    assert sent == [TRACE]
