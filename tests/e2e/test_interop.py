"""Other people's gRPC programs through the gateway: the official interop client and server, grpcurl, grpcio, Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from daemon import Daemon
from examples import add_greeter
from go_programs import program
from settings import SLOWNESS


@pytest.fixture(scope="module")
def served() -> Iterator[Daemon]:
    """The interop server and greeter, both READY; one daemon for all that only calls them."""
    server = program("server")
    daemon = Daemon()
    try:
        daemon.plugin("interop", [server])
        add_greeter(daemon)
        daemon.start().wait_ready("interop", "greeter")
        yield daemon
    finally:
        daemon.close()


def run(*command: object, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in command],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40 * SLOWNESS,
    )
    assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stderr}{done.stdout}"
    return done


# ---- gRPC's own client and server ----

# How a client gets to the server: the target, and metadata for each call.
ROUTES = {
    "directly": lambda daemon: (daemon.get("interop").direct_address, ""),
    "plugins-socket": lambda daemon: (f"unix:{daemon.runtime}/plugins/interop.sock", ""),
    "by-service": lambda daemon: (f"unix:{daemon.socket}", ""),
    "by-name": lambda daemon: (f"unix:{daemon.socket}", "plugind-plugin:interop"),
}

REPORTS_LOAD = '--service_config_json={"loadBalancingConfig": [{"test_backend_metrics_load_balancer": {}}]}'

# Every case of the client that needs neither TLS nor Google's credentials, with its flags.
CASES: dict[str, list[str]] = {
    "empty_unary": [],
    "large_unary": [],
    "client_streaming": [],
    "server_streaming": [],
    "ping_pong": [],
    "empty_stream": [],
    "timeout_on_sleeping_server": [],
    "cancel_after_begin": [],
    "cancel_after_first_response": [],
    "status_code_and_message": [],
    "special_status_message": [],
    "custom_metadata": [],
    "unimplemented_method": [],
    "unimplemented_service": [],
    "pick_first_unary": [],
    "rpc_soak": ["--soak_iterations=100", "--soak_num_threads=4"],
    "channel_soak": ["--soak_iterations=40", "--soak_num_threads=4"],
    "orca_per_rpc": [REPORTS_LOAD],
    "orca_oob": [REPORTS_LOAD],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("route", ROUTES)
def test_interop_case(served: Daemon, route: str, case: str) -> None:
    target, metadata = ROUTES[route](served)
    done = run(
        program("client"),
        f"--test_case={case}",
        # With no port, the host is the whole target.
        f"--server_host={target}",
        "--server_port=0",
        f"--additional_metadata={metadata}",
        *CASES[case],
        GRPC_GO_LOG_SEVERITY_LEVEL="info",
    )
    # The client says so after the last check of a case.
    assert " done\n" in done.stderr, done.stderr


# ---- grpcurl ----


def grpcurl(*words: object) -> str:
    return run(program("grpcurl"), "-plaintext", "-max-time", 20 * SLOWNESS, *words).stdout


def on(socket: Path) -> str:
    return f"unix://{socket}"


def test_grpcurl_on_plugind_sock(served: Daemon) -> None:
    control = "plugind.control.v1.PluginControl"
    assert {control, "grpc.health.v1.Health"} <= set(grpcurl(on(served.socket), "list").split())
    assert f"{control}.ListPlugins" in grpcurl(on(served.socket), "list", control).split()
    assert "rpc ListPlugins (" in grpcurl(on(served.socket), "describe", control)
    listed = json.loads(grpcurl(on(served.socket), f"{control}/ListPlugins"))
    assert {p["name"]: p["state"] for p in listed["plugins"]} == {
        "greeter": "READY",
        "interop": "READY",
    }
    health = json.loads(
        grpcurl("-d", '{"service": "greeter"}', on(served.socket), "grpc.health.v1.Health/Check")
    )
    assert health == {"status": "SERVING"}


def test_grpcurl_with_a_plugin_chosen(served: Daemon) -> None:
    # -H goes with reflection and with the call; -reflect-header with reflection alone.
    for chosen in (["-H"], ["-reflect-header"]):
        header = [*chosen, "plugind-plugin: greeter"]
        assert "greeter.v1.Greeter" in grpcurl(*header, on(served.socket), "list").split()
        greeting = grpcurl(
            *header, "-d", '{"name": "Ada"}', on(served.socket), "greeter.v1.Greeter/Greet"
        )
        assert json.loads(greeting)["message"] == "Hello, Ada!"


def test_grpcurl_on_a_plugins_socket(served: Daemon) -> None:
    socket = on(served.runtime / "plugins" / "greeter.sock")
    assert "greeter.v1.Greeter" in grpcurl(socket, "list").split()
    assert "rpc Greet (" in grpcurl(socket, "describe", "greeter.v1.Greeter")
    greeting = grpcurl("-d", '{"name": "Ada"}', socket, "greeter.v1.Greeter/Greet")
    assert json.loads(greeting) == {
        "message": "Hello, Ada!",
        "pid": served.get("greeter").pid,
    }
    steps = grpcurl("-d", '{"from": 3}', "-emit-defaults", socket, "greeter.v1.Greeter/Countdown")
    assert [json.loads(step)["remaining"] for step in steps.replace("}", "}\0").split("\0")[:-1]] == [
        3,
        2,
        1,
        0,
    ]
