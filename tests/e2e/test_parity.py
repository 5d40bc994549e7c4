"""Each row of sdk/parity/behaviours.toml, for the plugin of each language. A test is called after its row."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import threading
import time
import tomllib
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

import grpc
import parity_pb2 as pb
import parity_pb2_grpc
import pytest
from google.protobuf import descriptor_pb2, duration_pb2, empty_pb2, json_format
from health.v1 import health_pb2
from plugin import go_plugin_pb2
from plugind.control.v1 import control_pb2
from plugind.host.v1 import host_pb2, host_pb2_grpc
from plugind.plugin.v1 import plugin_pb2
from reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import processes
from daemon import CHANNEL_OPTIONS, Daemon
from direct_host import DirectHost, DirectPlugin
from parity_plugins import DIRECT, LANGUAGES, PARITY, parity_plugin
from processes import eventually
from settings import SLOWNESS

TABLE = PARITY / "behaviours.toml"
ROWS = {row["name"]: row for row in tomllib.loads(TABLE.read_text())["behaviour"]}

SERVICE = "parity.v1.Parity"
SCHEMA = {
    "type": "object",
    "properties": {"greeting": {"type": "string"}, "max": {"type": "integer", "maximum": 100}},
}
BUILT_IN = ("config.reload", "drain", "log.structured", "peer.calls", "trace")
OK, DEADLINE_EXCEEDED, PERMISSION_DENIED, UNAVAILABLE = 0, 4, 7, 14

# A field that no version of the contract has: number 1000, wire type 2.
UNKNOWN = b"\xc2\x3e\x04what"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "language" in metafunc.fixturenames:
        metafunc.parametrize("language", LANGUAGES)
    elif "variant" in metafunc.fixturenames:
        metafunc.parametrize("variant", DIRECT)


@pytest.fixture
def host(variant: str) -> Iterator[DirectHost]:
    direct = DirectHost(parity_plugin(variant))
    try:
        yield direct
    finally:
        direct.close()


@pytest.fixture
def plugin(host: DirectHost) -> DirectPlugin:
    return host.start()


def test_every_row_has_its_test() -> None:
    tests = {name[5:] for name in globals() if name.startswith("test_")}
    assert tests - {"every_row_has_its_test"} == set(ROWS)


def named(variant: str) -> str:
    return f"parity-{variant.partition('-')[0]}"


def sdk_language(variant: str) -> str:
    return {"cpp": "c++"}.get(variant, variant.partition("-")[0])


def refused(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details() or ""


def within(seconds: float) -> float:
    return seconds * SLOWNESS


def echo(plugin: DirectPlugin, text: str = "hello") -> None:
    request = pb.EchoRequest(text=text)
    answer = plugin.parity.Echo(request, timeout=within(10), wait_for_ready=True)
    assert answer.text == text


# ---- What it is, and who starts it ----


def test_by_hand(host: DirectHost, variant: str) -> None:
    for cookie in ("SOMETHING=1", "PLUGIND_PLUGIN=2"):
        plugin = host.start(cookie=cookie)
        assert plugin.exit_code() == 1
        said = " ".join(plugin.stderr.all())
        assert named(variant) in said and "plugind" in said, said
        assert plugin.stdout.all() == []


def test_info(host: DirectHost, variant: str) -> None:
    for cookie in ("PLUGIND_PLUGIN=1", "SOMETHING=1"):
        plugin = host.start("--plugind-info", cookie=cookie)
        assert plugin.exit_code() == 0, plugin.stderr.lines
        info = json.loads("\n".join(plugin.stdout.all()))
        sdk = info.pop("sdk")
        assert sdk["language"] == sdk_language(variant)
        assert sdk["version"].count(".") == 2
        assert info == {
            "name": named(variant),
            "version": "1.2.3",
            "services": [SERVICE],
            "protocolVersions": [1, 2],
            "capabilities": [
                {
                    "name": name,
                    "versions": ["1.4", "2.1"] if name == "parity.echo" else ["1.0"],
                    "required": False,
                }
                for name in sorted([*BUILT_IN, "parity.echo"])
            ],
            "configSchema": SCHEMA,
        }


def test_own_cookie(host: DirectHost) -> None:
    echo(host.start(cookie="BASIC_PLUGIN=hello", env={"PARITY_COOKIE": "BASIC_PLUGIN=hello"}))


def test_failed_start(host: DirectHost) -> None:
    plugin = host.start(env={"PARITY_START_FAILS": "no such database"})
    assert plugin.exit_code() == 1
    assert "no such database" in " ".join(plugin.stderr.all())
    assert plugin.stdout.all() == []


# ---- Handshake ----


def test_handshake(host: DirectHost) -> None:
    directory = host.directory()
    plugin = host.start(directory=directory)
    handshake = plugin.handshake
    assert (handshake.core, handshake.network, handshake.protocol) == ("1", "unix", "grpc")
    assert handshake.address == str(directory / "p.sock")
    mode = os.stat(handshake.address).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    echo(plugin)


def test_protocol_version(host: DirectHost) -> None:
    for offered, chosen in (("1,2,7", 2), ("7,1", 1), ("8,9", 1), (None, 1)):
        assert host.start(versions=offered).handshake.version == chosen, offered


def test_no_common_version(host: DirectHost, variant: str) -> None:
    said = f"{named(variant)} serves protocol versions 1, 2; its host offers 8, 9"
    offers = (("8,9", True), ("9,8,9,x", True), ("7,1", False), ("x", False), (None, False))
    for offered, is_said in offers:
        plugin = host.start(versions=offered)
        assert plugin.handshake.version == 1
        if is_said:  # written before the handshake, but by another pipe
            plugin.stderr.wait(lambda line: "its host offers" in line)
        echo(plugin)
        plugin.process.terminate()
        assert plugin.exit_code() == 0
        lines = [line for line in plugin.stderr.all() if "its host offers" in line]
        assert lines == ([said] if is_said else []), offered


def test_other_host(host: DirectHost) -> None:
    shared = host.directory()
    plugins = [host.start(directory=shared, under_plugind=False) for _ in range(2)]
    addresses = {plugin.handshake.address for plugin in plugins}
    assert len(addresses) == 2
    assert {Path(address).parent for address in addresses} == {shared}
    for plugin in plugins:
        echo(plugin)
        plugin.process.terminate()
        assert plugin.exit_code() == 0
    assert not [path for path in shared.rglob("*") if path.is_socket()]


# ---- Services ----


def test_health(plugin: DirectPlugin) -> None:
    for service in ("", "plugin", SERVICE):
        assert plugin.status(service) == "SERVING"
    unknown = health_pb2.HealthCheckRequest(service="nobody")
    assert refused(lambda: plugin.health.Check(unknown))[0] is grpc.StatusCode.NOT_FOUND
    watch = plugin.health.Watch(unknown, timeout=within(5))
    try:
        status = next(watch).status
        assert status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND
    watch.cancel()


def test_set_serving(plugin: DirectPlugin) -> None:
    echo(plugin)
    watch = plugin.health.Watch(health_pb2.HealthCheckRequest(service="plugin"), timeout=within(10))
    name = health_pb2.HealthCheckResponse.ServingStatus.Name
    assert name(next(watch).status) == "SERVING"
    for serving, status in ((False, "NOT_SERVING"), (True, "SERVING")):
        plugin.parity.SetServing(pb.SetServingRequest(serving=serving), timeout=within(5))
        assert name(next(watch).status) == status
        for service in ("", "plugin", SERVICE):
            assert plugin.status(service) == status
        echo(plugin)
    watch.cancel()


def test_watchers(plugin: DirectPlugin) -> None:
    echo(plugin)
    request = health_pb2.HealthCheckRequest(service="plugin")
    watches = [plugin.health.Watch(request, timeout=within(30)) for _ in range(30)]
    for watch in watches:
        try:
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for _ in range(5):
        echo(plugin)
        assert plugin.status() == "SERVING"
    for watch in watches:
        watch.cancel()


def test_reflection(plugin: DirectPlugin) -> None:
    request = reflection_pb2.ServerReflectionRequest
    stub = reflection_pb2_grpc.ServerReflectionStub(plugin.channel)
    asked = [request(list_services=""), request(file_containing_symbol=SERVICE)]
    listed, described = stub.ServerReflectionInfo(
        iter(asked), timeout=within(10), wait_for_ready=True
    )
    names = {service.name for service in listed.list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(file)
        for file in described.file_descriptor_response.file_descriptor_proto
    ]
    (service,) = [
        service for file in files if file.package == "parity.v1" for service in file.service
    ]
    assert {method.name for method in service.method} == {
        method.name for method in pb.DESCRIPTOR.services_by_name["Parity"].methods
    }


def test_unknown_method(plugin: DirectPlugin) -> None:
    echo(plugin)
    for method in (f"/{SERVICE}/Nothing", "/nobody.v1.Nobody/Nothing"):
        call = plugin.channel.unary_unary(method)
        assert refused(lambda: call(b"", timeout=within(5)))[0] is grpc.StatusCode.UNIMPLEMENTED


def test_deadline(plugin: DirectPlugin) -> None:
    echo(plugin)
    began = time.monotonic()
    code, _ = refused(lambda: plugin.parity.Sleep(pb.SleepRequest(milliseconds=5000), timeout=0.2))
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < within(1)
    echo(plugin)


def test_large_message(plugin: DirectPlugin) -> None:
    echo(plugin, "a" * (3 << 20))
    large = pb.EchoRequest(text="a" * (5 << 20))
    code, _ = refused(lambda: plugin.parity.Echo(large, timeout=within(10)))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    echo(plugin)


# ---- plugind.plugin.v1.Plugin ----


def negotiate(plugin: DirectPlugin) -> plugin_pb2.NegotiateResponse:
    request = plugin_pb2.NegotiateRequest(
        host="plugind",
        host_version="0.1.0",
        plugin="parity",
        instance="d1",
        protocol_version=2,
        offered_protocol_versions=[1, 2],
        capabilities=[plugin_pb2.Capability(name=name, versions=["1.0"]) for name in BUILT_IN],
    )
    return plugin.contract.Negotiate(request, timeout=within(5), wait_for_ready=True)


def configure(
    plugin: DirectPlugin,
    settings: dict[str, Any],
    agreed: dict[str, str] | None = None,
    generation: int = 1,
) -> plugin_pb2.ConfigureResponse:
    request = plugin_pb2.ConfigureRequest(capabilities=agreed or {}, generation=generation)
    request.settings.update(settings)
    return plugin.contract.Configure(request, timeout=within(5), wait_for_ready=True)


def settings_of(plugin: DirectPlugin) -> Any:
    answer = plugin.parity.Settings(pb.SettingsRequest(), timeout=within(5), wait_for_ready=True)
    return json.loads(answer.json)


def agreed_of(plugin: DirectPlugin, capability: str) -> str:
    return plugin.parity.Agreed(pb.AgreedRequest(capability=capability), timeout=within(5)).version


def test_negotiate(plugin: DirectPlugin, variant: str) -> None:
    said = negotiate(plugin)
    assert (said.name, said.version) == (named(variant), "1.2.3")
    assert SERVICE in said.services
    assert json.loads(said.config_schema) == SCHEMA
    assert said.sdk.language == sdk_language(variant)
    capabilities = {one.name: (sorted(one.versions), one.required) for one in said.capabilities}
    assert len(capabilities) == len(said.capabilities)
    assert capabilities == {
        **{name: (["1.0"], False) for name in BUILT_IN},
        "parity.echo": (["1.4", "2.1"], False),
    }


def test_requires(host: DirectHost) -> None:
    env = {"PARITY_REQUIRES": "parity.host"}
    said = negotiate(host.start(env=env))
    (found,) = [one for one in said.capabilities if one.required]
    assert (found.name, list(found.versions)) == ("parity.host", ["1.0"])
    info = host.start("--plugind-info", env=env)
    assert info.exit_code() == 0
    capabilities = json.loads("\n".join(info.stdout.all()))["capabilities"]
    assert {"name": "parity.host", "versions": ["1.0"], "required": True} in capabilities


def test_newer_host(plugin: DirectPlugin) -> None:
    def call(method: str, message: Any) -> bytes:
        raw = plugin.channel.unary_unary(f"/plugind.plugin.v1.Plugin/{method}")
        return raw(message.SerializeToString() + UNKNOWN, timeout=within(5), wait_for_ready=True)

    odd = [
        plugin_pb2.Capability(name="from.the.future", versions=["99.1", "100.0"]),
        plugin_pb2.Capability(name="", versions=["one", "", "1.2.3"]),
        plugin_pb2.Capability(name="drain", versions=[]),
    ]
    request = plugin_pb2.NegotiateRequest(host="plugind", capabilities=odd)
    said = plugin_pb2.NegotiateResponse.FromString(call("Negotiate", request))
    assert said.version == "1.2.3"
    settings = plugin_pb2.ConfigureRequest(capabilities={"from.the.future": "99.1"})
    settings.settings.update({"greeting": "hi"})
    assert not plugin_pb2.ConfigureResponse.FromString(call("Configure", settings)).violations
    assert agreed_of(plugin, "from.the.future") == "99.1"
    call("Drain", plugin_pb2.DrainRequest())
    call("Shutdown", plugin_pb2.ShutdownRequest())
    assert plugin.exit_code() == 0


def test_older_host(plugin: DirectPlugin) -> None:
    echo(plugin)
    assert agreed_of(plugin, "drain") == ""
    assert settings_of(plugin) == {}
    plugin.parity.SetStatus(pb.SetStatusRequest(text="fine"), timeout=within(5))
    answer = plugin.parity.CallPeer(pb.CallPeerRequest(name="other"), timeout=within(5))
    assert answer.code == UNAVAILABLE and answer.message


def test_agreed(plugin: DirectPlugin) -> None:
    negotiate(plugin)
    configure(plugin, {}, {"parity.echo": "2.0", "drain": "1.0"})
    assert [agreed_of(plugin, name) for name in ("parity.echo", "drain", "trace")] == [
        "2.0",
        "1.0",
        "",
    ]
    configure(plugin, {}, {"trace": "1.0"}, generation=2)
    assert [agreed_of(plugin, name) for name in ("parity.echo", "trace")] == ["", "1.0"]


def test_settings(plugin: DirectPlugin) -> None:
    assert settings_of(plugin) == {}
    rich = {
        "greeting": 'Grüß Gott, 世界 "quoted"\n',
        "limits": {"max": 10, "ratio": 0.25, "deep": {"deeper": [1, [2, {"three": 3}]]}},
        "flags": [True, False, None, -1, 1e300, ""],
        "empty": {},
        "none": [],
        "large": 2**53,
    }
    for generation, settings in enumerate((rich, {"other": 1}), start=1):
        assert not configure(plugin, settings, generation=generation).violations
        hooks = [line for line in plugin.stderr.lines if "hook configure" in line]
        if len(hooks) < generation:  # it has run, but its line may still be on the way
            plugin.stderr.wait(lambda line: "hook configure" in line)
        assert settings_of(plugin) == settings


def test_refused_settings(plugin: DirectPlugin) -> None:
    good = {"greeting": "Hello"}
    assert not configure(plugin, good).violations
    (violation,) = configure(plugin, {"refuse": "not on a Friday"}, generation=2).violations
    assert (violation.field, violation.reason) == ("refuse", "not on a Friday")
    assert settings_of(plugin) == good
    try:
        said = str(configure(plugin, {"throw": "went wrong"}, generation=3).violations)
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        said = error.details()
    assert "went wrong" in said
    assert settings_of(plugin) == good
    echo(plugin)


def test_without_hooks(host: DirectHost) -> None:
    plugin = host.start(env={"PARITY_NO_HOOKS": "1"})
    said = negotiate(plugin)
    assert not {"config.reload", "drain"} & {one.name for one in said.capabilities}
    assert said.config_schema == ""
    assert not configure(plugin, {"a": 1}, {"trace": "1.0"}).violations
    assert settings_of(plugin) == {"a": 1}
    assert agreed_of(plugin, "trace") == "1.0"
    code, _ = refused(lambda: plugin.contract.Drain(plugin_pb2.DrainRequest(), timeout=within(5)))
    assert code is grpc.StatusCode.UNIMPLEMENTED


def test_drain(plugin: DirectPlugin) -> None:
    configure(plugin, {"drain_ms": 300})
    request = plugin_pb2.DrainRequest(timeout=duration_pb2.Duration(seconds=5))
    began = time.monotonic()
    draining = plugin.contract.Drain.future(request, timeout=within(5))
    echo(plugin)
    draining.result()
    assert time.monotonic() - began >= 0.3
    plugin.stderr.wait(lambda line: "hook drain" in line)
    echo(plugin)


# ---- The end ----


@contextmanager
def in_order(plugin: DirectPlugin) -> Iterator[None]:
    """What is done within ends the plugin, while a call runs and somebody watches its health."""
    negotiate(plugin)
    address = plugin.handshake.address
    watch = plugin.health.Watch(health_pb2.HealthCheckRequest(service="plugin"))
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    sleeping = plugin.parity.Sleep.future(pb.SleepRequest(milliseconds=1000), timeout=within(10))
    echo(plugin)  # so that the Sleep has begun: one connection, in order
    began = time.monotonic()
    yield
    assert time.monotonic() - began < within(0.9)
    assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
    plugin.stderr.wait(lambda line: "hook shutdown" in line)
    sleeping.result()
    assert plugin.exit_code() == 0
    assert not os.path.exists(address)


def test_shutdown(plugin: DirectPlugin) -> None:
    request = plugin_pb2.ShutdownRequest(timeout=duration_pb2.Duration(seconds=5))
    with in_order(plugin):
        plugin.contract.Shutdown(request, timeout=within(5))


def test_controller_shutdown(plugin: DirectPlugin) -> None:
    with in_order(plugin):
        plugin.controller.Shutdown(go_plugin_pb2.Empty(), timeout=within(5))


def test_sigterm(plugin: DirectPlugin) -> None:
    with in_order(plugin):
        plugin.process.send_signal(signal.SIGTERM)


def test_stop(plugin: DirectPlugin) -> None:
    with in_order(plugin):
        plugin.parity.Stop(pb.StopRequest(), timeout=within(5))


def test_bounded_end(plugin: DirectPlugin) -> None:
    echo(plugin)
    sleeping = plugin.parity.Sleep.future(pb.SleepRequest(milliseconds=60_000))
    echo(plugin)
    began = time.monotonic()
    plugin.process.terminate()
    assert plugin.exit_code(within=8) == 0
    assert time.monotonic() - began > 4
    assert sleeping.exception() is not None


def test_host_death(host: DirectHost) -> None:
    plugin = host.start(stand_in=True)
    echo(plugin)
    orphan = plugin.kill_stand_in()

    def gone() -> bool:
        process = processes.inspect(orphan.pid)
        return not process or process.state == "Z" or process.start_time != orphan.start_time

    eventually(gone, within=within(2.5), what="the orphan is gone")
    plugin.stderr.wait(lambda line: "hook shutdown" in line)
    assert not os.path.exists(plugin.handshake.address)


def test_closed_pipes(host: DirectHost) -> None:
    # A reader that ends after the handshake closes both pipes' only read ends.
    directory = host.directory()
    reader = (
        "import subprocess, sys, time\n"
        "plugin = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "print(plugin.stdout.readline().decode(), end='', flush=True)\n"
        "plugin.stdout.close(); plugin.stderr.close()\n"
        "plugin.wait()\n"
    )
    program = str(host.program)
    host.program = Path(sys.executable)
    plugin = host.start("-c", reader, program, directory=directory)
    echo(plugin)
    for _ in range(3):
        for to_stderr in (False, True):
            request = pb.PrintRequest(text="anyone?", to_stderr=to_stderr)
            plugin.parity.Print(request, timeout=within(5))
        plugin.parity.Log(pb.LogRequest(level="info", message="anyone?"), timeout=within(5))
    echo(plugin)


# ---- Output ----


def test_print_under_plugind(plugin: DirectPlugin) -> None:
    echo(plugin)
    for to_stderr, stream in ((False, plugin.stdout), (True, plugin.stderr)):
        request = pb.PrintRequest(text="printed for the log", to_stderr=to_stderr)
        plugin.parity.Print(request, timeout=within(5))
        stream.wait(lambda line: line == "printed for the log", within=1)


def test_print_elsewhere(host: DirectHost) -> None:
    plugin = host.start(under_plugind=False)
    echo(plugin)
    stream = plugin.stdio.StreamStdio(empty_pb2.Empty(), timeout=within(10))
    came = threading.Event()

    def read() -> None:
        seen = b""
        try:
            for data in stream:
                seen += data.data
                if b"printed for the log\n" in seen:
                    came.set()
        except grpc.RpcError:
            pass

    threading.Thread(target=read, daemon=True).start()
    plugin.parity.Print(pb.PrintRequest(text="printed for the log"), timeout=within(5))
    eventually(
        lambda: came.is_set() or "printed for the log" in plugin.stderr.lines,
        within=within(1),
        what="the line, in GRPCStdio or on stderr",
    )
    assert len(plugin.stdout.lines) == 1, plugin.stdout.lines


def test_print_without_a_reader(host: DirectHost) -> None:
    plugin = host.start(under_plugind=False)
    for _ in range(100):
        request = pb.PrintRequest(text="x" * (16 << 10))
        plugin.parity.Print(request, timeout=within(5), wait_for_ready=True)
    echo(plugin)


def test_log(plugin: DirectPlugin) -> None:
    echo(plugin)
    message = 'disk "a"\nis full, ünd \\ so'
    for level in ("trace", "debug", "info", "warn", "error"):
        request = pb.LogRequest(
            level=level, message=message, fields={"disk": "sda\n1", "level": "x"}
        )
        plugin.parity.Log(request, timeout=within(5))
        line = plugin.stderr.wait(lambda line: f'"{level}"' in line and "disk" in line, within=1)
        entry = json.loads(line)
        assert (entry["@level"], entry["@message"]) == (level, message)
        assert (entry["disk"], entry["level"]) == ("sda\n1", "x")


# ---- Peers and the host's services ----


class Gateway(host_pb2_grpc.HostServicer, parity_pb2_grpc.ParityServicer):
    """What stands at PLUGIND_HOST_ADDRESS."""

    SELF = host_pb2.GetSelfResponse(
        name="parity",
        instance="d1",
        protocol_version=2,
        capabilities={"parity.echo": "2.0", "trace": "1.0"},
        host="plugind",
        host_version="9.8.7",
    )
    PEERS = (
        host_pb2.Peer(
            name="öther",
            state="BACKOFF",
            version="1.0",
            services=["a.v1.A", "b.v1.B"],
            methods=["a.v1.A/*", "b.v1.B/Get"],
        ),
        host_pb2.Peer(name="young", state="STARTING"),
    )

    def __init__(self, path: Path, *, code: grpc.StatusCode = grpc.StatusCode.OK) -> None:
        self.code = code
        self.statuses: list[str] = []
        self.silent = threading.Event()  # set: the host's own methods may go on
        self.silent.set()
        self.address = f"unix:{path}"
        # The path may have belonged to one before.
        path.unlink(missing_ok=True)
        self.server = grpc.server(futures.ThreadPoolExecutor(8))
        host_pb2_grpc.add_HostServicer_to_server(self, self.server)
        parity_pb2_grpc.add_ParityServicer_to_server(self, self.server)
        self.server.add_insecure_port(self.address)
        self.server.start()

    def Echo(self, request: pb.EchoRequest, context: grpc.ServicerContext) -> pb.EchoResponse:
        if self.code is not grpc.StatusCode.OK:
            context.abort(self.code, "as the test says")
        return pb.EchoResponse(text=request.text, metadata=dict(context.invocation_metadata()))

    def SetStatus(
        self, request: host_pb2.SetStatusRequest, context: grpc.ServicerContext
    ) -> host_pb2.SetStatusResponse:
        self._begin(context)
        self.statuses.append(request.text)
        return host_pb2.SetStatusResponse()

    def GetSelf(
        self, request: host_pb2.GetSelfRequest, context: grpc.ServicerContext
    ) -> host_pb2.GetSelfResponse:
        self._begin(context)
        return self.SELF

    def ListPeers(
        self, request: host_pb2.ListPeersRequest, context: grpc.ServicerContext
    ) -> host_pb2.ListPeersResponse:
        self._begin(context)
        return host_pb2.ListPeersResponse(peers=self.PEERS)

    def _begin(self, context: grpc.ServicerContext) -> None:
        self.silent.wait(30)
        if self.code is not grpc.StatusCode.OK:
            context.abort(self.code, "as the test says")

    def close(self) -> None:
        self.silent.set()
        self.server.stop(None).wait()


@contextmanager
def gateway(path: Path, **keys: Any) -> Iterator[Gateway]:
    one = Gateway(path, **keys)
    try:
        yield one
    finally:
        one.close()


def call_peer(
    plugin: DirectPlugin, own: dict[str, str] | None = None, **carried: str
) -> pb.CallPeerResponse:
    """`carried` is the call's metadata, `own` what the plugin's author adds to the peer's."""
    request = pb.CallPeerRequest(name="other", text="hello", metadata=own)
    return plugin.parity.CallPeer(
        request, metadata=tuple(carried.items()), timeout=within(10), wait_for_ready=True
    )


