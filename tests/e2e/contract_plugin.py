#!/usr/bin/env python3
"""A plugin that answers to the plugin contract as it is told to, for tests of what plugind makes of the answers.

contract_plugin.py '{"version": …, "capabilities": [[name, [versions], required], …], "services": […], "schema": …,
"code": {"Negotiate": 13}, "hang": ["Configure"]}'. Settings with a key "bad" are refused by field; with "worse" by
INVALID_ARGUMENT. What it was handed is answered by /contract.v1.Contract/Seen, as JSON; /contract.v1.Contract/Ask
passes {"socket": …, …} to h2_client and answers with the outcome.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from concurrent import futures
from dataclasses import asdict
from typing import Any

import grpc
from google.protobuf import json_format

sys.path.append(os.environ["CONTRACT_STUBS"])

from h2_client import Call, perform  # noqa: E402
from plugind.plugin.v1 import plugin_pb2  # noqa: E402

SERVING = b"\x08\x01"


class Contract:
    def __init__(self, orders: dict[str, Any]) -> None:
        self.orders = orders
        self.seen: dict[str, list[Any]] = {}
        self.ended = threading.Event()

    def take(self, method: str, request: Any, context: grpc.ServicerContext) -> dict[str, Any]:
        message = json_format.MessageToDict(request)
        self.seen.setdefault(method, []).append(message)
        if method in self.orders.get("hang", []):
            time.sleep(3600)
        if code := self.orders.get("code", {}).get(method):
            context.abort(next(c for c in grpc.StatusCode if c.value[0] == code), "as told")
        return message

    def negotiate(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.take("Negotiate", request, context)
        answer = plugin_pb2.NegotiateResponse(
            name="contract",
            version=self.orders.get("version", "1.0.0"),
            services=self.orders.get("services", ["contract.v1.Contract"]),
            config_schema=self.orders.get("schema", "{" * self.orders.get("schema_bytes", 0)),
        )
        for name, versions, required in self.orders.get("capabilities", []):
            answer.capabilities.add(name=name, versions=versions, required=required)
        return answer

    def configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        message = self.take("Configure", request, context)
        settings = message.get("settings", {})
        if "worse" in settings:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "worse is not to be had")
        answer = plugin_pb2.ConfigureResponse()
        if "bad" in settings:
            answer.violations.add(field="bad", reason="there is no such thing")
        return answer

    def drain(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.take("Drain", request, context)
        print("drained", flush=True)
        return plugin_pb2.DrainResponse()

    def shut_down(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.take("Shutdown", request, context)
        print("shut down", flush=True)
        self.ended.set()
        return plugin_pb2.ShutdownResponse()

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        def unary(function: Any, request: Any, response: Any) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(
                function, request.FromString, response.SerializeToString
            )

        p = plugin_pb2
        contract = {
            "Negotiate": unary(self.negotiate, p.NegotiateRequest, p.NegotiateResponse),
            "Configure": unary(self.configure, p.ConfigureRequest, p.ConfigureResponse),
            "Drain": unary(self.drain, p.DrainRequest, p.DrainResponse),
            "Shutdown": unary(self.shut_down, p.ShutdownRequest, p.ShutdownResponse),
        }
        for method in self.orders.get("without", []):
            del contract[method]
        own = {
            "Seen": grpc.unary_unary_rpc_method_handler(
                lambda _, context: json.dumps(
                    {**self.seen, "metadata": [[k, str(v)] for k, v in context.invocation_metadata()]}
                ).encode()
            ),
            "Ask": grpc.unary_unary_rpc_method_handler(self.ask),
        }
        health = {"Check": grpc.unary_unary_rpc_method_handler(lambda *_: SERVING)}
        return [
            grpc.method_handlers_generic_handler("plugind.plugin.v1.Plugin", contract),
            grpc.method_handlers_generic_handler("contract.v1.Contract", own),
            grpc.method_handlers_generic_handler("grpc.health.v1.Health", health),
        ]

    @staticmethod
    def ask(request: bytes, _: grpc.ServicerContext) -> bytes:
        call = json.loads(request)
        call.setdefault("socket", os.environ["PLUGIND_HOST_ADDRESS"].removeprefix("unix:"))
        return json.dumps(asdict(perform(Call(**call)))).encode()


def main() -> None:
    contract = Contract(json.loads(sys.argv[1]))
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(contract.handlers())
    path = os.environ["PLUGIN_UNIX_SOCKET_DIR"] + "/p.sock"
    server.add_insecure_port(f"unix:{path}")
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: contract.ended.set())
    print(f"1|1|unix|{path}|grpc", flush=True)
    contract.ended.wait()
    server.stop(1)
    os._exit(0)  # a call that was told to hang is still there


if __name__ == "__main__":
    main()
