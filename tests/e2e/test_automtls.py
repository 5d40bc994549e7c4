"""AutoMTLS: all that plugind says to a plugin goes through TLS, with certificates made for one launch. kv and brokered are
go-plugin itself, unmodified; greeter and parity our SDKs. And plugins that listen on TCP."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Iterator

import greeter_pb2
import greeter_pb2_grpc
import grpc
import kv_pb2
import kv_pb2_grpc
import parity_pb2
import parity_pb2_grpc
import pytest
from reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from daemon import CHANNEL_OPTIONS, Daemon, State
from go_programs import program
from parity_plugins import DIRECT, parity_plugin
from processes import eventually
from requirements import need_go_plugin
from settings import PLUGINS, SLOWNESS

HELLO = {"key": "BASIC_PLUGIN", "value": "hello"}
MEBIBYTE = 1 << 20
WITHIN = 30 * SLOWNESS


def add(daemon: Daemon, name: str, **keys: object) -> None:
    if name == "kv":
        need_go_plugin()
        keys["magic_cookie"] = HELLO
    daemon.plugin(name, [PLUGINS / name], backoff={"initial": "20ms"}, **{"auto_mtls": True, **keys})


@contextlib.contextmanager
def gateway(daemon: Daemon, name: str) -> Iterator[grpc.Channel]:
    """Nobody but plugind can call such a plugin directly."""
    address = f"unix:{daemon.runtime}/plugins/{name}.sock"
    with grpc.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        yield channel


def greet(daemon: Daemon) -> None:
    with gateway(daemon, "greeter") as channel:
        stub = greeter_pb2_grpc.GreeterStub(channel)
        answer = stub.Greet(greeter_pb2.GreetRequest(name="Ada"), timeout=WITHIN)
    assert "Ada" in answer.message and answer.pid == daemon.get("greeter").pid


def put(daemon: Daemon, value: bytes) -> None:
    with gateway(daemon, "kv") as channel:
        kv_pb2_grpc.KVStub(channel).Put(kv_pb2.PutRequest(key="k", value=value), timeout=WITHIN)


def get(daemon: Daemon) -> bytes:
    with gateway(daemon, "kv") as channel:
        return kv_pb2_grpc.KVStub(channel).Get(kv_pb2.GetRequest(key="k"), timeout=WITHIN).value


def speaks_tls(address: str) -> bool:
    """What a stranger sees who speaks HTTP/2: an alert or the end, and no SETTINGS frame."""
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(5 * SLOWNESS)
        stranger.connect(address.removeprefix("unix:"))
        stranger.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        try:
            answer = stranger.recv(64)
        except ConnectionResetError:
            return True
    return answer[:1] == b"\x15" or not answer


def test_a_go_plugin_plugin_serves_inside_tls(daemon: Daemon) -> None:
    add(daemon, "kv")
    daemon.start().wait_ready("kv")
    put(daemon, b"green")
    assert get(daemon) == b"green"
    assert daemon.get("kv").auto_mtls and daemon.status()["kv"]["autoMtls"]
    assert speaks_tls(daemon.get("kv").direct_address)
    daemon.ctl("stop", "kv")
    assert not daemon.get("kv").auto_mtls


@pytest.mark.parametrize("language", DIRECT)
def test_a_plugin_of_an_sdk_serves_inside_tls(daemon: Daemon, language: str) -> None:
    plugin = parity_plugin(language)
    daemon.plugin("parity", [plugin], protocol_versions=[1, 2], auto_mtls=True)
    daemon.start().wait_ready("parity")
    assert daemon.get("parity").auto_mtls
    assert speaks_tls(daemon.get("parity").direct_address)
    with gateway(daemon, "parity") as channel:
        parity = parity_pb2_grpc.ParityStub(channel)
        for size in (1, 100_000, MEBIBYTE):
            text = "x" * size
            answer = parity.Echo(parity_pb2.EchoRequest(text=text), timeout=WITHIN)
            assert answer.text == text
    daemon.ctl("restart", "parity")
    daemon.wait_ready("parity")


def test_streams_of_both_directions_and_large_messages_pass(daemon: Daemon) -> None:
    add(daemon, "kv")
    add(daemon, "greeter")
    daemon.start().wait_ready("kv", "greeter")
    with gateway(daemon, "greeter") as channel:
        request = greeter_pb2.CountdownRequest(**{"from": 20_000})
        steps = greeter_pb2_grpc.GreeterStub(channel).Countdown(request, timeout=WITHIN)
        assert [step.remaining for step in steps] == list(range(20_000, -1, -1))
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = reflection.ServerReflectionInfo(iter([question] * 1000), timeout=WITHIN)
        assert sum(1 for answer in answers if answer.list_services_response.service) == 1000
    for round_ in range(20):
        value = bytes([round_]) * (MEBIBYTE + round_)
        put(daemon, value)
        assert get(daemon) == value


def test_many_calls_at_once_share_what_has_to_be_encrypted(daemon: Daemon) -> None:
    add(daemon, "kv")
    daemon.start().wait_ready("kv")
    sizes = [0, 1, 100, 16_384, 65_536, 300_000, MEBIBYTE]
    values = {f"k{i}": bytes([i % 251]) * sizes[i % len(sizes)] for i in range(200)}
    with gateway(daemon, "kv") as channel:
        kv = kv_pb2_grpc.KVStub(channel)
        puts = [
            kv.Put.future(kv_pb2.PutRequest(key=key, value=value), timeout=2 * WITHIN)
            for key, value in values.items()
        ]
        for done in puts:
            done.result()
        gets = {key: kv.Get.future(kv_pb2.GetRequest(key=key), timeout=2 * WITHIN) for key in values}
        assert all(got.result().value == values[key] for key, got in gets.items())


def client_certificate(daemon: Daemon, name: str) -> str:
    environment = Path(f"/proc/{daemon.get(name).pid}/environ").read_text().split("\0")
    return next(v for v in environment if v.startswith("PLUGIN_CLIENT_CERT=")).partition("=")[2]


def test_each_launch_has_certificates_of_its_own(daemon: Daemon) -> None:
    add(daemon, "kv")
    daemon.start().wait_ready("kv")
    first = client_certificate(daemon, "kv")
    assert first.startswith("-----BEGIN CERTIFICATE-----\n")
    daemon.ctl("restart", "kv")
    assert client_certificate(daemon, "kv") != first
    put(daemon, b"again")


def test_a_killed_plugind_goes_on_under_tls(daemon: Daemon) -> None:
    add(daemon, "kv")
    daemon.start().wait_ready("kv")
    put(daemon, b"green")
    pid = daemon.get("kv").pid
    for _ in range(3):
        daemon.wait_brain_after(daemon.kill_brain())
        daemon.hang_up()
        plugin = daemon.wait_ready("kv")["kv"]
        assert plugin.pid == pid and plugin.auto_mtls
        assert get(daemon) == b"green"  # the same process has it
    assert not [e for e in daemon.events(name="kv") if e.type in ("unhealthy", "exited")]


def test_turning_it_on_and_off_restarts_the_plugin(daemon: Daemon) -> None:
    add(daemon, "greeter", auto_mtls=False)
    daemon.start().wait_ready("greeter")
    assert not daemon.get("greeter").auto_mtls
    assert not speaks_tls(daemon.get("greeter").direct_address)
    for on in (True, False):
        pid = daemon.get("greeter").pid
        add(daemon, "greeter", auto_mtls=on)
        assert list(daemon.reload().changed) == ["greeter"]
        eventually(
            lambda: daemon.get("greeter").pid not in (0, pid)
            and daemon.get("greeter").state == State.READY,
            within=20 * SLOWNESS,
            what="another process is READY",
        )
        assert daemon.get("greeter").auto_mtls == on
        greet(daemon)


# ---- Plugins that do not keep their word ----


@pytest.mark.parametrize(
    ("how", "phase", "reason"),
    [
        ("stranger", "connect", 'is not the one of its handshake for "localhost"'),
        ("empty", "handshake", "the plugin has its own TLS or ignores AutoMTLS"),
    ],
)
def test_a_wrong_or_missing_certificate_is_final_and_named(
    daemon: Daemon, how: str, phase: str, reason: str
) -> None:
    forger = Path(__file__).with_name("forging_plugin.py")
    daemon.plugin("forger", [forger, how, PLUGINS / "greeter"], auto_mtls=True)
    daemon.start()
    plugin = daemon.wait_state("forger", "FAILED")
    assert reason in plugin.reason
    failed = next(e for e in daemon.events(name="forger") if e.type == "start-failed")
    assert failed.phase == phase


def test_a_plugin_that_speaks_no_tls_is_named(daemon: Daemon) -> None:
    forger = Path(__file__).with_name("forging_plugin.py")
    keys = {"auto_mtls": True, "restart": "never"}
    daemon.plugin("forger", [forger, "plain", PLUGINS / "greeter"], **keys)
    daemon.start()
    failed = daemon.wait_event("forger", lambda e: e.type == "start-failed", what="its failure")
    assert "TLS with the plugin failed" in failed.reason


def test_a_certificate_that_nobody_asked_for_says_how_to_ask(daemon: Daemon) -> None:
    # A plugin makes one whenever it finds a client's in its environment.
    add(daemon, "greeter")
    daemon.start().wait_ready("greeter")
    given = f"PLUGIN_CLIENT_CERT={client_certificate(daemon, 'greeter')}"
    daemon.plugin("uninvited", ["/usr/bin/env", given, PLUGINS / "greeter"])
    daemon.reload()
    assert "set `auto_mtls`" in daemon.wait_state("uninvited", "FAILED").reason


# ---- TCP ----


def test_tcp_and_tls_go_together(daemon: Daemon) -> None:
    keys = {"network": ["unix", "tcp"], "auto_mtls": True, "magic_cookie": HELLO}
    daemon.plugin("brokered", [program("brokered"), "--tcp"], **keys)
    daemon.start().wait_ready("brokered")
    plugin = daemon.get("brokered")
    assert plugin.auto_mtls and plugin.direct_address.startswith("127.0.0.1:")
    assert "{" in daemon.ctl("call", "brokered/brokered.v1.Brokered/Print", "-d", "{}").stdout
    daemon.wait_brain_after(daemon.kill_brain())
    daemon.hang_up()
    assert daemon.wait_ready("brokered")["brokered"].pid == plugin.pid
    assert "{" in daemon.ctl("call", "brokered/brokered.v1.Brokered/Print", "-d", "{}").stdout


def test_another_programs_tcp_port_is_not_the_plugins(daemon: Daemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        line = f"print('1|1|tcp|127.0.0.1:{port}|grpc', flush=True); import time; time.sleep(1e6)"
        keys = {"network": ["unix", "tcp"]}
        daemon.plugin("thief", ["/usr/bin/python3", "-c", line], **keys)
        daemon.start()
        plugin = daemon.wait_state("thief", "FAILED")
    assert f"listens at 127.0.0.1:{port}" in plugin.reason
    assert "none of this plugin's" in plugin.reason
