"""The supervisors that plugind is measured against, each set up to restart at once."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lifecycle import procfs
from lifecycle.board import Report
from lifecycle.system import START_TIMEOUT, Skipped, System

_NO_READINESS = "it has no notion of readiness: a process that has been forked counts as up"
_NO_HEALTH = "it makes no health checks"
_IN_PROCESS = "it is a library: its host asks it in the same process"
_NO_RPC = "it has no RPC: its state is a file beside each service"
_BARE = "it is no supervisor: it can be asked nothing and tells nobody"


def need(program: str, package: str) -> None:
    if shutil.which(program) is None:
        raise Skipped(f"SKIPPED: {program} is not installed (Debian package {package})")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    """Keeps its one connection, as the gRPC channel to plugind does."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._kept: _UnixConnection | None = None

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        if self._kept is None:
            self._kept = _UnixConnection(self._path)
        return self._kept


class Supervisord(System):
    column = "supervisord"
    absent = {
        "overhead": _NO_READINESS,
        "back": _NO_READINESS,
        "wakeups_checked": _NO_HEALTH,
    }

    def start(self) -> None:
        need("supervisord", "supervisor")
        self.directory.mkdir()
        listener = Path(__file__).with_name("listener.py")
        environment = ",".join(
            f'{key}="{value}"' for key, value in self.context.environment(self.key).items()
        )
        config = self.directory / "supervisord.conf"
        config.write_text(
            f"""[supervisord]
nodaemon = true
logfile = /dev/null
logfile_maxbytes = 0
pidfile = {self.directory}/pid
minfds = 8192
environment = {environment}
[unix_http_server]
file = {self.directory}/rpc
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[eventlistener:seen]
command = {listener}
events = PROCESS_STATE_EXITED
[program:p]
command = {self.context.fixture}
process_name = p%(process_num)03d
numprocs = {self.size}
startsecs = 0
autorestart = true
stdout_logfile = NONE
stderr_logfile = NONE
"""
        )
        self.launch(["supervisord", "-c", str(config)], stdout=subprocess.PIPE)
        self._log = threading.Thread(target=self._read_log, name=f"log of {self.key}")
        self._log.start()
        self.wait_until_all_run()
        transport = _UnixTransport(f"{self.directory}/rpc")
        self._rpc = xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=transport)

    def _read_log(self) -> None:
        """It logs an exit as soon as it knows it; its listeners hear of it a round later."""
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            at = time.monotonic_ns()
            if match := re.search(rb" exited: (\w+) ", line):
                self.board.post(self.key, match[1].decode(), Report("seen", 0, at, at))

    def processes(self) -> dict[str, list[int]]:
        return {"supervisord": [self.pid]}

    def seen(self, plugin: str, pid: int) -> Report | None:
        return self.board.wait(self.key, plugin, lambda r: r.kind == "seen")

    def told(self, plugin: str, pid: int) -> Report | None:
        return self.board.wait(self.key, plugin, lambda r: r.kind == "told" and r.pid == pid)

    def stop(self) -> None:
        super().stop()
        if self._process is not None:
            self._log.join()

    def calls(self) -> dict[str, Callable[[], object]]:
        rpc = self._rpc.supervisor
        return {
            "get": lambda: rpc.getProcessInfo(f"p:{self.names[-1]}"),
            "list": lambda: rpc.getAllProcessInfo(),
        }


class _ServiceDirectories(System):
    """runit and s6: a directory for each service; `run` is the fixture itself, not a script."""

    def make_services(self) -> Path:
        services = self.directory / "services"
        for name in self.names:
            service = services / name
            service.mkdir(parents=True)
            (service / "run").symlink_to(self.context.fixture)
        return services

    @contextmanager
    def observe(self, plugin: str) -> Iterator[None]:
        directory = self.directory / "services" / plugin / "supervise"
        watch = self.board.watch_status(directory, self.key, plugin)
        try:
            yield
        finally:
            self.board.unwatch(watch)

    def seen(self, plugin: str, pid: int) -> Report | None:
        return self.board.wait(self.key, plugin, lambda r: r.kind == "status")

    def supervisors(self, program: str) -> list[int]:
        below = [pid for pid in procfs.children(self.pid) if procfs.program(pid) == program]
        if len(below) != self.size:
            raise RuntimeError(f"{self.key}: {len(below)} {program} for {self.size} services")
        return below


class Runit(_ServiceDirectories):
    column = "runit"
    absent = {
        "overhead": _NO_READINESS,
        "back": _NO_READINESS,
        "wakeups_checked": _NO_HEALTH,
        "get": _NO_RPC,
        "cold": _NO_RPC,
        "list": _NO_RPC,
    }

    def start(self) -> None:
        need("runsvdir", "runit")
        self.launch(["runsvdir", "-P", str(self.make_services())])
        self.wait_until_all_run()

    def processes(self) -> dict[str, list[int]]:
        return {"runit": [self.pid, *self.supervisors("runsv")]}

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)  # ends every runsv too, which ends its service
            self._process.wait(30)


