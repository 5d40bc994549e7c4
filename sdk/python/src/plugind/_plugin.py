"""Plugin: the one class that an author needs."""

from __future__ import annotations

import sys
import threading
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    List,
    Mapping,
    NoReturn,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    Union,
)

import grpc

from ._contract import Contract
from ._health import Health
from ._spec import NoHost, Settings, Spec

if TYPE_CHECKING:
    from ._peers import Host, Identity, Peer
    from ._spec import ConfigureHook

Implementation = TypeVar("Implementation")


class Plugin:
    """One plugin process: say what it is, then serve().

    The setters return the plugin and are called on one thread, before serve(). What is there "while serving" may be called
    from any thread.
    """

    def __init__(self, name: str, version: str) -> None:
        """`name` and `version` are for operators; the host chooses the plugin by its own configuration."""
        self._spec = Spec(name, version)
        self._health = Health(self._spec)
        self._contract = Contract(self._spec)
        # Where the host's services are; None under a host that has none.
        self._host_address: Optional[str] = None
        self._connected: Optional[Host] = None
        self._connecting = threading.Lock()
        self._on_stop: Optional[Callable[[], None]] = None
        self._stopped_early = False

    # ---- Before serving ----

    def service(
        self,
        add_to_server: Callable[[Implementation, grpc.Server], Any],
        implementation: Implementation,
    ) -> Plugin:
        """Serves `implementation`; `add_to_server` is the generated add_…Servicer_to_server. Call it for each service."""
        add_to_server(implementation, self._spec.recorder)
        return self

    def provides(self, capability: str, version: str = "1.0") -> Plugin:
        """Offers a capability of your own, at MAJOR.MINOR. Call it once for each major."""
        self._spec.provided.setdefault(capability, []).append(version)
        return self

    def requires(self, capability: str, version: str = "1.0") -> Plugin:
        """Needs a capability of the host: without it the host does not start this plugin."""
        self._spec.required.setdefault(capability, []).append(version)
        return self

    def config_schema(self, schema: Union[str, Mapping[str, Any]]) -> Plugin:
        """A JSON Schema (draft 7) for the settings. The host refuses what does not fit before this plugin sees it."""
        import json

        text = schema if isinstance(schema, str) else json.dumps(schema)
        if not isinstance(json.loads(text), dict):
            raise ValueError("the schema of settings is a JSON object")
        self._spec.schema = text
        return self

    def on_start(self, hook: Callable[[], Any]) -> Plugin:
        """Runs when a host has started the plugin, before it is told that the plugin is up: open files, connect to databases.

        What it raises ends the plugin with exit code 1, and is the reason that the host reports.
        """
        self._spec.start = hook
        return self

    def on_configure(self, hook: ConfigureHook) -> Plugin:
        """Runs with the new settings, at the start and whenever they change, one call at a time.

        It takes all of them or none: to refuse them, return an iterable of (field, reason), or raise (`Refused` with a field;
        anything else is refused with its text). Then settings() stays as it was.
        """
        self._spec.configure = hook
        return self

    def on_drain(self, hook: Callable[[], Any]) -> Plugin:
        """Runs when no new calls come any more: finish what goes on beside calls. The host waits for it, within bounds."""
        self._spec.drain = hook
        return self

    def on_shutdown(self, hook: Callable[[], Any]) -> Plugin:
        """Runs once at the end, after health has turned NOT_SERVING and while running calls end, on the thread of serve()."""
        self._spec.shutdown = hook
        return self

    def shutdown_timeout(self, seconds: float) -> Plugin:
        """How long running calls may take to end before they are cancelled. Default: 5 s."""
        self._spec.shutdown_timeout = seconds
        return self

    def cookie(self, key: str, value: str) -> Plugin:
        """The magic cookie by which a host shows that it knows this plugin; a host built on go-plugin has its own."""
        self._spec.cookie = (key, value)
        return self

    def protocol_version(self, version: int) -> Plugin:
        """An application protocol version that this plugin speaks. Call it for each; without a call it is 1."""
        self._spec.versions.append(version)
        return self

    def workers(self, threads: int) -> Plugin:
        """How many calls run at the same time. Default: 32. Each stream is one for as long as it is open."""
        self._spec.workers = threads
        return self

    def options(self, options: Sequence[Tuple[str, Any]]) -> Plugin:
        """Options of the gRPC server, e.g. `[("grpc.max_receive_message_length", 64 << 20)]`: without it 4 MiB."""
        self._spec.options.extend(options)
        return self

    def serve(self, argv: Optional[List[str]] = None) -> NoReturn:
        """Serves until the host ends the plugin, or dies, and then ends the process (it raises SystemExit).

        Exit code 0: ended as asked, by SIGTERM, the host's Shutdown, stop(), or because the host is gone. 1: it could not serve, or
        was not started by a host; stderr says why. Arguments other than --plugind-info are yours. Call it on the main thread.
        """
        from ._process import run

        sys.exit(run(self, sys.argv[1:] if argv is None else argv))

    # ---- While serving ----

    def agreed(self, capability: str) -> Optional[str]:
        """The version at which host and plugin have agreed on that capability, or None."""
        return self._contract.agreed.get(capability)

    def settings(self) -> Settings:
        """The settings in force; {} before the first. Replaced whole when they change, so keep no part of them."""
        return self._contract.settings

    def peer(self, name: str) -> grpc.Channel:
        """A channel to another plugin, for stubs of any kind. It stays good while that plugin or plugind restarts.

        Whom this plugin may call is `[access] calls` in its configuration. A call that is made on the thread of a call that
        this plugin serves carries on its trace, unless it is given a `traceparent`. Raises NoHost under a host other than plugind.
        """
        return self._plugind().peer(name)

    def peers(self) -> List[Peer]:
        """The plugins that this one may call, in order of name, with their state, services and methods.

        Asks the host, for 2 s at most. Raises grpc.RpcError if that fails, and NoHost under a host other than plugind.
        """
        return self._plugind().peers()

    def identity(self) -> Identity:
        """Who this plugin is to its host: name, instance, protocol version, agreed capabilities. Fails as peers() does."""
        return self._plugind().identity()

    def set_status(self, text: str) -> None:
        """A line of this plugin's own in `pluginctl status`. Returns at once; under hosts without it nothing happens."""
        host = self._host()
        if host is not None:
            host.set_status(text)

    def set_serving(self, serving: bool) -> None:
        """Says whether calls may be sent here. While False, plugind routes nothing here and kills nobody. Default: True."""
        self._health.set_serving(serving)

    def stop(self) -> None:
        """Ends serve() in the same orderly way as SIGTERM does. Returns at once."""
        self._stopped_early = True
        if self._on_stop is not None:
            self._on_stop()

    # ---- Inside ----

    def _host(self) -> Optional[Host]:
        """The connection to the host, made when it is first needed: most plugins start without."""
        if self._host_address is None:
            return None
        with self._connecting:
            if self._connected is None:
                from ._peers import Host

                self._connected = Host(self._host_address)
            return self._connected

    def _plugind(self) -> Host:
        host = self._host()
        if host is None:
            raise NoHost("no peers and nobody to ask: PLUGIND_HOST_ADDRESS is not set")
        return host

    def _hang_up(self) -> None:
        with self._connecting:
            self._host_address = None
            if self._connected is not None:
                self._connected.close()
