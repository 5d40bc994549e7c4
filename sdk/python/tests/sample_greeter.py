"""The C++ example's service in Python, for the go-plugin host of plugins/kv/host; run by tests/e2e/test_python_sdk.py."""

from __future__ import annotations

import os
from typing import Iterator

import greeter_pb2 as pb
import greeter_pb2_grpc
import grpc
import plugind


class Greeter(greeter_pb2_grpc.GreeterServicer):
    def Greet(self, request: pb.GreetRequest, context: grpc.ServicerContext) -> pb.GreetResponse:
        return pb.GreetResponse(message=f"Hello {request.name}", pid=os.getpid())

    def Countdown(
        self, request: pb.CountdownRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.CountdownResponse]:
        for remaining in range(getattr(request, "from"), -1, -1):
            yield pb.CountdownResponse(remaining=remaining)
        print("liftoff")


if __name__ == "__main__":
    plugin = plugind.Plugin("greeter", "1.0.0").on_start(
        lambda: plugind.log("info", "greeter is up")
    )
    plugin.service(greeter_pb2_grpc.add_GreeterServicer_to_server, Greeter()).serve()
