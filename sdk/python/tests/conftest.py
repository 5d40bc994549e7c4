"""What the tests share: a service without generated code, and plugins that have it."""

from __future__ import annotations

from typing import Any, Iterator

import grpc
import plugind
import pytest

SERVICE = "sample.v1.Sample"


class Sample:
    """Echo, which may call a peer's; Slow, which takes its time."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer = answer
        self.plugin: Any = None

    def echo(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        if request.startswith(b"peer:"):
            return call(self.plugin.peer(request[5:].decode()), b"hello")
        return self.answer or request

    def count(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        for number in range(int(request)):
            yield b"%d" % number


def add_sample(sample: Sample, server: grpc.Server) -> None:
    """As protoc would generate it."""
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(sample.echo),
        "Count": grpc.unary_stream_rpc_method_handler(sample.count),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def call(channel: grpc.Channel, request: bytes) -> bytes:
    answer: bytes = channel.unary_unary(f"/{SERVICE}/Echo")(request, timeout=10)
    return answer


@pytest.fixture
def plugin() -> plugind.Plugin:
    sample = Sample()
    sample.plugin = plugind.Plugin("sample", "1.2.3").service(add_sample, sample)
    made: plugind.Plugin = sample.plugin
    return made
