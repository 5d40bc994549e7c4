"""A plugin in the hands of plugind.testing.FakeHost, which is what authors have for their own tests."""

from __future__ import annotations

import contextvars
import functools
import threading
from typing import Any, Dict, Iterator, List

import grpc
import plugind
import pytest
from plugind.testing import FakeHost, StartRefused, agree

from conftest import SERVICE, Sample, add_sample, call


def test_a_plugin_serves_its_service(plugin: plugind.Plugin) -> None:
    with FakeHost(plugin) as host:
        assert call(host.channel, b"hello") == b"hello"
        count = host.channel.unary_stream(f"/{SERVICE}/Count")
        assert list(count(b"3")) == [b"0", b"1", b"2"]


def test_it_says_what_it_is(plugin: plugind.Plugin) -> None:
    plugin.provides("sample.echo", "1.4").provides("sample.echo", "2.1").config_schema({"a": {}})
    plugin.on_configure(lambda settings: None)
    with FakeHost(plugin) as host:
        said = host.negotiated
        assert said is not None
        assert (said.name, said.version, said.services) == ("sample", "1.2.3", [SERVICE])
        assert said.config_schema == '{"a": {}}'
        names = [one.name for one in said.capabilities]
        assert names == ["config.reload", "log.structured", "peer.calls", "sample.echo", "trace"]


def test_what_both_sides_have_is_agreed(plugin: plugind.Plugin) -> None:
    plugin.provides("sample.echo", "1.4").provides("sample.echo", "2.1").provides("mine.alone")
    with FakeHost(plugin, capabilities={"sample.echo": "2.0", "theirs.alone": "1.0"}):
        assert plugin.agreed("sample.echo") == "2.0"
        assert plugin.agreed("peer.calls") == "1.0"
        assert plugin.agreed("mine.alone") is plugin.agreed("theirs.alone") is None


def test_a_required_capability_that_the_host_lacks_refuses_the_start(
    plugin: plugind.Plugin,
) -> None:
    plugin.requires("host.clock", "2.0")
    with pytest.raises(StartRefused, match="host.clock"):
        FakeHost(plugin, capabilities={"host.clock": "1.0"}).__enter__()


@pytest.mark.parametrize(
    "ours, theirs, version",
    [
        (["1.0"], ["1.0"], "1.0"),
        (["1.4", "2.1"], ["1.9", "2.0"], "2.0"),
        (["1.4"], ["2.0"], None),
        ([], ["1.4", "2.1"], "2.1"),
        (["1.10"], ["1.9"], "1.9"),
        (["x", "1"], ["1.0"], None),
    ],
)
def test_versions_agree(ours: List[str], theirs: List[str], version: Any) -> None:
    assert agree(ours, theirs) == version


def test_settings_come_whole_and_are_replaced_whole(plugin: plugind.Plugin) -> None:
    seen: List[Dict[str, Any]] = []
    plugin.on_configure(lambda settings: seen.append(settings))
    with FakeHost(plugin, settings={"a": 1, "b": {"c": [True, None, "x", 0.5]}}) as host:
        assert plugin.settings() == {"a": 1, "b": {"c": [True, None, "x", 0.5]}}
        assert host.configure({"b": 2}) == []
        assert plugin.settings() == {"b": 2}
    assert seen == [{"a": 1, "b": {"c": [True, None, "x", 0.5]}}, {"b": 2}]


def test_refused_settings_leave_the_ones_before(plugin: plugind.Plugin) -> None:
    def check(settings: plugind.Settings) -> Any:
        what = settings.get("do")
        if what == "refuse":
            raise plugind.Refused("must be positive", field="limits.max")
        if what == "value":
            raise ValueError("min is above max")
        if what == "bug":
            raise KeyError("oops")
        return [("a", "wrong"), ("b", "also")] if what == "list" else None

    plugin.on_configure(check)
    with FakeHost(plugin, settings={"good": True}) as host:
        assert host.configure({"do": "refuse"}) == [("limits.max", "must be positive")]
        assert host.configure({"do": "value"}) == [("", "min is above max")]
        assert host.configure({"do": "bug"}) == [("", "KeyError: 'oops'")]
        assert host.configure({"do": "list"}) == [("a", "wrong"), ("b", "also")]
        assert plugin.settings() == {"good": True}