def test_peer(host: DirectHost) -> None:
    path = host.directory() / "host.sock"
    with gateway(path) as one:
        plugin = host.start(env={"PLUGIND_HOST_ADDRESS": one.address})
        answer = call_peer(plugin)
        assert (answer.code, answer.echo.text) == (OK, "hello"), answer
        assert answer.echo.metadata["plugind-plugin"] == "other"
        one.code = grpc.StatusCode.PERMISSION_DENIED
        answer = call_peer(plugin)
        assert (answer.code, answer.message) == (PERMISSION_DENIED, "as the test says")


def test_peer_again(host: DirectHost) -> None:
    path = host.directory() / "host.sock"
    with gateway(path) as one:
        plugin = host.start(env={"PLUGIND_HOST_ADDRESS": one.address})
        assert call_peer(plugin).code == OK
    answer = call_peer(plugin)
    assert answer.code == UNAVAILABLE, answer
    with gateway(path):
        eventually(
            lambda: call_peer(plugin).code == OK,
            within=within(3),
            what="the peer is called again",
        )


TRACE = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "one=1,two=2",
}


def test_trace(host: DirectHost) -> None:
    own = {"traceparent": "00-11111111111111111111111111111111-2222222222222222-00"}

    def seen(answer: pb.CallPeerResponse) -> dict[str, str]:
        assert answer.code == OK, answer
        return {key: value for key, value in answer.echo.metadata.items() if key in TRACE}

    with gateway(host.directory() / "host.sock") as one:
        plugin = host.start(env={"PLUGIND_HOST_ADDRESS": one.address})
        assert seen(call_peer(plugin)) == {}
        assert seen(call_peer(plugin, **TRACE)) == TRACE
        assert seen(call_peer(plugin)) == {}
        assert seen(call_peer(plugin, own, **TRACE)) == own
        # Calls that run at the same time do not mix.
        with futures.ThreadPoolExecutor(8) as callers:
            traces = [{**TRACE, "tracestate": f"call={number}"} for number in range(24)]
            calls = [callers.submit(call_peer, plugin, **trace) for trace in traces]
            assert [seen(call.result()) for call in calls] == traces