class S6(_ServiceDirectories):
    column = "s6"
    absent = {
        "overhead": "when it begins to start a process cannot be seen from outside",
        "wakeups_checked": _NO_HEALTH,
        "get": _NO_RPC,
        "cold": _NO_RPC,
        "list": _NO_RPC,
    }

    def start(self) -> None:
        need("s6-svscan", "s6")
        services = self.make_services()
        for name in self.names:
            (services / name / "notification-fd").write_text("3\n")
        self.launch(["s6-svscan", "-c", "1000", str(services)], env={"BENCH_NOTIFY_FD": "3"})
        self.wait_until_all_run()

    def processes(self) -> dict[str, list[int]]:
        return {"s6": [self.pid, *self.supervisors("s6-supervise")]}

    def spawn_and_ready(self, plugin: str, handshake: Report) -> tuple[int | None, int] | None:
        ready = self.board.wait(
            self.key, plugin, lambda r: r.kind == "status" and r.at > handshake.at
        )
        return (None, ready.at) if ready else None

    def stop(self) -> None:
        if self._process is not None:
            services = str(self.directory / "services")
            subprocess.run(["s6-svscanctl", "-t", services], check=True)
            self._process.wait(30)


class GoHost(System):
    column = "go-plugin host"
    absent = {
        "told": "go-plugin has no exit callback to subscribe to",
        "wakeups_checked": _NO_HEALTH,
        "get": _IN_PROCESS,
        "cold": _IN_PROCESS,
        "list": _IN_PROCESS,
    }

    def start(self) -> None:
        executable = self.context.build / "tests" / "bench" / "go-host"
        build_go_host(executable)
        self.directory.mkdir()
        command = [str(executable), "-count", str(self.size), "-plugin", str(self.context.fixture)]
        self.launch(command, env={"TMPDIR": str(self.directory)}, stdin=subprocess.PIPE)
        self.wait_until_all_run()
        last = self.names[-1]
        if self.board.wait(self.key, last, lambda r: r.kind == "ready", START_TIMEOUT) is None:
            raise RuntimeError(f"{self.key}: not all are ready; its log:\n{self.log_tail()}")

    def processes(self) -> dict[str, list[int]]:
        return {self.column: [self.pid]}

    @contextmanager
    def observe(self, plugin: str) -> Iterator[None]:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(f"watch {plugin}\n".encode())
        self._process.stdin.flush()
        if self.board.wait(self.key, plugin, lambda r: r.kind == "watching") is None:
            raise RuntimeError(f"{self.key}: does not answer; its log:\n{self.log_tail()}")
        yield

    def seen(self, plugin: str, pid: int) -> Report | None:
        return self.board.wait(self.key, plugin, lambda r: r.kind == "seen" and r.pid == pid)

    def spawn_and_ready(self, plugin: str, handshake: Report) -> tuple[int | None, int] | None:
        def of(kind: str) -> Report | None:
            return self.board.wait(
                self.key, plugin, lambda r: r.kind == kind and r.pid == handshake.pid
            )

        ready, spawn = of("ready"), of("spawn")
        return (spawn.at, ready.at) if spawn and ready else None

    def stop(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(30)


class BarePidfd(System):
    """The floor: waits for pidfds and forks again (../pidfd_waiter.cc)."""

    column = "bare pidfd"
    absent = {
        "told": _BARE,
        "overhead": _NO_READINESS,
        "back": _NO_READINESS,
        "wakeups_checked": _NO_HEALTH,
        "get": _BARE,
        "cold": _BARE,
        "list": _BARE,
    }

    def start(self) -> None:
        program = self.context.fixture.with_name("bench_pidfd_waiter")
        if not program.exists():
            raise Skipped(f"SKIPPED: {program.name} has not been built")
        self.launch([str(program), str(self.context.fixture), *self.names])
        self.wait_until_all_run()

    def processes(self) -> dict[str, list[int]]:
        return {self.column: [self.pid]}

    def seen(self, plugin: str, pid: int) -> Report | None:
        return self.board.wait(self.key, plugin, lambda r: r.kind == "seen" and r.pid == pid)


def build_go_host(executable: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise Skipped("SKIPPED: no Go on the PATH (1.24 or newer is needed)")
    version = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True)
    numbers = version.stdout.strip().removeprefix("go").split(".")
    if (int(numbers[0]), int(numbers[1])) < (1, 24):
        raise Skipped(f"SKIPPED: Go {'.'.join(numbers)} is too old (1.24 or newer is needed)")
    source = Path(__file__).parent.parent / "go_host"
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    built = subprocess.run(
        [go, "build", "-o", str(executable), "."],
        cwd=source,
        env=environment,
        capture_output=True,
        text=True,
    )
    if built.returncode != 0:
        raise Skipped(f"SKIPPED: the Go host does not build: {built.stderr.strip()[-300:]}")
