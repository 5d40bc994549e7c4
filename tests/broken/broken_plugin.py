#!/usr/bin/python3
"""A plugin that serves the whole contract and, by its argument, breaks one rule of it.

    broken_plugin.py STUBS [MODE]

STUBS is the folder of the generated modules. Each MODE is a place where MODE is asked for below; tests/e2e/test_plugin_test.py
says which rule it breaks. Without one every rule is kept. It is written on plain grpcio, so that it can be wrong wherever a
library would not let it.
"""

from __future__ import annotations

import json
import os
import queue
import re
import select
import signal
import socket
import sys
import threading
import time
from concurrent import futures

sys.path.insert(0, sys.argv[1])
MODE = sys.argv[2] if len(sys.argv) > 2 and not sys.argv[2].startswith("-") else ""

import grpc  # noqa: E402
from health.v1 import health_pb2, health_pb2_grpc  # noqa: E402
from plugin import go_plugin_pb2, go_plugin_pb2_grpc  # noqa: E402
from plugind.plugin.v1 import plugin_pb2, plugin_pb2_grpc  # noqa: E402

SCHEMA = {"type": "object", "properties": {"greeting": {"type": "string"}}}
KNOWN = {"config.reload", "drain", "peer.calls", "log.structured", "trace"}


class State:
    """What the services share. Any thread."""

    def __init__(self) -> None:
        # Not an Event: its set() takes a lock that the main thread may hold when a signal comes.
        self.stop: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.negotiated = False
        self.serving = MODE not in ("never-serving", "waits-for-negotiate")


class Health(health_pb2_grpc.HealthServicer):
    def __init__(self, state: State) -> None:
        self.state = state

    def Check(self, request, context):
        if MODE == "floods-stdout":
            print("x" * 8192, flush=True)
        if MODE == "dies-of-big-messages" and len(request.service) > 1 << 20:
            os._exit(5)
        if request.service not in ("", "plugin"):
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        answer = health_pb2.HealthCheckResponse
        return answer(status=answer.SERVING if self.state.serving else answer.NOT_SERVING)


class Plugin(plugin_pb2_grpc.PluginServicer):
    def __init__(self, state: State) -> None:
        self.state = state

    def Negotiate(self, request, context):
        names = {each.name for each in request.capabilities}
        if MODE == "negotiate-fails":
            context.abort(grpc.StatusCode.INTERNAL, "no")
        if MODE == "negotiates-once" and self.state.negotiated:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "we have been through this")
        self.state.negotiated = True
        if MODE == "fears-the-new" and names - KNOWN:
            os._exit(6)
        if MODE == "insists" and "trace" not in names:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "I need trace")
        self.state.serving = MODE != "never-serving"
        capability = plugin_pb2.Capability
        capabilities = [capability(name=name, versions=["1.0"]) for name in ("config.reload", "drain")]
        if MODE == "insists":
            capabilities.append(capability(name="trace", versions=["1.0"], required=True))
        if MODE == "illegal-name":
            capabilities.append(capability(name="my capability!", versions=["1.0"], required=True))
        if MODE == "too-much":
            capabilities += [capability(name=f"c{i}", versions=["1.0"]) for i in range(300)]
        schema = "{'type'" if MODE == "bad-schema" else json.dumps(SCHEMA)
        return plugin_pb2.NegotiateResponse(
            name="broken", version="1.0.0", capabilities=capabilities, config_schema=schema
        )

    def Configure(self, request, context):
        answer = plugin_pb2.ConfigureResponse()
        greeting = request.settings.fields["greeting"]
        if MODE == "refuses-everything":
            answer.violations.add(field="greeting", reason="is required")
        elif MODE == "fears-new-fields" and set(request.capabilities) - KNOWN:
            context.abort(grpc.StatusCode.INTERNAL, "what is that?")
        elif greeting.WhichOneof("kind") not in (None, "string_value") and MODE != "takes-anything":
            answer.violations.add(field="greeting", reason="must be a string")
            if MODE == "loses-settings":
                self.state.serving = False
        else:
            self.state.serving = MODE != "never-serving"
        return answer

    def Drain(self, request, context):
        if MODE == "drain-ends-it":
            os._exit(0)
        return plugin_pb2.DrainResponse()

    def Shutdown(self, request, context):
        if MODE != "shutdown-hangs":
            self.state.stop.put(None)
        return plugin_pb2.ShutdownResponse()