def ask_host(plugin: DirectPlugin) -> pb.AskHostResponse:
    return plugin.parity.AskHost(pb.AskHostRequest(), timeout=within(3), wait_for_ready=True)


def test_ask_host(host: DirectHost) -> None:
    with gateway(host.directory() / "host.sock") as one:
        plugin = host.start(env={"PLUGIND_HOST_ADDRESS": one.address})
        answer = ask_host(plugin)
        assert answer.code == OK, answer
        in_json = json_format.MessageToDict
        assert in_json(answer.identity) == in_json(one.SELF)
        assert [in_json(peer) for peer in answer.peers] == [in_json(peer) for peer in one.PEERS]
        one.code = grpc.StatusCode.PERMISSION_DENIED
        answer = ask_host(plugin)
        assert (answer.code, answer.message) == (PERMISSION_DENIED, "as the test says")
        one.silent.clear()
        assert ask_host(plugin).code == DEADLINE_EXCEEDED
        echo(plugin)
    alone = host.start()
    answer = ask_host(alone)
    assert answer.code == UNAVAILABLE and answer.message
    echo(alone)


def test_set_status(host: DirectHost) -> None:
    path = host.directory() / "host.sock"

    def set_status(plugin: DirectPlugin, text: str) -> None:
        request = pb.SetStatusRequest(text=text)
        plugin.parity.SetStatus(request, timeout=within(3), wait_for_ready=True)

    with gateway(path) as one:
        plugin = host.start(env={"PLUGIND_HOST_ADDRESS": one.address})
        set_status(plugin, "replaying, 40 %")
        eventually(lambda: one.statuses == ["replaying, 40 %"], within=within(2), what="the status")
        one.code = grpc.StatusCode.UNIMPLEMENTED
        set_status(plugin, "to an old host")
        one.silent.clear()
        set_status(plugin, "to a host that hangs")
        echo(plugin)


