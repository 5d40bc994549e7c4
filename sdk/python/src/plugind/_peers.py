"""The host's own services and the plugin's peers, at PLUGIND_HOST_ADDRESS. Loaded when a plugin first asks for one.

Thread safety: every method may be called on any thread.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import grpc

from . import _wire
from ._log import log

# A channel finds a plugind that was restarted within a second; gRPC's own pauses grow to two minutes.
OPTIONS = [
    ("grpc.default_authority", "localhost"),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
STATUS_SECONDS = 2.0


class _Details(NamedTuple):
    method: str
    timeout: Optional[float]
    metadata: Optional[Sequence[Tuple[str, Any]]]
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
    """Adds to each call which plugin it is for."""

    def __init__(self, name: str) -> None:
        self._address = ("plugind-plugin", name)

    def _call(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        addressed = _CallDetails(
            details.method,
            details.timeout,
            [*(details.metadata or ()), self._address],
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
        self._set_status = self._channel.unary_unary("/plugind.host.v1.Host/SetStatus")
        # One call at a time, so that the host's last text is the plugin's last; what comes meanwhile waits, the newest alone.
        self._telling = False
        self._next_status: Optional[str] = None

    def peer(self, name: str) -> grpc.Channel:
        with self._lock:
            if name not in self._peers:
                self._peers[name] = grpc.intercept_channel(self._channel, _To(name))
            return self._peers[name]

    def set_status(self, text: str) -> None:
        with self._lock:
            self._next_status = text
            if self._telling:
                return
            self._telling = True
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            text, self._next_status = self._next_status, None
            if text is None:
                self._telling = False
                return
        call = self._set_status.future(_wire.put_text(1, text), timeout=STATUS_SECONDS)
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