def test_settings_that_are_refused_at_once_refuse_the_start(plugin: plugind.Plugin) -> None:
    plugin.on_configure(lambda settings: [("", "never")])
    with pytest.raises(StartRefused, match="never"):
        FakeHost(plugin).__enter__()


def test_peers_are_called_by_name_and_others_are_denied(plugin: plugind.Plugin) -> None:
    host = FakeHost(plugin)
    host.add_peer("kv", add_sample, Sample(b"from kv")).add_peer(
        "db", add_sample, Sample(b"from db")
    )
    with host:
        assert call(host.channel, b"peer:kv") == b"from kv"
        assert call(host.channel, b"peer:db") == b"from db"
        count = plugin.peer("kv").unary_stream(f"/{SERVICE}/Count")
        assert list(count(b"2", metadata=[("my", "own")])) == [b"0", b"1"]
        with pytest.raises(grpc.RpcError) as denied:
            call(plugin.peer("other"), b"hello")
        assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_without_a_host_there_are_no_peers_and_nobody_to_ask(plugin: plugind.Plugin) -> None:
    plugin.set_status("nobody sees it")
    for ask in (lambda: plugin.peer("kv"), plugin.peers, plugin.identity):
        with pytest.raises(plugind.NoHost):
            ask()


def test_the_host_says_who_the_plugin_is_and_whom_it_may_call(plugin: plugind.Plugin) -> None:
    plugin.protocol_version(2).requires("host.clock", "1.2")
    host = FakeHost(plugin, capabilities={"host.clock": "1.7"})
    host.add_peer("kv", add_sample, Sample()).add_peer("db", add_sample, Sample())
    with host:
        identity = plugin.identity()
        assert isinstance(identity, plugind.Identity)
        assert identity == ("sample", "fake", 2, host.agreed, "plugind", plugind.__version__)
        assert identity.capabilities["host.clock"] == "1.2"
        assert plugin.peers() == [
            plugind.Peer(name, "READY", "", [SERVICE], ["*"]) for name in ("db", "kv")
        ]


class Relay:
    """Calls a peer while it serves a call, and on other threads."""

    def __init__(self) -> None:
        self.plugin: Any = None

    def peer(self, metadata: Any = None) -> None:
        echo = self.plugin.peer("kv").unary_unary(f"/{SERVICE}/Echo")
        echo(b"", timeout=10, metadata=metadata)

    def unary(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.peer()
        self.peer([("my", "own")])
        self.peer([("traceparent", "my own")])
        with_context = functools.partial(contextvars.copy_context().run, self.peer)
        for run in (self.peer, with_context):
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
        return b""

    def stream(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        for _ in range(2):
            self.peer()
            yield b""

    def add(self, server: grpc.Server) -> None:
        handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Stream": grpc.unary_stream_rpc_method_handler(self.stream),
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("a.Relay", handlers),)
        )


def test_a_call_that_is_made_while_one_is_served_belongs_to_its_trace() -> None:
    relay, kv = Relay(), Sample()
    seen: List[Any] = []

    def echo(request: bytes, context: grpc.ServicerContext) -> bytes:
        came = dict(context.invocation_metadata())
        seen.append((came.get("traceparent"), came.get("tracestate")))
        return b""

    kv.echo = echo  # type: ignore
    plugin = plugind.Plugin("relay", "1").service(lambda relay, server: relay.add(server), relay)
    relay.plugin = plugin.workers(1)
    with FakeHost(plugin).add_peer("kv", add_sample, kv) as host:
        unary = host.channel.unary_unary("/a.Relay/Unary")
        stream = host.channel.unary_stream("/a.Relay/Stream")
        trace = ("00-1-2-01", "a=b")
        metadata = list(zip(("traceparent", "tracestate"), trace))
        unary(b"", timeout=10, metadata=metadata)
        none = (None, None)
        # By itself; with metadata of its own; with a trace of its own; on another thread; there, with the context.
        assert seen == [trace, trace, ("my own", None), none, trace]
        seen.clear()
        list(stream(b"", timeout=10, metadata=metadata))
        # The same worker, for a call without a trace.
        list(stream(b"", timeout=10))
        assert seen == [trace, trace, none, none]


