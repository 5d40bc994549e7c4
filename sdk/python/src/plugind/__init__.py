"""Plugins for plugind, and for any host built on hashicorp/go-plugin, in Python.

    import plugind

    class Greeter(greeter_pb2_grpc.GreeterServicer):
        def Greet(self, request, context):
            return greeter_pb2.GreetResponse(message=f"Hello {request.name}")

    plugind.Plugin("greeter", "1.0.0").service(
        greeter_pb2_grpc.add_GreeterServicer_to_server, Greeter()).serve()

`plugind.testing` has a host for unit tests.
"""

from typing import TYPE_CHECKING, Any

from ._log import LogHandler, log
from ._plugin import Plugin
from ._spec import NoHost, Refused, Settings, Violation

if TYPE_CHECKING:
    from ._peers import Identity, Peer

__all__ = [
    "Identity",
    "LogHandler",
    "NoHost",
    "Peer",
    "Plugin",
    "Refused",
    "Settings",
    "Violation",
    "log",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Most plugins ask nobody for these, and start sooner without.
    if name in ("Identity", "Peer"):
        from . import _peers

        return getattr(_peers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