# ---- Under plugind ----


def start(daemon: Daemon, language: str, *peers: str, **keys: Any) -> control_pb2.Plugin:
    """A plugind with the parity plugin in it, and with others of its kind that it may call. Returns it as READY."""
    program = parity_plugin(language)
    for peer in peers:
        daemon.plugin(peer, [program], protocol_versions=[1, 2])
    keys = {"access": {"calls": [f"{peer}/*" for peer in peers]}, **keys}
    daemon.plugin("parity", [program], protocol_versions=[1, 2], **keys)
    daemon.start()
    return daemon.wait_ready("parity", *peers)["parity"]


def stub(daemon: Daemon) -> parity_pb2_grpc.ParityStub:
    """Through the gateway."""
    return parity_pb2_grpc.ParityStub(daemon.channel)


TO_PARITY = (("plugind-plugin", "parity"),)


def test_ready(daemon: Daemon, language: str) -> None:
    plugin = start(daemon, language)
    assert (plugin.protocol_version, plugin.plugin_version) == (2, "1.2.3")
    assert SERVICE in plugin.services
    assert dict(plugin.capabilities) == {name: "1.0" for name in BUILT_IN}
    assert plugin.sdk.split()[0] == sdk_language(language)
    answer = stub(daemon).Echo(pb.EchoRequest(text="hi"), timeout=within(5), metadata=TO_PARITY)
    assert answer.text == "hi"
    assert answer.metadata["plugind-caller"] == f"uid:{os.geteuid()}"


