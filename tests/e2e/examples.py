"""The three example plugins: how each is configured, and a call that shows that it works."""

from __future__ import annotations


import greeter_pb2
import greeter_pb2_grpc
import kv_pb2
import kv_pb2_grpc
import wordcount_pb2
import wordcount_pb2_grpc
from daemon import Daemon
from requirements import need_go_plugin
from settings import PLUGINS, SLOWNESS


def add_greeter(daemon: Daemon) -> None:
    daemon.plugin(
        "greeter", [PLUGINS / "greeter"], backoff={"initial": "20ms"}, config={"greeting": "Hello"}
    )


def add_kv(daemon: Daemon) -> None:
    need_go_plugin()
    daemon.plugin(
        "kv",
        [PLUGINS / "kv"],
        backoff={"initial": "20ms"},
        magic_cookie={"key": "BASIC_PLUGIN", "value": "hello"},
    )


def add_wordcount(daemon: Daemon) -> None:
    daemon.plugin(
        "wordcount", [PLUGINS / "wordcount" / "wordcount.py"], backoff={"initial": "20ms"}
    )


def call_greeter(daemon: Daemon) -> None:
    stub = greeter_pb2_grpc.GreeterStub(daemon.plugin_channel("greeter"))
    answer = stub.Greet(
        greeter_pb2.GreetRequest(name="Ada"), timeout=5 * SLOWNESS, wait_for_ready=True
    )
    assert "Ada" in answer.message and answer.pid == daemon.get("greeter").pid
    countdown = stub.Countdown(greeter_pb2.CountdownRequest(**{"from": 3}), timeout=5 * SLOWNESS)
    assert [step.remaining for step in countdown] == [3, 2, 1, 0]


def call_kv(daemon: Daemon) -> None:
    stub = kv_pb2_grpc.KVStub(daemon.plugin_channel("kv"))
    stub.Put(
        kv_pb2.PutRequest(key="color", value=b"green"), timeout=5 * SLOWNESS, wait_for_ready=True
    )
    assert stub.Get(kv_pb2.GetRequest(key="color"), timeout=5 * SLOWNESS).value == b"green"


def call_wordcount(daemon: Daemon) -> None:
    stub = wordcount_pb2_grpc.WordCountStub(daemon.plugin_channel("wordcount"))
    request = wordcount_pb2.CountRequest(text="to be or not to be\n")
    answer = stub.Count(request, timeout=5 * SLOWNESS, wait_for_ready=True)
    assert (answer.words, answer.lines, answer.bytes) == (6, 1, 19)


EXAMPLES = {
    "greeter": (add_greeter, call_greeter),
    "kv": (add_kv, call_kv),
    "wordcount": (add_wordcount, call_wordcount),
}
