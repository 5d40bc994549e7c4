"""One plugind with directories of its own, driven from outside only: by its files, its signals, its RPC and pluginctl."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator

import grpc
from google.rpc import error_details_pb2, status_pb2
from plugind.control.v1 import control_pb2, control_pb2_grpc

import processes
from processes import eventually
from settings import BIN, FAULT_PLUGIN, SLOWNESS

State = control_pb2.Plugin.State
MARKER = "E2E_TEST_ID"
NOBODY = 65534

# Sanitizers print these on the standard error of the process that they find wrong.
SANITIZER_REPORT = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|runtime error:")

CHANNEL_OPTIONS = [
    ("grpc.default_authority", "localhost"),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 10),
    ("grpc.min_reconnect_backoff_ms", 10),
    ("grpc.max_reconnect_backoff_ms", 20),
]


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, Path):
        return json.dumps(str(value))
    return json.dumps(value)


def toml_document(table: dict[str, Any]) -> str:
    """Scalars first, then one table a section: the form that a person would write."""
    scalars = {
        k: v for k, v in table.items() if not isinstance(v, dict) or k in ("env", "magic_cookie")
    }
    sections = {k: v for k, v in table.items() if k not in scalars}
    lines = [f"{key} = {toml(value)}" for key, value in scalars.items()]
    for name, section in sections.items():
        lines += ["", f"[{name}]"] + [
            f"{json.dumps(key)} = {toml(value)}" for key, value in section.items()
        ]
    return "\n".join(lines) + "\n"


def fault(mode: str, *options: str) -> list[str]:
    return [str(FAULT_PLUGIN), mode, *options]


def error_info(error: grpc.RpcError) -> error_details_pb2.ErrorInfo:
    """The ErrorInfo that every error of the control RPC must carry."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info
    raise AssertionError(f"no ErrorInfo in {error}")