def test_both_lists(daemon: Daemon, language: str) -> None:
    daemon.plugin("parity", [parity_plugin(language)], protocol_versions=[8, 9])
    daemon.start()
    failed = daemon.wait_state("parity", "FAILED")
    assert "speaks protocol version 1; its configuration offers 8, 9" in failed.reason
    assert f"{named(language)} serves protocol versions 1, 2" in failed.reason


def test_hot_reload(daemon: Daemon, language: str) -> None:
    before = start(daemon, language, config={"greeting": "Hello", "max": 10})

    def settings() -> Any:
        answer = stub(daemon).Settings(pb.SettingsRequest(), metadata=TO_PARITY, timeout=within(5))
        return json.loads(answer.json)

    def change(code: int = 0, **config: Any) -> str:
        program = parity_plugin(language)
        daemon.plugin(
            "parity", [program], protocol_versions=[1, 2], access={"calls": []}, config=config
        )
        done = daemon.ctl("reload", code=code)
        return done.stdout + done.stderr

    assert settings() == {"greeting": "Hello", "max": 10}
    change(greeting="Servus", max=20)
    eventually(
        lambda: settings() == {"greeting": "Servus", "max": 20},
        within=within(5),
        what="the new settings",
    )
    change(code=1, greeting="Servus", refuse="not on a Friday")
    eventually(
        lambda: "not on a Friday" in str(daemon.get("parity").settings),
        within=within(5),
        what="the refusal in its status",
    )
    assert settings() == {"greeting": "Servus", "max": 20}
    # Against the schema: it never comes to the plugin.
    assert "max" in change(code=1, max=1000)
    assert settings() == {"greeting": "Servus", "max": 20}
    after = daemon.get("parity")
    assert (after.pid, after.restarts) == (before.pid, 0)


