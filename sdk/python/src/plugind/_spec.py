"""What an author has said of a plugin, before it serves."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
)

import grpc

from . import _trace

Settings = Dict[str, Any]

# Offered by the SDK itself. config.reload and drain come with their hooks.
ALWAYS = ("log.structured", "peer.calls", "trace")


class Violation(NamedTuple):
    """What is wrong with one setting."""

    # A path from the top: "limits.max", "servers[2].port"; "": the settings as a whole.
    field: str
    # For the person who wrote it.
    reason: str


class Refused(Exception):
    """Raised by an on_configure hook: the settings are not taken, and those before stay in force.

    `Refused("max is below min")`, or with a field: `Refused("must be positive", field="limits.max")`.
    """

    def __init__(self, reason: str, *, field: str = "") -> None:
        super().__init__(reason)
        self.violations = [Violation(field, reason)]


class NoHost(RuntimeError):
    """The host of this plugin has no peers to call: it is not plugind."""


class Capability:
    """A named thing that one side can do, at these versions, and whether the other side must have it."""

    __slots__ = ("name", "versions", "required")

    def __init__(self, name: str, versions: List[str], required: bool) -> None:
        self.name = name
        self.versions = versions
        self.required = required


if TYPE_CHECKING:  # what it costs to build is start-up time of every plugin
    ConfigureHook = Callable[[Settings], Optional[Iterable[Tuple[str, str]]]]


class Recorder:
    """Stands in for a grpc.Server while the author's services are registered, so that their names are known without one."""

    def __init__(self) -> None:
        self.generic: List[grpc.GenericRpcHandler] = []
        self.registered: List[Tuple[str, Mapping[str, grpc.RpcMethodHandler]]] = []

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        self.generic.extend(handlers)

    # Generated code calls it as well since grpcio 1.64.
    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler]
    ) -> None:
        self.registered.append((service, handlers))

    def services(self) -> List[str]:
        names = {name for name, _ in self.registered}
        for handler in self.generic:
            if isinstance(handler, grpc.ServiceRpcHandler):
                names.add(handler.service_name())
        return sorted(names)

    def replay(self, server: grpc.Server) -> None:
        """Registers them with a server, which then knows of each thread which call it serves (see _trace)."""
        server.add_generic_rpc_handlers(
            tuple(
                _trace.Service(handler) if isinstance(handler, grpc.ServiceRpcHandler) else handler
                for handler in self.generic
            )
        )
        for service, handlers in self.registered:
            server.add_registered_method_handlers(service, _trace.serving_all(handlers))


class Spec:
    """Filled by Plugin's setters, only read afterwards."""

    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version
        self.recorder = Recorder()
        self.provided: Dict[str, List[str]] = {}
        self.required: Dict[str, List[str]] = {}
        self.schema = ""
        self.versions: List[int] = []
        self.cookie = ("PLUGIND_PLUGIN", "1")
        self.start: Optional[Callable[[], Any]] = None
        self.configure: Optional[ConfigureHook] = None
        self.drain: Optional[Callable[[], Any]] = None
        self.shutdown: Optional[Callable[[], Any]] = None
        self.shutdown_timeout = 5.0
        self.workers = 32
        self.options: List[Tuple[str, Any]] = []

    @property
    def protocol_versions(self) -> List[int]:
        return sorted(set(self.versions)) or [1]

    def capabilities(self) -> List[Capability]:
        """The author's and the built-in ones, by name."""
        found: Dict[str, List[str]] = {name: ["1.0"] for name in ALWAYS}
        if self.configure:
            found["config.reload"] = ["1.0"]
        if self.drain:
            found["drain"] = ["1.0"]
        for said in (self.provided, self.required):
            for name, versions in said.items():
                known = found.setdefault(name, [])
                known.extend(version for version in versions if version not in known)
        return [Capability(name, found[name], name in self.required) for name in sorted(found)]

    def info(self) -> Dict[str, Any]:
        """What --plugind-info prints."""
        import json

        from . import __version__

        info: Dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "services": self.recorder.services(),
            "protocolVersions": self.protocol_versions,
            "capabilities": [
                {"name": one.name, "versions": one.versions, "required": one.required}
                for one in self.capabilities()
            ],
        }
        if self.schema:
            info["configSchema"] = json.loads(self.schema)
        info["sdk"] = {"language": "python", "version": __version__}
        return info
