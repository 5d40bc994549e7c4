"""Other people's programs through the gateway: gRPC's interop client and server, grpcurl, grpcio, grpc-js."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import grpc
import pytest

from daemon import Daemon
from examples import add_greeter
from go_programs import program
from node_programs import node_command
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
    assert (
        done.returncode == code
    ), f"{command} ended with {done.returncode}, not {code}:\n{done.stderr}{done.stdout}"
    return done


# ---- gRPC's own client and server ----

# How a client gets to the server: the target, and metadata for each call.
ROUTES = {
    "directly": lambda daemon: (daemon.get("interop").direct_address, ""),
    "plugins-socket": lambda daemon: (f"unix:{daemon.runtime}/plugins/interop.sock", ""),
    "by-service": lambda daemon: (f"unix:{daemon.socket}", ""),
    "by-name": lambda daemon: (f"unix:{daemon.socket}", "plugind-plugin:interop"),
}

TAKES_LOAD_REPORTS = (
    '--service_config_json={"loadBalancingConfig": [{"test_backend_metrics_load_balancer": {}}]}'
)

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
    "orca_per_rpc": [TAKES_LOAD_REPORTS],
    "orca_oob": [TAKES_LOAD_REPORTS],
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
    countdown = ["-emit-defaults", "-d", '{"from": 2}', socket, "greeter.v1.Greeter/Countdown"]
    steps = "".join(grpcurl(*countdown).split())
    assert steps == '{"remaining":2}{"remaining":1}{"remaining":0}'


# ---- gRPC in other languages ----

# The interop server's messages by hand, so that its stubs are not needed; tests/interop/node/client.js has the same.
SERVICE = "/grpc.testing.TestService"


def wanted(size: int) -> bytes:
    """A StreamingOutputCallRequest for one answer of `size` bytes."""
    return bytes([0x12, 2, 0x08, size])


def answer(size: int) -> bytes:
    """That answer; also a StreamingInputCallRequest that has `size` bytes."""
    return bytes([0x0A, size + 2, 0x12, size]) + bytes(size)


def simple_request_to_fail(message: str) -> bytes:
    text = message.encode()
    return bytes([0x3A, len(text) + 4, 0x08, 2, 0x12, len(text)]) + text


def grpcio_unary(channel: grpc.Channel) -> None:
    assert channel.unary_unary(f"{SERVICE}/EmptyCall")(b"", timeout=20 * SLOWNESS) == b""


def grpcio_server_stream(channel: grpc.Channel) -> None:
    call = channel.unary_stream(f"{SERVICE}/StreamingOutputCall")
    answers = call(wanted(5) + wanted(100), timeout=20 * SLOWNESS)
    assert list(answers) == [answer(5), answer(100)]


def grpcio_client_stream(channel: grpc.Channel) -> None:
    call = channel.stream_unary(f"{SERVICE}/StreamingInputCall")
    assert call(iter([answer(40), answer(60)]), timeout=20 * SLOWNESS) == bytes([0x08, 100])


@contextlib.contextmanager
def duplex(channel: grpc.Channel, timeout: float) -> Iterator[tuple[grpc.Call, Callable]]:
    """FullDuplexCall, and what sends a request on it; None is the last."""
    requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    call = channel.stream_stream(f"{SERVICE}/FullDuplexCall")
    try:
        yield call(iter(requests.get, None), timeout=timeout), requests.put
    finally:
        requests.put(None)


def grpcio_bidi(channel: grpc.Channel) -> None:
    with duplex(channel, 20 * SLOWNESS) as (call, send):
        for size in (7, 8, 9):
            send(wanted(size))
            assert next(call) == answer(size)
        send(None)
        assert list(call) == []


def grpcio_metadata(channel: grpc.Channel) -> None:
    first = ("x-grpc-test-echo-initial", "first")
    last = ("x-grpc-test-echo-trailing-bin", b"\xab\0\xff")
    _, call = channel.unary_unary(f"{SERVICE}/UnaryCall").with_call(
        b"", metadata=(first, last), timeout=20 * SLOWNESS
    )
    assert first in call.initial_metadata() and last in call.trailing_metadata()


def grpcio_status(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        request = simple_request_to_fail("no 👎")
        channel.unary_unary(f"{SERVICE}/UnaryCall")(request, timeout=20 * SLOWNESS)
    assert failed.value.code() == grpc.StatusCode.UNKNOWN and failed.value.details() == "no 👎"


def grpcio_deadline(channel: grpc.Channel) -> None:
    with duplex(channel, 0.2) as (call, _), pytest.raises(grpc.RpcError) as failed:
        next(call)
    assert failed.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def grpcio_cancel(channel: grpc.Channel) -> None:
    with duplex(channel, 20 * SLOWNESS) as (call, send):
        send(wanted(1))
        assert next(call) == answer(1)
        call.cancel()
        with pytest.raises(grpc.RpcError) as failed:
            next(call)
        assert failed.value.code() == grpc.StatusCode.CANCELLED


# Each is a function here and one of the same name in client.js.
KINDS: dict[str, Callable[[grpc.Channel], None]] = {
    "unary": grpcio_unary,
    "server_stream": grpcio_server_stream,
    "client_stream": grpcio_client_stream,
    "bidi": grpcio_bidi,
    "metadata": grpcio_metadata,
    "status": grpcio_status,
    "deadline": grpcio_deadline,
    "cancel": grpcio_cancel,
}
SOCKETS = ["plugins/interop.sock", "plugind.sock"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("socket", SOCKETS)
def test_grpcio(served: Daemon, socket: str, kind: str) -> None:
    with grpc.insecure_channel(f"unix:{served.runtime / socket}") as channel:
        KINDS[kind](channel)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("socket", SOCKETS)
def test_grpc_js(served: Daemon, socket: str, kind: str) -> None:
    said = run(*node_command("client.js"), f"unix:{served.runtime / socket}", kind)
    assert said.stdout == "passed\n", said.stderr
