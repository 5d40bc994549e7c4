#!/usr/bin/env python3
"""A plugin that calls whom it is told to, as what it is told to be: for tests of what a plugin can pass itself off as.

/relay.v1.Relay/Call takes {"as": …, "calls": […]} and answers with the outcomes, both as in h2_client.py. A call
whose socket is "host" goes to PLUGIND_HOST_ADDRESS. /relay.v1.Relay/Seen answers with the metadata that it was called with.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent import futures
from dataclasses import asdict
from pathlib import Path

import grpc

from h2_client import Call, perform

HERE = Path(__file__).resolve().parent
# SERVING, as grpc.health.v1.HealthCheckResponse has it on the wire.
SERVING = b"\x08\x01"


def in_a_child(order: bytes, **keys: bool) -> bytes:
    return subprocess.run(
        [sys.executable, "-B", __file__, "caller"],
        input=order,
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
        **keys,
    ).stdout


def in_an_orphan(order: bytes) -> bytes:
    """By a process that has left its parents and its session, as a daemon does."""
    read, write = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-B", __file__, "orphan", str(write)],
        stdin=subprocess.PIPE,
        pass_fds=[write],
        start_new_session=True,
    )
    os.close(write)
    child.communicate(order)
    with os.fdopen(read, "rb") as answer:
        return answer.read()


def relay(request: bytes, _: grpc.ServicerContext) -> bytes:
    order = json.loads(request)
    calls = json.dumps(order["calls"]).encode()
    if order["as"] == "main":
        return make_calls(calls)
    if order["as"] == "child":
        return in_a_child(calls)
    if order["as"] == "session":
        return in_a_child(calls, start_new_session=True)
    if order["as"] == "orphan":
        return in_an_orphan(calls)
    raise ValueError(order["as"])


def make_calls(calls: bytes) -> bytes:
    host = os.environ["PLUGIND_HOST_ADDRESS"].removeprefix("unix:")
    outcomes = []
    for call in json.loads(calls):
        call["socket"] = host if call["socket"] == "host" else call["socket"]
        outcomes.append(asdict(perform(Call(**call))))
    return json.dumps(outcomes).encode()


def seen(_: bytes, context: grpc.ServicerContext) -> bytes:
    return json.dumps([[key, value] for key, value in context.invocation_metadata()]).encode()


def handlers(service: str, **methods: object) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        service, {name: grpc.unary_unary_rpc_method_handler(do) for name, do in methods.items()}
    )


def serve() -> None:
    path = f"{os.environ['PLUGIN_UNIX_SOCKET_DIR']}/p.sock"
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers(
        (
            handlers("grpc.health.v1.Health", Check=lambda *_: SERVING),
            handlers("relay.v1.Relay", Call=relay, Seen=seen),
            handlers("relay.v1.Other", Seen=seen),
        )
    )
    server.add_insecure_port(f"unix:{path}")
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    server.start()
    print(f"1|1|unix|{path}|grpc", flush=True)
    end.wait()
    server.stop(0).wait()


def main() -> None:
    mode = sys.argv[1] if len(sys.argv) > 1 else "serve"
    if mode == "serve":
        serve()
    elif mode == "caller":
        sys.stdout.buffer.write(make_calls(sys.stdin.buffer.read()))
    elif mode == "orphan":
        order = sys.stdin.buffer.read()
        if os.fork() == 0:
            os.setsid()
            # Its parent is gone once it is somebody else's child.
            before = os.getppid()
            os.kill(before, signal.SIGKILL)
            while os.getppid() == before:
                pass
            with os.fdopen(int(sys.argv[2]), "wb") as answer:
                answer.write(make_calls(order))
            os._exit(0)
        signal.pause()


if __name__ == "__main__":
    main()