def test_logs(daemon: Daemon, language: str) -> None:
    start(daemon, language)
    parity = stub(daemon)
    for to_stderr in (False, True):
        request = pb.PrintRequest(text=f"printed {to_stderr}", to_stderr=to_stderr)
        parity.Print(request, metadata=TO_PARITY, timeout=within(5))
    request = pb.LogRequest(level="warn", message="disk is full", fields={"disk": "sda1"})
    parity.Log(request, metadata=TO_PARITY, timeout=within(5))
    for to_stderr in (False, True):
        daemon.wait_log("parity", lambda entry: entry.message == f"printed {to_stderr}")
    entry = daemon.wait_log("parity", lambda entry: entry.message == "disk is full")
    assert control_pb2.LogEntry.Level.Name(entry.level).endswith("WARN")
    assert "sda1" in str(entry)


def test_status_text(daemon: Daemon, language: str) -> None:
    start(daemon, language)
    request = pb.SetStatusRequest(text="replaying, 40 %")
    stub(daemon).SetStatus(request, metadata=TO_PARITY, timeout=within(5))
    eventually(
        lambda: daemon.get("parity").status_text == "replaying, 40 %",
        within=within(5),
        what="the status",
    )


def test_host_services(daemon: Daemon, language: str) -> None:
    program = parity_plugin(language)
    daemon.plugin("stranger", [program], protocol_versions=[1, 2])
    keys = {"access": {"calls": ["other/parity.v1.Parity/Echo"]}}
    plugin = start(daemon, language, "other", **keys)
    daemon.wait_ready("stranger")
    answer = stub(daemon).AskHost(pb.AskHostRequest(), metadata=TO_PARITY, timeout=within(5))
    assert answer.code == OK, answer
    identity = answer.identity
    assert (identity.name, identity.protocol_version, identity.host) == ("parity", 2, "plugind")
    assert identity.instance == plugin.instance
    assert dict(identity.capabilities) == dict(plugin.capabilities)
    assert identity.host_version.count(".") == 2
    (peer,) = answer.peers
    assert (peer.name, peer.state, peer.version) == ("other", "READY", "1.2.3")
    assert SERVICE in peer.services
    assert list(peer.methods) == ["parity.v1.Parity/Echo"]


