"""The floor of the contract, with no SDK: a plugin in Rust and one in Java, under plugind."""

from __future__ import annotations

import hashlib
import os
import queue
import signal
import subprocess
from pathlib import Path
from typing import Callable, NamedTuple

import clock_pb2
import clock_pb2_grpc
import grpc
import hash_pb2
import hash_pb2_grpc
import pytest
from health.v1 import health_pb2, health_pb2_grpc

from daemon import CHANNEL_OPTIONS, Daemon, State
from requirements import skip
from settings import PLUGINS, SANITIZED, SLOWNESS

MISSING = {
    "hash": "the Rust example was not built: no Rust 1.88 or later is on the PATH",
    "clock": "the Java example was not built: no Maven and JDK 17 or later are on the PATH",
}


def call_hash(channel: grpc.Channel) -> None:
    stub = hash_pb2_grpc.HashStub(channel)
    data = b"to be or not to be"
    answer = stub.Digest(hash_pb2.DigestRequest(data=data), timeout=within(10))
    assert (answer.sha256, answer.size) == (hashlib.sha256(data).hexdigest(), len(data))
    pieces = [bytes([i]) * 50_000 for i in range(40)]
    requests = (hash_pb2.DigestRequest(data=piece) for piece in pieces)
    answer = stub.DigestStream(requests, timeout=within(20))
    whole = b"".join(pieces)
    assert (answer.sha256, answer.size) == (hashlib.sha256(whole).hexdigest(), len(whole))


def call_clock(channel: grpc.Channel) -> None:
    stub = clock_pb2_grpc.ClockStub(channel)
    answer = stub.Now(clock_pb2.NowRequest(zone="Asia/Kolkata"), timeout=within(10))
    assert answer.unix_ms > 1_700_000_000_000 and answer.text.endswith("+05:30")
    with pytest.raises(grpc.RpcError) as refused:
        stub.Now(clock_pb2.NowRequest(zone="Mars/Olympus"), timeout=within(10))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    ticks = list(stub.Tick(clock_pb2.TickRequest(count=50), timeout=within(20)))
    times = [tick.unix_ms for tick in ticks]
    assert len(times) == 50 and times == sorted(times)


def keep_hash_busy(channel: grpc.Channel) -> Callable[[], None]:
    """Begins a call; what it returns waits for its end, which must be a good one."""
    more: queue.Queue[hash_pb2.DigestRequest | None] = queue.Queue()
    requests = iter(more.get, None)
    answer = hash_pb2_grpc.HashStub(channel).DigestStream.future(requests, timeout=within(20))
    more.put(hash_pb2.DigestRequest(data=b"a"))

    def finish() -> None:
        more.put(None)
        assert answer.result().size == 1

    return finish


def keep_clock_busy(channel: grpc.Channel) -> Callable[[], None]:
    request = clock_pb2.TickRequest(count=10, interval_ms=150)
    ticks = clock_pb2_grpc.ClockStub(channel).Tick(request, timeout=within(20))
    next(ticks)

    def finish() -> None:
        assert len(list(ticks)) == 9

    return finish


class Floor(NamedTuple):
    command: Path
    call: Callable[[grpc.Channel], None]
    keep_busy: Callable[[grpc.Channel], Callable[[], None]]


FLOORS = {
    "hash": Floor(PLUGINS / "floor-rust", call_hash, keep_hash_busy),
    "clock": Floor(PLUGINS / "floor-java" / "floor-java", call_clock, keep_clock_busy),
}


def within(seconds: float) -> float:
    return seconds * SLOWNESS


def add(daemon: Daemon, name: str) -> Floor:
    floor = FLOORS[name]
    if not floor.command.exists():
        skip(MISSING[name])
    daemon.plugin(name, [floor.command], backoff={"initial": "20ms"}, start_timeout="60s")
    return floor


# The examples are the same programs in every build; those with sanitizers have none.
if not SANITIZED:

    @pytest.mark.parametrize("name", FLOORS)
    def test_a_plugin_of_the_floor_is_called_killed_and_called_again(
        name: str, daemon: Daemon
    ) -> None:
        floor = add(daemon, name)
        daemon.start()
        plugin = daemon.wait_state(name, "READY", within=60)
        # Without reflection they are called by name: at their own address, or with plugind-plugin.
        channel = grpc.insecure_channel(plugin.address, options=CHANNEL_OPTIONS)
        floor.call(channel)
        since = daemon.info().event_sequence + 1
        os.kill(plugin.pid, signal.SIGKILL)
        daemon.wait_event(
            name, lambda e: State.Name(e.to) == "READY", since=since, within=60, what="READY again"
        )
        again = daemon.get(name)
        assert again.pid != plugin.pid and again.last_exit.signal == signal.SIGKILL
        floor.call(channel)
        channel.close()

    @pytest.mark.parametrize("name", FLOORS)
    def test_a_plugin_of_the_floor_finishes_its_calls_and_ends_with_0(
        name: str, daemon: Daemon
    ) -> None:
        floor = add(daemon, name)
        daemon.start()
        plugin = daemon.wait_state(name, "READY", within=60)
        with grpc.insecure_channel(plugin.direct_address) as direct:
            health = health_pb2_grpc.HealthStub(direct)
            for service in ("", "plugin"):
                request = health_pb2.HealthCheckRequest(service=service)
                answer = health.Check(request, timeout=within(10))
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
            watch = health.Watch(health_pb2.HealthCheckRequest(service="plugin"))
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
            finish = floor.keep_busy(direct)
            os.kill(plugin.pid, signal.SIGTERM)
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
            finish()
        daemon.wait_state(name, "STOPPED")
        last = daemon.get(name).last_exit
        assert (last.pid, last.code, last.signal) == (plugin.pid, 0, 0)

    @pytest.mark.parametrize("name", FLOORS)
    def test_a_plugin_of_the_floor_explains_itself_to_a_person(name: str) -> None:
        command = FLOORS[name].command
        if not command.exists():
            skip(MISSING[name])
        done = subprocess.run(
            [command], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert "is a plugin: plugind starts it" in done.stderr
