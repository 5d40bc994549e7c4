"""plugind itself, seen through its control RPC."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from lifecycle.board import Report
from lifecycle.system import START_TIMEOUT, Context, Skipped, System

try:
    import grpc
except ImportError:
    grpc = None

_SERVICE = "/plugind.control.v1.PluginControl/"


def _messages(context: Context) -> ModuleType:
    stubs = str(context.build / "tests" / "bench" / "stubs")
    if stubs not in sys.path:
        sys.path.insert(0, stubs)
    from plugind.control.v1 import control_pb2

    return control_pb2


class Plugind(System):
    column = "plugind"
    absent: dict[str, str] = {}
    watch = True  # whether the plugins serve Health.Watch

    def __init__(self, context: Context, size: int) -> None:
        super().__init__(context, size)
        self._program = context.build / "bin" / "plugind"
        self._channel: grpc.Channel | None = None
        self._events: threading.Thread | None = None
        self._failure: str = ""

    def start(self) -> None:
        if grpc is None:
            raise Skipped("SKIPPED: Python has no grpc (Debian package python3-grpcio)")
        for program in (self._program, self._program.with_name("plugind-keeper")):
            if not program.exists():
                raise Skipped(f"SKIPPED: {program.name} has not been built")
        self._pb = _messages(self.context)
        self._configure()
        runtime = self.directory / "run"
        self.launch(
            [
                str(self._program),
                f"--config={self.directory}/plugind.toml",
                f"--runtime-dir={runtime}",
                f"--state-dir={self.directory}/state",
            ]
        )
        self._connect(str(runtime / "plugind.sock"))
        try:
            self.wait_until_all_run()
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{self._failure}") from None
        for name in self.names:
            if self.board.wait(self.key, name, lambda r: r.kind == "ready", START_TIMEOUT) is None:
                raise RuntimeError(f"{self.key}: {name} is not READY; its log:\n{self.log_tail()}")

    def _configure(self) -> None:
        plugins = self.directory / "plugins.d"
        plugins.mkdir(parents=True)
        (self.directory / "plugind.toml").write_text(
            '[daemon]\nrestarts_per_second = 0\n[metrics]\nlisten = ""\n'
        )
        environment = self.context.environment(self.key) | {"BENCH_WATCH": str(int(self.watch))}
        pairs = ", ".join(f'{key} = "{value}"' for key, value in environment.items())
        for name in self.names:
            (plugins / f"{name}.toml").write_text(
                f'command = ["{self.context.fixture}"]\nenv = {{ {pairs} }}\nrestart = "always"\n'
                '[backoff]\ninitial = "0ms"\n[quarantine]\nfailures = 0\n'
            )

    def _connect(self, socket: str) -> None:
        options = [("grpc.default_authority", "localhost"), ("grpc.max_reconnect_backoff_ms", 200)]
        self._channel = grpc.insecure_channel(f"unix:{socket}", options)
        try:
            grpc.channel_ready_future(self._channel).result(timeout=30)
        except grpc.FutureTimeoutError:
            raise RuntimeError(
                f"{self.key}: does not answer; its log:\n{self.log_tail()}"
            ) from None
        self._info = self._method("GetDaemonInfo")(self._pb.GetDaemonInfoRequest(), timeout=10)
        self._events = threading.Thread(target=self._follow, name=f"events of {self.key}")
        self._events.start()

    def _method(self, name: str, stream: bool = False) -> Any:
        assert self._channel is not None
        kind = self._channel.unary_stream if stream else self._channel.unary_unary
        return kind(
            _SERVICE + name,
            request_serializer=getattr(self._pb, f"{name}Request").SerializeToString,
            response_deserializer=getattr(self._pb, f"{name}Response").FromString,
        )

    def _follow(self) -> None:
        # plugind stamps its events with the wall clock.
        offset = time.monotonic_ns() - time.time_ns()
        try:
            for batch in self._method("WatchEvents", stream=True)(
                self._pb.WatchEventsRequest(follow=True)
            ):
                received = time.monotonic_ns()
                for event in batch.events:
                    at = event.time.seconds * 1_000_000_000 + event.time.nanos + offset
                    self.board.post(
                        self.key, event.plugin, Report(event.type, event.pid, at, received)
                    )
                offset = time.monotonic_ns() - time.time_ns()
        except grpc.RpcError as error:
            self._failure = f"WatchEvents ended: {error}"
        except ValueError as error:  # the channel was closed before the stream began
            self._failure = f"WatchEvents ended: {error}"

    def processes(self) -> dict[str, list[int]]:
        keeper, daemon = self._info.keeper_pid, self._info.pid
        return {"keeper": [keeper], "daemon": [daemon], self.column: [keeper, daemon]}

    def seen(self, plugin: str, pid: int) -> Report | None:
        return self.board.wait(self.key, plugin, lambda r: r.kind == "exited")

    def spawn_and_ready(self, plugin: str, handshake: Report) -> tuple[int | None, int] | None:
        spawn = self.board.wait(self.key, plugin, lambda r: r.kind == "starting")
        ready = self.board.wait(self.key, plugin, lambda r: r.kind == "ready")
        return (spawn.at, ready.at) if spawn and ready else None

    def calls(self) -> dict[str, Callable[[], object]]:
        get, listing = self._method("GetPlugin"), self._method("ListPlugins")
        one, everything = (
            self._pb.GetPluginRequest(name=self.names[-1]),
            self._pb.ListPluginsRequest(),
        )
        return {
            "get": lambda: get(one, timeout=10),
            "list": lambda: listing(everything, timeout=10),
        }

    def stop(self) -> None:
        super().stop()
        if self._channel is not None:
            self._channel.close()
        if self._events is not None:
            self._events.join()


class PlugindCheck(Plugind):
    """The same with plugins that do not serve Health.Watch: each is asked every five seconds."""

    column = "plugind by Check"
    watch = False