def test_trace_through(daemon: Daemon, language: str) -> None:
    start(daemon, language, "other")
    request = pb.CallPeerRequest(name="other", text="hello")
    metadata = (*TO_PARITY, *TRACE.items())
    answer = stub(daemon).CallPeer(request, metadata=metadata, timeout=within(10))
    assert answer.code == OK, answer
    _, trace, _, _ = TRACE["traceparent"].split("-")
    assert trace in answer.echo.metadata["traceparent"]
    assert answer.echo.metadata["tracestate"] == TRACE["tracestate"]


def test_daemon_killed(daemon: Daemon, language: str) -> None:
    before = start(daemon, language, "other", access={"calls": ["other/*"]})

    def call_other() -> int:
        request = pb.CallPeerRequest(name="other", text="hello")
        return (
            stub(daemon)
            .CallPeer(request, metadata=TO_PARITY, timeout=within(10), wait_for_ready=True)
            .code
        )

    assert call_other() == OK
    daemon.wait_brain_after(daemon.kill_brain())
    after = daemon.wait_ready("parity")["parity"]
    assert after.pid == before.pid
    eventually(lambda: call_other() == OK, within=within(5), what="the peer is called again")
    # What it says is of the plugin itself, not of what plugind remembers.
    request = pb.AgreedRequest(capability="peer.calls")
    answer = stub(daemon).Agreed(request, metadata=TO_PARITY, timeout=within(5))
    assert answer.version == "1.0"