class Controller(go_plugin_pb2_grpc.GRPCControllerServicer):
    def __init__(self, state: State) -> None:
        self.state = state

    def Shutdown(self, request, context):
        if MODE != "controller-hangs":
            self.state.stop.put(None)
        return go_plugin_pb2.Empty()


class AnswersAnything(grpc.GenericRpcHandler):
    def service(self, details):
        if re.search("nosuch|no.such", details.method, re.IGNORECASE):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
        return None


def forward(outer: str, inner: str) -> None:
    """Takes connections at `outer` for `inner`, and does not survive what is no HTTP/2."""

    def pump(one: socket.socket, other: socket.socket) -> None:
        try:
            ends = {one: other, other: one}
            while True:
                for end in select.select([one, other], [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    ends[end].sendall(data)
        except OSError:
            return
        finally:
            one.close()
            other.close()

    def meet(connection: socket.socket) -> None:
        first = connection.recv(65536)
        if first and not first.startswith(b"PRI"):
            os._exit(4)
        onward = socket.socket(socket.AF_UNIX)
        onward.connect(inner)
        onward.sendall(first)
        pump(connection, onward)

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(outer)
    listener.listen(200)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=meet, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def watch_host(state: State) -> None:
    host = os.getppid()

    def watch() -> None:
        while os.getppid() == host:
            time.sleep(0.2)
        state.stop.put(None)

    threading.Thread(target=watch, daemon=True).start()


def explain() -> int:
    print("broken_plugin is a plugin for tests; plugind starts it", file=sys.stderr)
    return 1


def describe() -> int:
    described = {"name": "broken", "version": "1.0.0", "services": [], "protocolVersions": [1]}
    if MODE == "bad-info":
        del described["version"]
    print(json.dumps(described))
    return 0


def knows_cookie() -> bool:
    cookie = os.environ.get("PLUGIND_PLUGIN")
    if MODE == "no-cookie-check":
        return True
    return cookie is not None if MODE == "any-cookie" else cookie == "1"


def choose_version() -> int:
    offered = [int(each) for each in os.environ["PLUGIN_PROTOCOL_VERSIONS"].split(",")]
    if MODE == "echoes-versions":
        return offered[0]
    return 9 if MODE == "unoffered-version" else 1


def start_server(state: State, path: str) -> grpc.Server:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    if MODE == "answers-anything":
        server.add_generic_rpc_handlers((AnswersAnything(),))
    if MODE != "no-health":
        health_pb2_grpc.add_HealthServicer_to_server(Health(state), server)
    plugin_pb2_grpc.add_PluginServicer_to_server(Plugin(state), server)
    go_plugin_pb2_grpc.add_GRPCControllerServicer_to_server(Controller(state), server)
    server.add_insecure_port(f"unix:{path}")
    server.start()
    return server


def main() -> int:
    if "--plugind-info" in sys.argv:
        return describe()
    if not knows_cookie():
        return explain()
    if MODE == "needs-home":
        os.environ["HOME"]
    if MODE == "never-prints":
        time.sleep(3600)
    state = State()
    signal.signal(signal.SIGTERM, lambda number, frame: state.stop.put(None))
    if MODE == "ignores-sigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MODE == "exits-with-3":
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(3))
    if MODE != "outlives-host":
        watch_host(state)

    directory = os.environ.get("PLUGIN_UNIX_SOCKET_DIR", "/tmp")
    if MODE == "outside":
        directory += "-outside"
        os.mkdir(directory)
    path = os.path.join(directory, "p.sock")
    if MODE == "trips-over-leftovers":
        open(os.path.join(os.environ["PLUGIND_STATE_DIR"], "lock"), "x").close()

    core = 2 if MODE == "core-2" else 1
    protocol = "netrpc" if MODE == "netrpc" else "grpc"
    line = f"{core}|{choose_version()}|unix|{path}|{protocol}"
    if MODE == "four-fields":
        line = line.rpartition("|")[0]
    if MODE == "noisy":
        print("\n".join(f"loading part {i}" for i in range(100)))
    if MODE == "announces-too-early":
        print(line, flush=True)
        time.sleep(0.5)
    if MODE == "dies-of-garbage":
        server = start_server(state, path + ".in")
        forward(path, path + ".in")
    else:
        server = start_server(state, path)
    os.chmod(path, 0o777 if MODE == "open-to-all" else 0o600)
    if MODE != "announces-too-early":
        print(line, flush=True)
    if MODE == "two-handshakes":
        print(line, flush=True)

    state.stop.get()
    server.stop(2).wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
