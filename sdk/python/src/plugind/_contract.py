"""plugind.plugin.v1.Plugin: what the host and the plugin settle between them. See proto/plugind/plugin/v1/plugin.proto.

Thread safety: `agreed` and `settings` are replaced whole and may be read on any thread.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Dict, List

import grpc

from . import _wire
from ._handlers import on_pool
from ._log import log
from ._spec import Refused, Settings, Spec, Violation

SERVICE = "plugind.plugin.v1.Plugin"
THREADS = 4  # a Drain holds one for as long as it takes


class Contract:
    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._configuring = threading.Lock()
        self.agreed: Dict[str, str] = {}
        self.settings: Settings = {}

    def handlers(
        self, pool: ThreadPoolExecutor, stop: Callable[[], None]
    ) -> List[grpc.GenericRpcHandler]:
        """Ours, and go-plugin's way to say Shutdown."""

        def shutdown(request: bytes, context: grpc.ServicerContext) -> bytes:
            # The answer is on its way before the server ends: a running call is waited for.
            stop()
            return b""

        methods = {
            "Negotiate": self._negotiate,
            "Configure": self._configure,
            "Shutdown": shutdown,
        }
        if self._spec.drain:
            methods["Drain"] = self._drain

        def unary(behaviour: Callable[..., bytes]) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(on_pool(pool, behaviour))

        return [
            grpc.method_handlers_generic_handler(
                SERVICE, {name: unary(method) for name, method in methods.items()}
            ),
            grpc.method_handlers_generic_handler(
                "plugin.GRPCController", {"Shutdown": unary(shutdown)}
            ),
        ]

    def _negotiate(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        from . import __version__

        spec = self._spec
        capabilities = b"".join(
            _wire.put_bytes(
                4,
                _wire.put_text(1, one.name)
                + _wire.put_texts(2, one.versions)
                + _wire.put_number(3, one.required),
            )
            for one in spec.capabilities()
        )
        return (
            _wire.put_text(1, spec.name)
            + _wire.put_text(2, spec.version)
            + _wire.put_texts(3, spec.recorder.services())
            + capabilities
            + _wire.put_text(5, spec.schema)
            + _wire.put_bytes(6, _wire.put_text(1, "python") + _wire.put_text(2, __version__))
        )

    def _configure(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        settings: Settings = {}
        for part in _wire.all_bytes(request, 1):
            settings.update(_wire.table(part))
        with self._configuring:
            self.agreed = _wire.string_map(request, 2)
            violations = self._try(settings)
            if not violations:
                self.settings = settings
        return b"".join(
            _wire.put_bytes(1, _wire.put_text(1, field) + _wire.put_text(2, reason))
            for field, reason in violations
        )

    def _try(self, settings: Settings) -> List[Violation]:
        if self._spec.configure is None:
            return []
        try:
            return [
                Violation(str(field), str(reason))
                for field, reason in self._spec.configure(settings) or ()
            ]
        except Refused as refused:
            return refused.violations
        except ValueError as error:
            return [Violation("", str(error) or "ValueError")]
        except Exception as error:
            import traceback

            log("error", f"on_configure: {traceback.format_exc()}")
            return [Violation("", f"{type(error).__name__}: {error}")]

    def _drain(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        assert self._spec.drain is not None
        self._spec.drain()
        return b""