def test_auto_mtls(daemon: Daemon, language: str) -> None:
    keys = {"auto_mtls": True, "access": {"calls": ["other/*"]}}
    plugin = start(daemon, language, "other", config={"greeting": "Hello"}, **keys)
    assert plugin.auto_mtls and plugin.plugin_version == "1.2.3"
    parity = stub(daemon)
    request = pb.CallPeerRequest(name="other", text="hello")
    answer = parity.CallPeer(request, metadata=TO_PARITY, timeout=within(10))
    assert (answer.code, answer.echo.text) == (OK, "hello"), answer

    program, settings = parity_plugin(language), {"greeting": "Servus"}
    daemon.plugin("parity", [program], protocol_versions=[1, 2], config=settings, **keys)
    daemon.ctl("reload")
    got = parity.Settings(pb.SettingsRequest(), metadata=TO_PARITY, timeout=within(5)).json
    assert json.loads(got) == settings

    # Whoever gets at the socket gets no further without the key that plugind made for this process.
    with grpc.insecure_channel(plugin.direct_address, options=CHANNEL_OPTIONS) as stranger:
        echo = parity_pb2_grpc.ParityStub(stranger).Echo
        code, _ = refused(lambda: echo(pb.EchoRequest(text="let me in"), timeout=within(2)))
        assert code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    daemon.ctl("stop", "parity")
    last = daemon.get("parity").last_exit
    assert (last.code, last.signal) == (0, 0)


def test_stopped(daemon: Daemon, language: str) -> None:
    start(daemon, language)
    request = pb.SleepRequest(milliseconds=1000)
    sleeping = stub(daemon).Sleep.future(request, metadata=TO_PARITY, timeout=within(20))
    eventually(
        lambda: any(
            call.in_flight and call.method.endswith("/Sleep")
            for call in daemon.rpc.ListCalls(control_pb2.ListCallsRequest(name="parity")).calls
        ),
        within=within(5),
        what="the call is running",
    )
    daemon.ctl("stop", "parity")
    sleeping.result()
    daemon.wait_state("parity", "STOPPED")
    hooks = [entry.message for entry in daemon.logs("parity") if entry.message.startswith("hook ")]
    assert hooks == ["hook start", "hook configure", "hook drain", "hook shutdown"]
    last = daemon.get("parity").last_exit
    assert (last.code, last.signal) == (0, 0)
