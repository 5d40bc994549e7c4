import grpc
import plugind
from google.protobuf.wrappers_pb2 import StringValue


def say(request: StringValue, context: grpc.ServicerContext) -> StringValue:
    return StringValue(value=f"hello {request.value}")


def add(hello: object, server: grpc.Server) -> None:
    handler = grpc.unary_unary_rpc_method_handler(
        hello, StringValue.FromString, StringValue.SerializeToString
    )
    service = grpc.method_handlers_generic_handler("hello.v1.Hello", {"Say": handler})
    server.add_generic_rpc_handlers((service,))


plugind.Plugin("hello", "1.0.0").service(add, say).serve()
