#!/usr/bin/env python3
"""A plugin of another day: it answers with recorded bytes, and reads what it is asked with the descriptors of 0.1.

frozen_plugin.py old|new. Settings with the key "refuse" are refused. /frozen.v1.Frozen/Seen answers with what it read, as JSON.
It stands on Python's grpcio alone, and on the files beside it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from concurrent import futures
from typing import Any

import grpc

from message_set import fields_of, frozen_class, recorded_bytes

SERVING = b"\x08\x01"


class FrozenPlugin:
    def __init__(self, side: str) -> None:
        self.side = side
        self.seen: dict[str, list[Any]] = {}
        self.ended = threading.Event()

    def handler(self, method: str) -> grpc.RpcMethodHandler:
        request_class = frozen_class(f"{method}Request")

        def answer(request: bytes, _: grpc.ServicerContext) -> bytes:
            message = fields_of(request_class.FromString(request))
            self.seen.setdefault(method, []).append(message)
            if method == "Shutdown":
                self.ended.set()
            refused = method == "Configure" and "refuse" in message.get("settings", {})
            return recorded_bytes(f"{self.side}.{method}Response" + (".refused" if refused else ""))

        return grpc.unary_unary_rpc_method_handler(answer)

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        services = {
            "plugind.plugin.v1.Plugin": {
                method: self.handler(method)
                for method in ("Negotiate", "Configure", "Drain", "Shutdown")
            },
            "frozen.v1.Frozen": {
                "Seen": grpc.unary_unary_rpc_method_handler(
                    lambda *_: json.dumps(self.seen).encode()
                )
            },
            "grpc.health.v1.Health": {
                "Check": grpc.unary_unary_rpc_method_handler(lambda *_: SERVING)
            },
        }
        return [
            grpc.method_handlers_generic_handler(name, methods)
            for name, methods in services.items()
        ]


def main() -> None:
    plugin = FrozenPlugin(sys.argv[1])
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(plugin.handlers())
    path = os.environ["PLUGIN_UNIX_SOCKET_DIR"] + "/p.sock"
    server.add_insecure_port(f"unix:{path}")
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("SIGTERM before Shutdown"))
    print(f"1|1|unix|{path}|grpc", flush=True)
    plugin.ended.wait()
    server.stop(1).wait()


if __name__ == "__main__":
    main()
