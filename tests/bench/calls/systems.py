"""The ways from a caller to a plugin that are compared.

All plugins run the same program, except for go-plugin's.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from calls.caller import Caller
from calls.program import Program, Skipped, need

_START_TIMEOUT = 20.0


@dataclass
class Context:
    build: Path
    directory: Path  # for this run alone; its path is short, because sockets lie in it
    caller: Caller
    plugin: Program  # for everybody who does not start one of their own
    plugin_address: str

    def binary(self, name: str) -> str:
        path = self.build / "bin" / name
        if not path.exists():
            raise Skipped(f"SKIPPED: {name} has not been built")
        return str(path)


def start_plugin(build: Path, directory: Path) -> tuple[Program, str]:
    """The echo plugin as a host starts it, and the address from its handshake."""
    plugin = Program(
        [str(build / "bin" / "bench_echo_plugin")],
        directory,
        "plugin",
        env={
            "PLUGIND_PLUGIN": "1",
            "PLUGIN_PROTOCOL_VERSIONS": "1",
            "PLUGIN_UNIX_SOCKET_DIR": str(directory),
        },
        piped=True,
    )
    _, _, network, path, *_ = plugin.read_line().split("|")
    return plugin, f"{network}:{path}"


class System:
    """Subclasses start what is between caller and plugin, and say at which address."""

    column = ""  # the name in the results

    def __init__(self, context: Context) -> None:
        self.context = context
        self.key = self.column.replace(" ", "-")
        self.caller = context.caller
        self.target = ""
        self.mediators: list[int] = []
        self.plugin = context.plugin.pid
        self._program: Program | None = None

    def start(self) -> None:
        """Returns once a call can be made. Raises Skipped where that is impossible."""
        raise NotImplementedError

    def processes(self) -> list[int]:
        return [self.caller.program.pid, *self.mediators, self.plugin]

    def stop(self) -> None:
        if self._program is not None:
            self._program.stop()

    def launch(self, command: list[str], piped: bool = False) -> Program:
        self._program = Program(command, self.context.directory, self.key, piped=piped)
        return self._program

    def launch_proxy(self, command: list[str]) -> None:
        """A proxy of one process that listens on `self.socket()`."""
        self.mediators = [self.launch(command).pid]
        self.reach(f"unix:{self.socket()}")

    def reach(self, target: str) -> None:
        if not self.caller.connected(target, _START_TIMEOUT):
            assert self._program is not None
            log = self._program.log_tail()
            raise RuntimeError(f"{self.column} does not listen; its log:\n{log}")
        self.target = target

    def socket(self) -> Path:
        return self.context.directory / f"{self.key}.sock"


class Direct(System):
    column = "direct"

    def start(self) -> None:
        self.target = self.context.plugin_address


class Plugind(System):
    """With the default settings."""

    column = "plugind"
    gateway = ""  # its section of the configuration

    def start(self) -> None:
        home = self.context.directory / self.key
        (home / "plugins.d").mkdir(parents=True)
        plugin = self.context.binary("bench_echo_plugin")
        (home / "plugind.toml").write_text(f'{self.gateway}[metrics]\nlisten = ""\n')
        (home / "plugins.d" / "echo.toml").write_text(f'command = ["{plugin}"]\n')
        runtime = home / "r"
        self._control = [self.context.binary("pluginctl"), f"--socket={runtime}/plugind.sock"]
        self.launch(
            [
                self.context.binary("plugind"),
                f"--config={home}/plugind.toml",
                f"--runtime-dir={runtime}",
                f"--state-dir={home}/s",
            ]
        )
        self._wait_until_it_listens(runtime / "plugind.sock")
        self._ask("wait", "echo", "--for", "READY", f"--timeout={_START_TIMEOUT:g}s")
        info = json.loads(self._ask("info", "-o", "json"))
        self.mediators = [info["keeperPid"], info["pid"]]
        self.plugin = json.loads(self._ask("status", "echo", "-o", "json"))["plugins"][0]["pid"]
        address = runtime / "plugins" / "echo.sock"
        if not address.is_socket():
            raise Skipped("not available: no plugins/echo.sock")
        self.reach(f"unix:{address}")

    def _wait_until_it_listens(self, path: Path) -> None:
        assert self._program is not None
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                if connection.connect_ex(str(path)) == 0:
                    return
            ended = self._program.process.poll()
            if ended is not None or time.monotonic() > deadline:
                state = "does not listen" if ended is None else f"has ended with {ended}"
                raise RuntimeError(f"plugind {state}; its log:\n{self._program.log_tail()}")
            time.sleep(0.01)

    def _ask(self, *verb: str) -> str:
        asked = subprocess.run([*self._control, *verb], capture_output=True, text=True)
        if asked.returncode != 0:
            raise RuntimeError(f"pluginctl {' '.join(verb)}: {asked.stderr.strip()}")
        return asked.stdout


class PlugindWithoutSpin(Plugind):
    column = "plugind no spin"
    gateway = '[gateway]\nspin = "0us"\n'

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.key = "nospin"


class HaProxy(System):
    column = "HAProxy"
    tuning = ""

    def start(self) -> None:
        program = need("haproxy", "haproxy")
        config = self.context.directory / f"{self.key}.cfg"
        config.write_text(
            f"""global
  nbthread 1
  maxconn 1000
{self.tuning}defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend callers
  bind unix@{self.socket()} mode 600 proto h2
  default_backend plugin
