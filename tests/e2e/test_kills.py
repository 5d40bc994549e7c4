"""SIGKILL of plugins by the thousand while they are being called."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter

import grpc
import pytest

from baseline import Baseline
from daemon import CHANNEL_OPTIONS, Daemon, State, fault
from settings import PLUGIN_KILLS, SLOWNESS

VICTIMS = 8
# How a call of a plugin that is killed may end, when nothing stands between it and its caller.
ENDS = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
}


class Caller(threading.Thread):
    """Calls one plugin without pause, wherever it listens at the moment."""

    def __init__(self, daemon: Daemon, name: str) -> None:
        super().__init__(daemon=True)
        self._daemon = daemon
        self._name = name
        self._ended = threading.Event()
        self.ends: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        address, channel = "", None
        while not self._ended.is_set():
            current = self._daemon.get(self._name).direct_address
            if current != address:
                if channel:
                    channel.close()
                address, channel = current, (
                    grpc.insecure_channel(current, options=CHANNEL_OPTIONS) if current else None
                )
            while channel and not self._ended.is_set():
                payload = os.urandom(32)
                try:
                    answer = channel.unary_unary("/fault.v1.Fault/Echo", None, None)(
                        payload, timeout=5 * SLOWNESS
                    )
                    self.ends["OK"] += 1
                    if answer != payload:
                        self.wrong.append(f"{payload!r} was answered {answer!r}")
                except grpc.RpcError as error:
                    self.ends[error.code().name] += 1
                    if error.code() not in ENDS:
                        self.wrong.append(str(error))
                    break
        if channel:
            channel.close()

    def finish(self) -> None:
        self._ended.set()
        self.join()


@pytest.mark.campaign
def test_sigkill_of_plugins_under_calls(daemon: Daemon) -> None:
    daemon.configure(daemon={"restarts_per_second": 0})
    names = [f"victim{i}" for i in range(VICTIMS)]
    for name in names:
        daemon.plugin(name, fault("good"), backoff={"initial": "0ms"}, quarantine={"failures": 0})
    daemon.plugin("witness", fault("good"))
    daemon.start().wait_ready(*names, "witness")
    # Everything once, so that what is made on first use is there.
    for name in names:
        os.kill(daemon.get(name).pid, signal.SIGKILL)
    for name in names:
        daemon.wait_event(name, lambda e: e.restarts == 1 and State.Name(e.to) == "READY")
    baseline = Baseline(daemon, "witness")
    # Killed from here on: each as soon as it is READY again, after a pause in which it is called.
    since = daemon.info().event_sequence + 1
    callers = [Caller(daemon, name) for name in names]
    for caller in callers:
        caller.start()
    randomness = random.Random()
    began = time.monotonic()
    kills = 0

    def kill_soon(pid: int) -> None:
        timer = threading.Timer(randomness.uniform(0, 0.03), os.kill, (pid, signal.SIGKILL))
        timer.start()

    for name in names:
        kill_soon(daemon.get(name).pid)
        kills += 1
    ready = 0
    for event in daemon.follow_events(since, within=(30 + PLUGIN_KILLS / 10) * SLOWNESS):
        if event.plugin == "witness" or State.Name(event.to) != "READY":
            continue
        ready += 1
        if kills < PLUGIN_KILLS:
            kill_soon(event.pid)
            kills += 1
        elif ready == kills:
            break
    took = time.monotonic() - began
    for caller in callers:
        caller.finish()

    plugins = daemon.list()
    assert (
        sum(plugins[name].restarts for name in names) == kills + VICTIMS
    ), "each kill is one restart"
    assert all(State.Name(plugins[name].state) == "READY" for name in names)
    ends = sum((caller.ends for caller in callers), Counter())
    wrong = [what for caller in callers for what in caller.wrong]
    print(
        f"{kills} kills in {took:.1f} s ({kills / took:.0f}/s) under {ends.total()} calls: {dict(ends)}"
    )
    assert not wrong, wrong[:10]
    assert ends["OK"] > kills
    for name in names:
        assert len(daemon.processes_of(name)) == 1
    baseline.check()
