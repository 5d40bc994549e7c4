"""The host's own services and the plugin's peers, at PLUGIND_HOST_ADDRESS. Loaded when a plugin first asks for one.

Every call is made within the trace of the call that its thread serves, unless its caller says otherwise.

Thread safety: every method may be called on any thread.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import grpc

from . import _trace, _wire
from ._log import log

# A channel finds a plugind that was restarted within a second; gRPC's own pauses grow to two minutes.
OPTIONS = [
    ("grpc.default_authority", "localhost"),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
Metadata = Sequence[Tuple[str, Any]]

# How long the host may take to answer.
SECONDS = 2.0


class Identity(NamedTuple):
    """Who a plugin is to its host, and what was agreed with it."""

    # The host's name for the plugin.
    name: str
    # This process.
    instance: str
    protocol_version: int
    # Agreed ones, with their versions.
    capabilities: Dict[str, str]
    # "plugind", and its version.
    host: str
    host_version: str


class Peer(NamedTuple):
    """A plugin that this one may call."""

    name: str
    # As `pluginctl status` says it: READY, BACKOFF, …
    state: str
    # What the peer says of itself; may be empty.
    version: str
    services: List[str]
    # What may be called: "*", or "pkg.Service/Method", "pkg.Service/*".
    methods: List[str]


class _Details(NamedTuple):
    method: str
    timeout: Optional[float]
    metadata: Optional[Metadata]
    credentials: Optional[grpc.CallCredentials]
    wait_for_ready: Optional[bool]
    compression: Optional[grpc.Compression]


class _CallDetails(_Details, grpc.ClientCallDetails):
    pass


class _To(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds to each call which plugin it is for, and the trace that it belongs to."""

    def __init__(self, name: str) -> None:
        self._address = ("plugind-plugin", name)

    def _call(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        metadata = details.metadata or ()
        addressed = _CallDetails(
            details.method,
            details.timeout,
            [*metadata, *_trace.carried(metadata), self._address],
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
        return continuation(addressed, request)

    intercept_unary_unary = _call
    intercept_unary_stream = _call
    intercept_stream_unary = _call
    intercept_stream_stream = _call


class Host:
    """One connection to the host, shared by all peers."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, OPTIONS)
        self._lock = threading.Lock()
        self._peers: Dict[str, grpc.Channel] = {}
        self._get_self = self._channel.unary_unary("/plugind.host.v1.Host/GetSelf")
        self._list_peers = self._channel.unary_unary("/plugind.host.v1.Host/ListPeers")
        self._set_status = self._channel.unary_unary("/plugind.host.v1.Host/SetStatus")
        # One call at a time, so that the host's last text is the plugin's last; what comes meanwhile waits, the newest alone.
        self._telling = False
        self._next_status: Optional[Tuple[str, Metadata]] = None

    def peer(self, name: str) -> grpc.Channel:
        with self._lock:
            if name not in self._peers:
                self._peers[name] = grpc.intercept_channel(self._channel, _To(name))
            return self._peers[name]

    def identity(self) -> Identity:
        said = self._get_self(b"", timeout=SECONDS, metadata=_trace.carried())
        return Identity(
            name=_wire.text(said, 1),
            instance=_wire.text(said, 2),
            protocol_version=_wire.number(said, 3),
            capabilities=_wire.string_map(said, 4),
            host=_wire.text(said, 5),
            host_version=_wire.text(said, 6),
        )

    def peers(self) -> List[Peer]:
        said = self._list_peers(b"", timeout=SECONDS, metadata=_trace.carried())
        return [
            Peer(
                name=_wire.text(one, 1),
                state=_wire.text(one, 2),
                version=_wire.text(one, 3),
                services=_wire.texts(one, 4),
                methods=_wire.texts(one, 5),
            )
            for one in _wire.all_bytes(said, 1)
        ]

    def set_status(self, text: str) -> None:
        with self._lock:
            self._next_status = text, _trace.carried()
            if self._telling:
                return
            self._telling = True
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            following, self._next_status = self._next_status, None
            if following is None:
                self._telling = False
                return
        text, metadata = following
        call = self._set_status.future(_wire.put_text(1, text), timeout=SECONDS, metadata=metadata)
        call.add_done_callback(self._told)

    def _told(self, call: Any) -> None:
        code = call.code()
        if code is grpc.StatusCode.CANCELLED:
            return  # by close()
        # An old host does not have it.
        if code not in (grpc.StatusCode.OK, grpc.StatusCode.UNIMPLEMENTED):
            log("warn", "set_status: the host did not take it", code=code.name, why=call.details())
        self._tell()

    def close(self) -> None:
        self._channel.close()