backend plugin
  http-reuse always
  server echo {self.context.plugin_address.replace(":", "@", 1)} proto h2
"""
        )
        self.launch_proxy([program, "-db", "-f", str(config)])


class HaProxyLarge(HaProxy):
    """Buffers that hold a message of 64 KiB, and a window that holds several of 1 MiB.

    Large messages take a third of the time; many small ones take longer, so that neither setting is
    the stronger peer everywhere. tune.h2.max-frame-size stays as it is: with larger frames HAProxy
    2.6 now and then ends its connection to the plugin with INTERNAL_ERROR.
    """

    column = "HAProxy large"
    tuning = """  tune.bufsize 81920
  tune.h2.initial-window-size 8388608
"""


class Nginx(System):
    column = "nginx"

    def start(self) -> None:
        program = need("nginx", "nginx")
        directory = self.context.directory
        config = directory / "nginx.conf"
        # Its worker must reach a socket that is ours alone.
        user = "user root;\n" if os.geteuid() == 0 else ""
        temporary = "".join(
            f"  {kind}_temp_path {directory}/nginx-{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # Connections that are kept for ever, and buffers as large as the messages: with the
        # defaults, those of 1 MiB take twice as long, and small ones no less.
        config.write_text(
            f"""{user}daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off;
{temporary}  client_max_body_size 0;
  client_body_buffer_size 4m;
  http2_body_preread_size 4m;
  http2_chunk_size 64k;
  http2_max_concurrent_streams 1000;
  grpc_buffer_size 64k;
  grpc_read_timeout 1h;
  grpc_send_timeout 1h;
  upstream plugin {{
    server {self.context.plugin_address};
    keepalive 64;
    keepalive_requests 1000000000;
    keepalive_time 24h;
    keepalive_timeout 24h;
  }}
  server {{
    listen unix:{self.socket()} http2;
    keepalive_requests 1000000000;
    keepalive_time 24h;
    keepalive_timeout 24h;
    location / {{ grpc_pass grpc://plugin; }}
  }}
}}
"""
        )
        self.launch_proxy([program, "-p", str(directory), "-c", str(config), "-e", "stderr"])
        master = self.mediators[0]
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        self.mediators += map(int, children)


class GrpcProxy(System):
    column = "gRPC proxy"

    def start(self) -> None:
        program = self.context.binary("bench_grpc_proxy")
        self.launch_proxy([program, f"unix:{self.socket()}", self.context.plugin_address])


class GoPlugin(System):
    """No mediator either, but another caller and plugin: both in Go, on hashicorp/go-plugin."""

    column = "go-plugin"

    def start(self) -> None:
        executable = self.context.build / "tests" / "bench" / "calls" / "goplugin"
        _build_go_plugin(executable)
        self.caller = Caller([str(executable)], self.context.directory, self.key)
        self._program = self.caller.program
        self.plugin = int(self._program.read_line())
        self.target = "-"


def _build_go_plugin(executable: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise Skipped("SKIPPED: no Go on the PATH (1.24 or newer is needed)")
    built = subprocess.run(
        [go, "build", "-trimpath", "-buildvcs=false", "-o", str(executable), "."],
        cwd=Path(__file__).parent / "goplugin",
        env=os.environ | {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
    )
    if built.returncode != 0:
        raise Skipped(f"SKIPPED: goplugin does not build: {built.stderr.strip()[-300:]}")


KINDS: tuple[type[System], ...] = (
    Direct,
    Plugind,
    PlugindWithoutSpin,
    HaProxy,
    HaProxyLarge,
    Nginx,
    GrpcProxy,
    GoPlugin,
)
PROXIES = (HaProxy.column, HaProxyLarge.column, Nginx.column, GrpcProxy.column)
