"""A host for unit tests, in the test's own process: no plugind, no child process, a real gRPC connection.

    def test_greets():
        with FakeHost(make_plugin(), settings={"greeting": "Servus"}) as host:
            greeter = greeter_pb2_grpc.GreeterStub(host.channel)
            assert greeter.Greet(GreetRequest(name="Ada")).message == "Servus Ada"
            assert host.configure({"greeting": ""}) == [("greeting", "must not be empty")]

It does with the plugin what plugind does: start, Negotiate, Configure; at the end Drain and Shutdown. One FakeHost for one
Plugin, once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, TypeVar

import grpc

from . import __version__, _wire
from ._contract import SERVICE
from ._peers import OPTIONS
from ._plugin import Plugin
from ._server import Server
from ._spec import Capability, Recorder, Violation

Implementation = TypeVar("Implementation")

# What plugind itself can do.
BUILT_IN = {
    name: "1.0" for name in ("config.reload", "drain", "log.structured", "peer.calls", "trace")
}

SECONDS = 10.0


class StartRefused(AssertionError):
    """plugind would not have started the plugin: a capability is missing, or the settings were refused."""


class Negotiated(NamedTuple):
    """What the plugin said of itself."""

    name: str
    version: str
    services: List[str]
    capabilities: List[Capability]
    config_schema: str


def agree(ours: Sequence[str], theirs: Sequence[str]) -> Optional[str]:
    """The version on which two lists of MAJOR.MINOR agree: the highest common major, with the lower of the two minors."""

    def by_major(versions: Sequence[str]) -> Dict[int, int]:
        found: Dict[int, int] = {}
        for version in versions:
            major, _, minor = version.partition(".")
            if major.isdecimal() and minor.isdecimal():
                found[int(major)] = max(found.get(int(major), 0), int(minor))
        return found

    mine, other = by_major(ours), by_major(theirs)
    if not ours:  # any version will do
        mine = other
    common = set(mine) & set(other)
    if not common:
        return None
    major = max(common)
    return f"{major}.{min(mine[major], other[major])}"


class FakeHost:
    """Runs a Plugin in this process, as its host. A context manager."""

    def __init__(
        self,
        plugin: Plugin,
        *,
        settings: Optional[Mapping[str, Any]] = None,
        capabilities: Optional[Mapping[str, str]] = None,
    ) -> None:
        """`settings` is the plugin's [config] table. `capabilities` is what this host offers beside BUILT_IN, with versions."""
        # Short, because a socket's path holds 107 bytes.
        self._directory = tempfile.mkdtemp(prefix="pd-")
        self._plugin = plugin
        self._offered = {**BUILT_IN, **(capabilities or {})}
        self._first_settings = dict(settings or {})
        self._generation = 0
        self._peers: Dict[str, Recorder] = {}
        self._answers = ThreadPoolExecutor(8, "fake-host")
        self._own: Optional[grpc.Server] = None
        self._server: Optional[Server] = None
        self._channel: Optional[grpc.Channel] = None
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        self._statuses: List[str] = []
        self._services = {
            "/plugind.host.v1.Host/GetSelf": self._get_self,
            "/plugind.host.v1.Host/ListPeers": self._list_peers,
            "/plugind.host.v1.Host/SetStatus": self._set_status,
        }
        self.agreed: Dict[str, str] = {}
        self.negotiated: Optional[Negotiated] = None

    def add_peer(
        self,
        name: str,
        add_to_server: Callable[[Implementation, grpc.Server], Any],
        implementation: Implementation,
    ) -> FakeHost:
        """A peer that the plugin may call, played by `implementation`. Calls of other peers are PERMISSION_DENIED."""
        recorder = self._peers.setdefault(name, Recorder())
        add_to_server(implementation, recorder)
        return self

    def __enter__(self) -> FakeHost:
        try:
            self._start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        try:
            self.shutdown()
        finally:
            self._close()

    # ---- What a test looks at, and does ----

    @property
    def channel(self) -> grpc.Channel:
        """To the plugin, for stubs."""
        assert self._channel is not None, "the FakeHost has not been entered"
        return self._channel

    @property
    def stopped(self) -> bool:
        """Whether the plugin has asked for its end: by stop(), or because it was told to."""
        return self._stopped.is_set()

    @property
    def statuses(self) -> List[str]:
        """What the plugin has set with set_status(), oldest first."""
        with self._changed:
            return list(self._statuses)

    def wait_status(self, text: str, within: float = SECONDS) -> None:
        """Until the plugin has set that status."""
        with self._changed:
            came = self._changed.wait_for(lambda: text in self._statuses, within)
        assert came, f"no status {text!r} within {within} s: {self._statuses}"

    def serving(self, service: str = "plugin") -> bool:
        """What the plugin's health says."""
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        return _wire.number(check(_wire.put_text(1, service), timeout=SECONDS), 1) == 1

    def configure(self, settings: Mapping[str, Any]) -> List[Violation]:
        """A hot reload. Returns what the plugin has against the settings; [] when it has taken them."""
        self._generation += 1
        request = (
            _wire.put_bytes(1, _wire.put_table(settings))
            + _wire.put_string_map(2, self.agreed)
            + _wire.put_number(3, self._generation)
        )
        response = self._order("Configure", request)
        return [
            Violation(_wire.text(one, 1), _wire.text(one, 2))
            for one in _wire.all_bytes(response, 1)
        ]

    def drain(self) -> None:
        """As before the plugin is stopped. Returns when the plugin has finished what it does beside calls."""
        if "drain" in self.agreed:
            self._order("Drain", b"")

    def shutdown(self) -> None:
        """Ends the plugin in order: running calls end, on_shutdown runs. Idempotent."""
        if self._server is None:
            return
        self._order("Shutdown", b"")
        server, self._server = self._server, None
        assert server.end(), "a call has ignored that it was cancelled"

    # ---- Inside ----

    def _start(self) -> None:
        path = os.path.join(self._directory, "host.sock")
        self._own = grpc.server(self._answers, handlers=(_Door(self),))
        self._own.add_insecure_port(f"unix:{path}")
        self._own.start()

        plugin = self._plugin
        plugin._host_address = f"unix:{path}"
        plugin._on_stop = self._stopped.set
        if plugin._spec.start:
            plugin._spec.start()
        server = Server(plugin._spec, plugin._health, plugin._contract, self._stopped.set)
        server.listen(os.path.join(self._directory, "p.sock"))
        server.start()
        self._server = server
        self._channel = grpc.insecure_channel(
            f"unix:{self._directory}/p.sock", [*OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
        )
        self._negotiate()
        violations = self.configure(self._first_settings)
        if violations:
            raise StartRefused(f"the settings are refused: {violations}")

    def _negotiate(self) -> None:
        offers = b"".join(
            _wire.put_bytes(7, _wire.put_text(1, name) + _wire.put_text(2, version))
            for name, version in self._offered.items()
        )
        request = (
            _wire.put_text(1, "plugind")
            + _wire.put_text(3, self._plugin._spec.name)
            + _wire.put_text(4, "fake")
            + _wire.put_number(5, self._plugin._spec.protocol_versions[-1])
            + offers
        )
        said = self._order("Negotiate", request)
        capabilities = [
            Capability(_wire.text(one, 1), _wire.texts(one, 2), bool(_wire.number(one, 3)))
            for one in _wire.all_bytes(said, 4)
        ]
        self.negotiated = Negotiated(
            _wire.text(said, 1),
            _wire.text(said, 2),
            _wire.texts(said, 3),
            capabilities,
            _wire.text(said, 5),
        )
        for one in capabilities:
            offered = self._offered.get(one.name)
            version = agree([offered], one.versions) if offered else None
            if version:
                self.agreed[one.name] = version
            elif one.required:
                raise StartRefused(
                    f"the plugin requires {one.name} {one.versions}; this host offers "
                    f"{offered or 'none of that name'}"
                )

    def _order(self, method: str, request: bytes) -> bytes:
        call = self.channel.unary_unary(f"/{SERVICE}/{method}")
        answer: bytes = call(request, timeout=SECONDS, wait_for_ready=True)
        return answer

    def _get_self(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        return (
            _wire.put_text(1, self._plugin._spec.name)
            + _wire.put_text(2, "fake")
            + _wire.put_number(3, self._plugin._spec.protocol_versions[-1])
            + _wire.put_string_map(4, self.agreed)
            + _wire.put_text(5, "plugind")
            + _wire.put_text(6, __version__)
        )

    def _list_peers(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        return b"".join(
            _wire.put_bytes(
                1,
                _wire.put_text(1, name)
                + _wire.put_text(2, "READY")
                + _wire.put_texts(4, self._peers[name].services())
                + _wire.put_texts(5, ["*"]),
            )
            for name in sorted(self._peers)
        )

    def _set_status(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        with self._changed:
            self._statuses.append(_wire.text(request, 1))
            self._changed.notify_all()
        return b""

    def _close(self) -> None:
        if self._server is not None:
            self._server.end()
            self._server = None
        if self._channel is not None:
            self._channel.close()
        self._plugin._hang_up()
        if self._own is not None:
            self._own.stop(None).wait()
        self._answers.shutdown()
        shutil.rmtree(self._directory, ignore_errors=True)


class _Door(grpc.GenericRpcHandler):
    """Who is called is in the metadata: the host itself, or a peer."""

    def __init__(self, host: FakeHost) -> None:
        self._host = host

    def service(self, details: grpc.HandlerCallDetails) -> Optional[grpc.RpcMethodHandler]:
        name = dict(details.invocation_metadata).get("plugind-plugin")
        if name is None:
            own = self._host._services.get(details.method)
            return grpc.unary_unary_rpc_method_handler(own) if own else None
        peer = self._host._peers.get(name)
        if peer is None:
            return grpc.unary_unary_rpc_method_handler(_denied)
        for handler in peer.generic:
            found = handler.service(details)
            if found is not None:
                return found
        return None


def _denied(request: bytes, context: grpc.ServicerContext) -> bytes:
    name = dict(context.invocation_metadata()).get("plugind-plugin")
    context.abort(
        grpc.StatusCode.PERMISSION_DENIED, f"{name} is no peer of this FakeHost: see add_peer()"
    )
    raise AssertionError("abort returns never")