def test_the_status_that_stays_is_the_last(plugin: plugind.Plugin) -> None:
    with FakeHost(plugin) as host:
        for number in range(100):
            plugin.set_status(f"{number} %")
        host.wait_status("99 %")
        assert host.statuses[-1] == "99 %"


def test_health_follows_set_serving(plugin: plugind.Plugin) -> None:
    with FakeHost(plugin) as host:
        for serving in (True, False, True):
            plugin.set_serving(serving)
            assert host.serving() == host.serving("") == host.serving(SERVICE) == serving


def test_a_watch_ends_up_with_the_truth_however_often_it_changes(plugin: plugind.Plugin) -> None:
    with FakeHost(plugin) as host:
        watch = host.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=10)
        assert next(watch) == b"\x08\x01"

        def flip(last: bool) -> None:
            for _ in range(50):
                plugin.set_serving(True)
                plugin.set_serving(False)

        flipping = [threading.Thread(target=flip, args=(False,)) for _ in range(4)]
        for thread in flipping:
            thread.start()
        for thread in flipping:
            thread.join()
        plugin.set_serving(True)
        host.shutdown()
        said = list(watch)
        assert said[-1] == b"\x08\x02"


def test_drain_and_shutdown_run_their_hooks_in_order(plugin: plugind.Plugin) -> None:
    ran: List[str] = []
    plugin.on_start(lambda: ran.append("start")).on_drain(lambda: ran.append("drain"))
    plugin.on_shutdown(lambda: ran.append("shutdown"))
    with FakeHost(plugin) as host:
        host.drain()
        assert not host.stopped
        host.shutdown()
        assert host.stopped
    assert ran == ["start", "drain", "shutdown"]


def test_stop_asks_for_the_end(plugin: plugind.Plugin) -> None:
    with FakeHost(plugin) as host:
        plugin.stop()
        assert host.stopped


def test_a_call_that_takes_every_worker_leaves_health_answered(plugin: plugind.Plugin) -> None:
    release = threading.Event()
    sample = Sample()
    sample.echo = lambda request, context: release.wait(10) and request  # type: ignore
    blocked = plugind.Plugin("busy", "1").service(add_sample, sample).workers(1)
    with FakeHost(blocked) as host:
        calls = [host.channel.unary_unary(f"/{SERVICE}/Echo").future(b"x") for _ in range(3)]
        assert host.serving()
        assert host.configure({"still": "listening"}) == []
        release.set()
        assert [one.result() for one in calls] == [b"x"] * 3


def test_reflection_knows_our_services_and_says_what_it_does_not_know(
    plugin: plugind.Plugin,
) -> None:
    from plugind import _wire

    with FakeHost(plugin) as host:
        for version in ("v1", "v1alpha"):
            reflect = host.channel.stream_stream(
                f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
            )
            asked = [
                _wire.put_bytes(7, b""),
                _wire.put_text(4, "plugind.plugin.v1.Plugin.Negotiate"),
                _wire.put_text(3, "grpc/health/v1/health.proto"),
                _wire.put_text(4, "nobody.v1.Nobody"),
                _wire.put_text(6, "google.protobuf.Struct"),
            ]
            services, symbol, file, unknown, other = reflect(iter(asked), timeout=10)
            names = [
                _wire.text(one, 1) for one in _wire.all_bytes(_wire.all_bytes(services, 6)[0], 1)
            ]
            assert {SERVICE, "grpc.health.v1.Health", "plugind.plugin.v1.Plugin"} <= set(names)
            files = _wire.all_bytes(_wire.all_bytes(symbol, 4)[0], 1)
            assert {_wire.text(one, 1) for one in files} == {
                "plugind/plugin/v1/plugin.proto",
                "google/protobuf/struct.proto",
                "google/protobuf/duration.proto",
            }
            assert len(_wire.all_bytes(_wire.all_bytes(file, 4)[0], 1)) == 1
            assert _wire.number(_wire.all_bytes(unknown, 7)[0], 1) == 5
            assert _wire.number(_wire.all_bytes(other, 7)[0], 1) == 12