class Daemon:
    def __init__(
        self,
        *,
        uid: int | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        # Short, because a socket's path holds 107 bytes.
        self.root = Path(tempfile.mkdtemp(prefix="pd-"))
        self.config = self.root / "c" / "plugind.toml"
        self.plugins_dir = self.root / "c" / "plugins.d"
        self.runtime = self.root / "r"
        self.state = self.root / "s"
        self.socket = self.runtime / "plugind.sock"
        self.errors = self.root / "plugind.log"
        # What lies here arms a failpoint, in builds that have them: daemon/base/failpoint.h.
        self.failpoints = self.root / "f"
        self.marker = f"{MARKER}={uuid.uuid4().hex}"
        self.uid = uid
        self.process: subprocess.Popen[bytes] | None = None
        # Deaths of the brain that the test itself brought about; another one is a crash.
        self.brain_kills = 0
        self._channel: grpc.Channel | None = None
        self._plugin_channels: dict[str, grpc.Channel] = {}
        self._logs = open(self.errors, "ab")
        self.plugins_dir.mkdir(parents=True)
        self.runtime.mkdir(mode=0o755)
        self.state.mkdir(mode=0o700)
        self.failpoints.mkdir()
        self.configure(**(settings or {}))
        if uid is not None:
            for path in (self.root, self.runtime, self.state):
                os.chown(path, uid, uid)

    # ---- Files ----

    def configure(self, **sections: dict[str, Any]) -> None:
        """Writes plugind.toml. No metrics port, so that daemons can stand side by side."""
        table: dict[str, Any] = {"metrics": {"listen": ""}}
        for name, section in sections.items():
            table.setdefault(name, {}).update(section)
        self.config.write_text(toml_document(table))

    def plugin(self, name: str, command: list[str | Path], **keys: Any) -> Path:
        """Writes plugins.d/NAME.toml; takes effect at the start or at a reload."""
        variable, _, value = self.marker.partition("=")
        keys["env"] = {variable: value, **keys.get("env", {})}
        path = self.plugins_dir / f"{name}.toml"
        path.write_text(toml_document({"command": command, **keys}))
        return path

    def remove_plugin(self, name: str) -> None:
        (self.plugins_dir / f"{name}.toml").unlink()

    # ---- Its life ----

    def command(self) -> list[str]:
        return [
            str(BIN / "plugind"),
            "--config",
            str(self.config),
            "--runtime-dir",
            str(self.runtime),
            "--state-dir",
            str(self.state),
        ]

    def launch(self) -> None:
        """Starts it without waiting for anything."""
        variable, _, value = self.marker.partition("=")
        environment = {**os.environ, variable: value, "PLUGIND_FAILPOINT_DIR": str(self.failpoints)}
        environment.pop("NOTIFY_SOCKET", None)
        credentials = (
            {} if self.uid is None else {"user": self.uid, "group": self.uid, "extra_groups": []}
        )
        self.process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=self._logs,
            stderr=self._logs,
            env=environment,
            cwd="/",
            start_new_session=True,
            **credentials,
        )

    def start(self) -> Daemon:
        self.launch()
        self.wait_serving()
        return self

    def wait_serving(self, within: float = 20 * SLOWNESS) -> None:
        """Until plugind.sock takes a connection and the control RPC answers."""
        assert self.process
        deadline = time.monotonic() + within
        while True:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as attempt:
                attempt.connect(str(self.socket))
                break
            # The pause between attempts is a wait for the end of the process.
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self.process.wait(0.01)
                raise AssertionError(f"plugind ended with {code}:\n{self.log_tail()}")
            assert time.monotonic() < deadline, f"plugind.sock did not appear:\n{self.log_tail()}"
        self.info(timeout=max(1.0, deadline - time.monotonic()))

    def stop(self, within: float = 30 * SLOWNESS) -> None:
        """The orderly stop, which must end with exit code 0."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        self.wait_ended(within=within)

    def wait_ended(self, *, code: int = 0, within: float = 30 * SLOWNESS) -> None:
        assert self.process
        try:
            ended = self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"plugind did not end within {within} s:\n{self.log_tail()}"
            ) from None
        finally:
            self.hang_up()
        assert ended == code, f"plugind ended with {ended}, not {code}:\n{self.log_tail()}"

    def kill_brain(self) -> int:
        """`kill -9` of plugind itself, not of its keeper. Returns the pid that it had."""
        pid = self.info().pid
        self.brain_kills += 1
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_brain_after(self, old: int) -> float:
        """Until a plugind that is not `old` answers. Returns the seconds that it took."""
        began = time.monotonic()
        while True:
            try:
                if self.info(timeout=30).pid != old:
                    return time.monotonic() - began
            except grpc.RpcError as error:
                # The call may have been under way to the old one.
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise

    @property
    def keeper_pid(self) -> int:
        return self.info().keeper_pid

    @property
    def brain_pid(self) -> int:
        return self.info().pid

    def processes(self) -> list[processes.Process]:
        """Everything that lives because of this daemon, wherever it has fled to."""
        return processes.marked(self.marker)

    def processes_of(self, name: str) -> list[processes.Process]:
        """Every process of a plugin, descendants that have fled included."""
        ours = {process.pid for process in self.processes()}
        named = processes.marked(f"PLUGIND_NAME={name}")
        return [process for process in named if process.pid in ours]

    def log_tail(self, size: int = 8000) -> str:
        return self.errors.read_text(errors="replace")[-size:]

    def close(self) -> None:
        """Ends whatever is left, then checks what must hold at the end of every test."""
        complaints: list[str] = []
        if self.process and self.process.poll() is None:
            try:
                self._check_alive(complaints)
            except (AssertionError, grpc.RpcError, OSError) as error:
                complaints.append(f"the running daemon could not be examined: {error}")
            try:
                self.stop()
            except AssertionError as error:
                complaints.append(str(error))
        self._check_ended(complaints)
        self.hang_up()
        self._logs.close()
        if complaints:
            raise AssertionError(
                "\n".join(complaints) + f"\n--- {self.errors} ---\n{self.log_tail()}"
            )
        shutil.rmtree(self.root)

    def _check_alive(self, complaints: list[str]) -> None:
        info = self.info()
        if info.generation != self.brain_kills:
            complaints.append(
                f"plugind was started {info.generation} times anew; {self.brain_kills} were expected"
            )
        # A child that has just ended is a zombie until its parent's next step: what stays one is the fault.
        try:
            eventually(
                lambda: not processes.zombies([info.pid, info.keeper_pid]),
                within=2 * SLOWNESS,
                what="no zombies",
            )
        except AssertionError:
            complaints.append(
                f"zombies: {list(map(str, processes.zombies([info.pid, info.keeper_pid])))}"
            )

    def _check_ended(self, complaints: list[str]) -> None:
        try:
            eventually(lambda: not self.processes(), within=1, what="no process is left")
        except AssertionError:
            left = self.processes()
            complaints.append("left behind: " + "; ".join(map(str, left)))
            for process in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            if self.process:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(5)
        instances = self.runtime / "i"
        # After a `kill -9` of the keeper there is nobody to remove the directories: the next start does.
        if (
            self.process
            and self.process.returncode == 0
            and instances.exists()
            and (left := os.listdir(instances))
        ):
            complaints.append(f"directories of processes that are gone: {left}")
        for file in self.state.glob("*.json"):
            try:
                json.loads(file.read_text())
            except ValueError as error:
                complaints.append(f"{file.name} does not parse: {error}")
        if report := SANITIZER_REPORT.search(text := self.errors.read_text(errors="replace")):
            complaints.append(f"a sanitizer spoke: {text[report.start():report.start() + 4000]}")

    # ---- The control RPC ----

    @property
    def channel(self) -> grpc.Channel:
        if self._channel is None:
            self._channel = grpc.insecure_channel(f"unix:{self.socket}", options=CHANNEL_OPTIONS)
        return self._channel

    @property
    def rpc(self) -> control_pb2_grpc.PluginControlStub:
        return control_pb2_grpc.PluginControlStub(self.channel)

    def hang_up(self) -> None:
        for channel in [self._channel, *self._plugin_channels.values()]:
            if channel is not None:
                channel.close()
        self._channel = None
        self._plugin_channels = {}

    def info(self, timeout: float = 10 * SLOWNESS) -> control_pb2.GetDaemonInfoResponse:
        return self.rpc.GetDaemonInfo(
            control_pb2.GetDaemonInfoRequest(), timeout=timeout, wait_for_ready=True
        )

    def get(self, name: str) -> control_pb2.Plugin:
        request = control_pb2.GetPluginRequest(name=name)
        return self.rpc.GetPlugin(request, timeout=10 * SLOWNESS, wait_for_ready=True).plugin

    def list(self) -> dict[str, control_pb2.Plugin]:
        response = self.rpc.ListPlugins(
            control_pb2.ListPluginsRequest(), timeout=10 * SLOWNESS, wait_for_ready=True
        )
        return {plugin.name: plugin for plugin in response.plugins}

    def change(self, verb: str, name: str) -> int:
        """Start, Stop, Restart, Enable or Disable by RPC. Returns the number of the first event that came of it."""
        request = getattr(control_pb2, f"{verb}PluginRequest")(name=name)
        method = getattr(self.rpc, f"{verb}Plugin")
        return method(request, timeout=10 * SLOWNESS, wait_for_ready=True).event_sequence

    def reload(self) -> control_pb2.ReloadResponse:
        return self.rpc.Reload(
            control_pb2.ReloadRequest(), timeout=20 * SLOWNESS, wait_for_ready=True
        )

    def events(self, from_sequence: int = 1, name: str = "") -> list[control_pb2.Event]:
        """The kept ones."""
        request = control_pb2.WatchEventsRequest(from_sequence=from_sequence, name=name)
        stream = self.rpc.WatchEvents(request, timeout=10 * SLOWNESS, wait_for_ready=True)
        return [event for response in stream for event in response.events]

    def follow_events(
        self, from_sequence: int = 0, name: str = "", within: float = 20.0
    ) -> Iterator[control_pb2.Event]:
        """Events as they come, across deaths of plugind, each once; ends when the time is up."""
        deadline = time.monotonic() + within
        sequence = from_sequence
        while (left := deadline - time.monotonic()) > 0:
            request = control_pb2.WatchEventsRequest(from_sequence=sequence, follow=True, name=name)
            stream = self.rpc.WatchEvents(request, timeout=left, wait_for_ready=True)
            try:
                for response in stream:
                    for event in response.events:
                        sequence = event.sequence + 1
                        yield event
            except grpc.RpcError as error:
                if error.code() not in (
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                ):
                    raise
            finally:
                stream.cancel()

    def wait_event(
        self,
        name: str,
        matches: Callable[[control_pb2.Event], bool],
        *,
        since: int = 1,
        within: float = 20.0,
        what: str = "the event",
    ) -> control_pb2.Event:
        seen = []
        for event in self.follow_events(since, name, within * SLOWNESS):
            if matches(event):
                return event
            seen.append(brief(event))
        raise AssertionError(
            f"{name}: no {what} within {within * SLOWNESS} s; seen since {since}: {seen}"
        )

    def wait_state(self, name: str, state: str, *, within: float = 20.0) -> control_pb2.Plugin:
        """Until the plugin is in that state; returns it as it is then."""
        since = self.info().event_sequence + 1
        plugin = self.get(name)
        if State.Name(plugin.state) == state:
            return plugin
        deadline = time.monotonic() + within * SLOWNESS
        while True:
            left = (deadline - time.monotonic()) / SLOWNESS
            event = self.wait_event(
                name,
                lambda e: State.Name(e.to) == state,
                since=since,
                within=left,
                what=f"state {state} (it was {State.Name(plugin.state)}: {plugin.reason!r})",
            )
            plugin = self.get(name)
            if State.Name(plugin.state) == state:
                return plugin
            since = event.sequence + 1  # it was already on its way

    def wait_ready(self, *names: str, within: float = 20.0) -> dict[str, control_pb2.Plugin]:
        return {name: self.wait_state(name, "READY", within=within) for name in names}

    def logs(
        self, name: str, from_sequence: int = 0, tail: int | None = None
    ) -> list[control_pb2.LogEntry]:
        request = control_pb2.StreamLogsRequest(name=name, from_sequence=from_sequence)
        if tail is not None:
            request.tail = tail
        stream = self.rpc.StreamLogs(request, timeout=30 * SLOWNESS, wait_for_ready=True)
        return [entry for response in stream for entry in response.entries]

    def wait_log(
        self,
        name: str,
        matches: Callable[[control_pb2.LogEntry], bool],
        *,
        within: float = 20.0,
        what: str = "the entry",
    ) -> control_pb2.LogEntry:
        request = control_pb2.StreamLogsRequest(name=name, follow=True)
        stream = self.rpc.StreamLogs(request, timeout=within * SLOWNESS, wait_for_ready=True)
        seen: list[str] = []
        try:
            for response in stream:
                for entry in response.entries:
                    if matches(entry):
                        return entry
                    seen.append(entry.message[:200])
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
        finally:
            stream.cancel()
        raise AssertionError(f"{name}: no {what} in its log; seen: {seen[-50:]}")

    # ---- Calls of plugins, at the address that the control RPC reports ----

    def plugin_channel(self, name: str) -> grpc.Channel:
        address = self.get(name).direct_address
        assert address, f"{name} has no address: {self.get(name)}"
        if address not in self._plugin_channels:
            self._plugin_channels[address] = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        return self._plugin_channels[address]

    def call(self, name: str, method: str, payload: bytes = b"", timeout: float = 10.0) -> bytes:
        """A raw call, e.g. of /fault.v1.Fault/Echo."""
        return raw_call(self.plugin_channel(name), method, payload, timeout * SLOWNESS)

    # ---- pluginctl ----

    def ctl(
        self, *arguments: str, code: int = 0, within: float = 40.0, uid: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = [str(BIN / "pluginctl"), "--socket", str(self.socket), *arguments]
        credentials = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=within * SLOWNESS,
            stdin=subprocess.DEVNULL,
            **credentials,
        )
        assert (
            done.returncode == code
        ), f"{command} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}"
        return done

    def status(self) -> dict[str, dict[str, Any]]:
        return {
            plugin["name"]: plugin
            for plugin in json.loads(self.ctl("status", "-o", "json").stdout)["plugins"]
        }


def raw_call(channel: grpc.Channel, method: str, payload: bytes, timeout: float) -> bytes:
    def same(data: bytes) -> bytes:
        return data

    return channel.unary_unary(method, same, same)(payload, timeout=timeout, wait_for_ready=True)


def states(events: Iterable[control_pb2.Event]) -> list[str]:
    """What the plugin went through. An event within a state, such as `spawned`, adds nothing."""
    every = [State.Name(event.to) for event in events]
    return [state for i, state in enumerate(every) if i == 0 or every[i - 1] != state]


def brief(event: control_pb2.Event) -> str:
    return f"{event.sequence} {event.plugin} {event.type} {State.Name(event.to)} {event.phase} {event.reason!r}"
