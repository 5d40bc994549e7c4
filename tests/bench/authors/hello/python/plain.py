"""The floor by hand: handshake, health, SIGTERM."""

import os
import queue
import signal
from concurrent import futures

import grpc
from google.protobuf.wrappers_pb2 import StringValue

SERVING = b"\x08\x01"


def say(request: StringValue, context: grpc.ServicerContext) -> StringValue:
    return StringValue(value=f"hello {request.value}")


stop: queue.SimpleQueue[int] = queue.SimpleQueue()
signal.signal(signal.SIGTERM, lambda number, frame: stop.put(number))
path = os.environ["PLUGIN_UNIX_SOCKET_DIR"] + "/p.sock"
server = grpc.server(futures.ThreadPoolExecutor(8))
handler = grpc.unary_unary_rpc_method_handler(
    say, StringValue.FromString, StringValue.SerializeToString
)
health = grpc.unary_unary_rpc_method_handler(lambda request, context: SERVING)
server.add_generic_rpc_handlers(
    (
        grpc.method_handlers_generic_handler("hello.v1.Hello", {"Say": handler}),
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": health}),
    )
)
server.add_insecure_port(f"unix:{path}")
server.start()
print(f"1|1|unix|{path}|grpc", flush=True)
stop.get()
server.stop(1).wait()
