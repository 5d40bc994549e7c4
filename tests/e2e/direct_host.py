"""The least host that a plugin can have: it starts the program, reads its handshake, and calls it. No plugind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Callable

import grpc
import parity_pb2_grpc
from health.v1 import health_pb2, health_pb2_grpc
from plugin import go_plugin_pb2_grpc
from plugind.plugin.v1 import plugin_pb2_grpc

import processes
from daemon import CHANNEL_OPTIONS
from settings import SLOWNESS

PASSED_ON = ("PATH", "HOME", "ASAN_OPTIONS", "UBSAN_OPTIONS")

# Starts what it is told to, and is then killed: the plugin's output goes on to whoever holds the pipes.
STAND_IN = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"


class Lines:
    """What comes out of a pipe, line by line, read for as long as it is open."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._changed = threading.Condition()
        self._ended = False
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._pipe:
            with self._changed:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait(self, matches: Callable[[str], Any], within: float = 5.0) -> str:
        def found() -> str | None:
            return next((line for line in self.lines if matches(line)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or self._ended, within * SLOWNESS)
            line = found()
        assert line is not None, f"no such line within {within} s: {self.lines[-30:]}"
        return line


    def all(self, within: float = 5.0) -> list[str]:
        """Every line, once the process that writes them has ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._ended, within * SLOWNESS), self.lines[-30:]
            return list(self.lines)


@dataclass
class Handshake:
    core: str
    version: int
    network: str
    address: str
    protocol: str

    @classmethod
    def parse(cls, line: str) -> Handshake:
        fields = line.split("|")
        assert len(fields) >= 5, f"no handshake: {line!r}"
        return cls(fields[0], int(fields[1]), *fields[2:5])


class DirectPlugin:
    """One plugin process, and the ways to talk to it."""

    def __init__(
        self,
        program: Path,
        *arguments: str,
        env: dict[str, str] | None = None,
        directory: Path,
        cookie: str = "PLUGIND_PLUGIN=1",
        versions: str | None = "1,2",
        under_plugind: bool = True,
        stand_in: bool = False,
    ) -> None:
        """`directory` becomes PLUGIN_UNIX_SOCKET_DIR, or TMPDIR for a host that is not plugind."""
        environment = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
        key, _, value = cookie.partition("=")
        environment[key] = value
        if versions is not None:
            environment["PLUGIN_PROTOCOL_VERSIONS"] = versions
        environment["TMPDIR"] = str(directory)
        if under_plugind:
            environment["PLUGIN_UNIX_SOCKET_DIR"] = str(directory)
            environment["PLUGIND_INSTANCE"] = "d1"
            environment["PLUGIND_NAME"] = "parity"
        environment.update(env or {})
        command = [str(program), *arguments]
        if stand_in:
            command = [sys.executable, "-c", STAND_IN, *command]
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdout and self.process.stderr
        self.stdout = Lines(self.process.stdout)
        self.stderr = Lines(self.process.stderr)
        self._handshake: Handshake | None = None
        self._channel: grpc.Channel | None = None

    @property
    def handshake(self) -> Handshake:
        if self._handshake is None:
            try:
                self.stdout.wait(lambda line: True, within=20)
            except AssertionError as error:
                raise AssertionError(f"no handshake; stderr: {self.stderr.lines}") from error
            self._handshake = Handshake.parse(self.stdout.lines[0])
        return self._handshake

    @property
    def channel(self) -> grpc.Channel:
        if self._channel is None:
            address = f"unix:{self.handshake.address}"
            options = [*CHANNEL_OPTIONS, ("grpc.max_receive_message_length", -1)]
            self._channel = grpc.insecure_channel(address, options)
        return self._channel

    @property
    def parity(self) -> parity_pb2_grpc.ParityStub:
        return parity_pb2_grpc.ParityStub(self.channel)

    @property
    def contract(self) -> plugin_pb2_grpc.PluginStub:
        return plugin_pb2_grpc.PluginStub(self.channel)

    @property
    def controller(self) -> go_plugin_pb2_grpc.GRPCControllerStub:
        return go_plugin_pb2_grpc.GRPCControllerStub(self.channel)

    @property
    def stdio(self) -> go_plugin_pb2_grpc.GRPCStdioStub:
        return go_plugin_pb2_grpc.GRPCStdioStub(self.channel)

    @property
    def health(self) -> health_pb2_grpc.HealthStub:
        return health_pb2_grpc.HealthStub(self.channel)

    def status(self, service: str = "plugin") -> str:
        request = health_pb2.HealthCheckRequest(service=service)
        answer = self.health.Check(request, timeout=5 * SLOWNESS, wait_for_ready=True)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

    def exit_code(self, within: float = 5.0) -> int:
        try:
            return self.process.wait(within * SLOWNESS)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"still running after {within} s; stderr: {self.stderr.lines}"
            ) from None

    def kill_stand_in(self) -> processes.Process:
        """The plugin, which now has lost its parent."""
        children = (process for pid in processes.pids() if (process := processes.inspect(pid)))
        plugin = next(child for child in children if child.ppid == self.process.pid)
        self.process.kill()
        self.process.wait()
        return plugin

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        # The group has the plugin in it, even where a stand-in started it.
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class DirectHost:
    """Starts plugins of one program, each in a directory of its own, and ends them with the test."""

    def __init__(self, program: Path) -> None:
        self.program = program
        # Short, because a socket's path holds 107 bytes.
        self.root = Path(tempfile.mkdtemp(prefix="pd-"))
        self._started: list[DirectPlugin] = []

    def directory(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.root))

    def start(self, *arguments: str, **keys: Any) -> DirectPlugin:
        keys.setdefault("directory", self.directory())
        self._started.append(DirectPlugin(self.program, *arguments, **keys))
        return self._started[-1]

    def close(self) -> None:
        for plugin in self._started:
            plugin.close()
        shutil.rmtree(self.root)
