"""Callers and plugins that mean harm, through the gateway, while somebody else calls another plugin: who calls notices
nothing, plugind's memory stays where it was, and every call has one end. The numbers are those of faults/README.md."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator

import grpc
import pytest
from plugind.control.v1 import control_pb2

import hostile
import processes
from daemon import CHANNEL_OPTIONS, NOBODY, Daemon, fault, raw_call
from processes import eventually
from settings import SANITIZED, SLOWNESS

pytestmark = pytest.mark.campaign  # it measures how long calls take

ECHO = "/fault.v1.Fault/Echo"
HOSTILE = Path(hostile.__file__)
SECONDS = 1.5
# What plugind may have grown by when it is all over, in KiB: less than one of the bodies that it was sent.
# A sanitizer holds freed memory back, so it only has to be bounded there.
GROWTH_KIB = (256 if SANITIZED else 64) * 1024
# How much longer than ten times as long as usual a call beside an attack may take, in seconds. What a sanitizer's frames
# cost is not what plugind's do: there the calls have to come through, and the stage release measures.
PATIENCE = 1.0 if SANITIZED else 0.02

# What a caller is told of each way in which a plugin breaks off; several, where it depends on what comes first.
UNAVAILABLE, INTERNAL = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL
EXHAUSTED, DEADLINE = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED
UNKNOWN = grpc.StatusCode.UNKNOWN
BREACHES = {
    "Goaway": {UNAVAILABLE, DEADLINE},
    "ResetFlood": {INTERNAL, UNAVAILABLE},
    "PingFlood": {UNAVAILABLE},
    "SettingsFlood": {UNAVAILABLE},
    "PaddedHeaders": {UNAVAILABLE, INTERNAL, DEADLINE},
    "EndlessContinuation": {UNAVAILABLE},
    "HeaderBomb": {UNAVAILABLE, EXHAUSTED},
    "Garbage": {UNAVAILABLE},
    "GiantMessage": {EXHAUSTED, DEADLINE},
    "HalfClose": {UNKNOWN, INTERNAL},
    "LongMetadata": {EXHAUSTED},
    "IllegalMetadata": {INTERNAL},
}


class Site:
    """A plugin that everybody may call and that can be made to misbehave, and another that somebody calls meanwhile."""

    def __init__(self) -> None:
        self.daemon = Daemon()
        everybody = {"access": {"callers": ["*"]}}
        self.daemon.plugin("witness", fault("good"), **everybody)
        self.daemon.plugin("subject", fault("good"), call={"timeout": "5s"}, **everybody)
        self.daemon.root.chmod(0o755)
        self.daemon.start().wait_ready("witness", "subject")
        self.quiet = self._p99(self.measure(SECONDS))
        self.memory = self.rss_kib()

    def rss_kib(self) -> int:
        status = Path(f"/proc/{self.daemon.brain_pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def socket(self, plugin: str) -> str:
        return str(self.daemon.runtime / "plugins" / f"{plugin}.sock")

    def run(self, what: str, plugin: str, seconds: float, uid: int | None = None) -> subprocess.Popen[str]:
        # As source: the user who runs it may have no way to the clone.
        command = [sys.executable, "-c", HOSTILE.read_text(), what, self.socket(plugin), ECHO, str(seconds)]
        credentials = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **credentials)

    def measure(self, seconds: float) -> subprocess.Popen[str]:
        return self.run("measure", "witness", seconds)

    @staticmethod
    def _p99(measuring: subprocess.Popen[str]) -> float:
        output, _ = measuring.communicate(timeout=60 * SLOWNESS)
        assert measuring.returncode == 0, "a call of the witness failed"
        return statistics.quantiles(json.loads(output), n=100)[98]

    def check_calls(self) -> None:
        """Every call that was admitted has ended, and in exactly one way."""

        def balanced() -> bool:
            calls = self.daemon.rpc.ListCalls(control_pb2.ListCallsRequest(), timeout=10 * SLOWNESS).calls
            for one in calls:
                if one.plugin == "plugind":
                    continue  # this very call is one of them
                ended = (
                    one.ok + one.error + one.rejected + one.cancelled + one.deadline_exceeded
                    + one.unavailable_not_executed + one.unavailable_maybe_executed
                )  # fmt: skip
                if one.in_flight != 0 or ended != one.started:
                    return False
            return True

        eventually(balanced, within=10, what="each call has one end")

    def check(self, measuring: subprocess.Popen[str]) -> None:
        p99 = self._p99(measuring)
        self.check_calls()
        bound = 10 * self.quiet + PATIENCE
        assert p99 < bound, f"p99 was {p99 * 1e3:.1f} ms; quiet it is {self.quiet * 1e3:.1f} ms"
        grown = self.rss_kib() - self.memory
        assert grown < GROWTH_KIB, f"plugind has grown by {grown} KiB"
        assert self.daemon.get("witness").restarts == 0


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.daemon.close()


@pytest.mark.parametrize("attack", hostile.ATTACKS)
def test_a_caller_harms_only_itself(attack: str, site: Site) -> None:
    measuring = site.measure(SECONDS)
    harm = site.run(attack, "subject", SECONDS, uid=NOBODY if os.geteuid() == 0 else None)
    output, _ = harm.communicate(timeout=60 * SLOWNESS)
    assert harm.returncode == 0, f"{attack} did not get through its time"
    seen = json.loads(output)
    if attack == "idle":
        assert seen["kept"] <= 64, seen
    if attack in ("resets", "made_resets", "pings", "settings", "continuations", "huge_windows", "header_bombs"):
        assert seen["lost"] > 0, f"nobody hung up on it: {seen}"
    site.check(measuring)


@pytest.mark.parametrize("breach", BREACHES)
def test_a_plugin_that_breaks_off_harms_only_its_calls(breach: str, site: Site) -> None:
    """27–30"""
    measuring = site.measure(SECONDS)
    end = time.monotonic() + SECONDS
    with grpc.insecure_channel(f"unix:{site.socket('subject')}", options=CHANNEL_OPTIONS) as channel:
        while time.monotonic() < end:
            with pytest.raises(grpc.RpcError) as caught:
                raw_call(channel, f"/fault.v1.Fault/BreakBy{breach}", b"", timeout=0.5)
            assert caught.value.code() in BREACHES[breach], caught.value
    site.check(measuring)
    site.daemon.wait_ready("subject")
    with grpc.insecure_channel(f"unix:{site.socket('subject')}", options=CHANNEL_OPTIONS) as channel:
        assert raw_call(channel, ECHO, b"well again", timeout=10 * SLOWNESS) == b"well again"


def test_a_plugin_that_stops_itself_holds_only_its_calls(site: Site) -> None:
    """18"""
    pid = site.daemon.get("subject").pid
    os.kill(pid, signal.SIGSTOP)
    try:
        measuring = site.measure(SECONDS)
        end = time.monotonic() + SECONDS
        with grpc.insecure_channel(f"unix:{site.socket('subject')}", options=CHANNEL_OPTIONS) as channel:
            while time.monotonic() < end:
                with pytest.raises(grpc.RpcError) as caught:
                    raw_call(channel, ECHO, b"x" * 100_000, timeout=0.05)
                assert caught.value.code() == DEADLINE
        site.check(measuring)
    finally:
        os.kill(pid, signal.SIGCONT)
    site.daemon.wait_ready("subject")


@pytest.mark.parametrize("command", [fault("health-hangs"), fault("floods-host")], ids=lambda command: command[1])
def test_a_plugin_that_hangs_or_floods_harms_only_itself(command: list[str], site: Site) -> None:
    """16, 31"""
    site.daemon.plugin("other", command, health={"interval": "200ms", "timeout": "200ms"})
    site.daemon.reload()
    try:
        eventually(lambda: site.daemon.get("other").pid > 0, within=10, what="it has a process")
        site.check(site.measure(SECONDS))
    finally:
        site.daemon.remove_plugin("other")
        site.daemon.reload()
    eventually(lambda: not site.daemon.processes_of("other"), within=20, what="it is gone")


def test_nothing_is_left_open_afterwards(site: Site) -> None:
    eventually(
        lambda: len(processes.open_fds(site.daemon.brain_pid)) < 80,
        within=10,
        what="plugind has closed what its callers have",
    )
