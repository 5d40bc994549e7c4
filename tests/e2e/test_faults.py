"""Each way in which a plugin may misbehave, with the states, the reason and the restart decision
that it must lead to, and what must hold afterwards. The numbers are those of faults/README.md."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any, Callable

import grpc
import pytest

import processes
from daemon import CHANNEL_OPTIONS, Daemon, State, brief, fault, raw_call, states
from fault_cases import CASES, LONG_BACKOFF, REFUSED, Case
from processes import eventually
from settings import FAULT_PLUGIN, SANITIZED, SLOWNESS
from stage import Stage
from unkillable import HOLDS


@pytest.mark.parametrize("case", CASES, ids=str)
def test_fault(case: Case, daemon: Daemon) -> None:
    stage = Stage(daemon, case.command, **case.config)
    memory = processes.private_kib(daemon.brain_pid)
    stage.enable()
    assert tuple(stage.states(case.states[-1])) == case.states, [
        brief(e) for e in daemon.events(stage.since, "subject")
    ]

    plugin = daemon.get("subject")
    assert re.search(case.reason, plugin.reason), plugin.reason
    events = daemon.events(stage.since, "subject")
    last = [event for event in events if State.Name(event.to) == case.states[-1]][-1]
    assert re.search(case.reason, last.reason), f"the event's reason is {last.reason!r}"
    if case.states[-1] in ("BACKOFF", "FAILED"):
        # The first that is heard of its end says what happened, why, and how far its start had come.
        end = next(event for event in events if State.Name(event.to) == "STOPPING")
        assert end.type in ("start-failed", "exited"), brief(end)
        assert re.search(case.reason, end.reason), brief(end)
        assert re.fullmatch(case.phase, end.phase), brief(end)

    # The decision: started again after the delay, never, or nothing to decide.
    assert plugin.HasField("next_start_at") == (case.states[-1] == "BACKOFF")
    assert (plugin.pid != 0) == (case.states[-1] == "READY")
    if case.states[-1] in ("BACKOFF", "FAILED"):
        assert plugin.wanted and plugin.last_exit.pid, plugin
        assert plugin.recent_failures == (
            1 if case.states[-1] == "BACKOFF" else plugin.recent_failures
        )
        eventually(
            lambda: not daemon.processes_of("subject"),
            within=2,
            what="no process of the subject is left",
        )
    if case.states[-1] == "READY":
        assert daemon.call("subject", "/fault.v1.Fault/Echo", b"hello") == b"hello"
    stage.baseline.check_witness()
    # The rings of the logs are of bounded size, and so is everything that is read ahead of them.
    assert processes.private_kib(daemon.brain_pid) < memory + 16 * 1024 * SLOWNESS
    stage.end()


def test_9_an_address_outside_that_another_process_serves(daemon: Daemon, tmp_path: Path) -> None:
    stage = Stage(daemon, fault("address-outside", f"path={daemon.root}/elsewhere.sock"))
    stage.enable()
    assert tuple(stage.states("FAILED")) == REFUSED
    assert "elsewhere.sock" in daemon.get("subject").reason
    stage.end()


def test_9_an_address_beside_its_directory(daemon: Daemon) -> None:
    # RUNTIME/i/INSTANCE.sock: its directory's name and more is still not inside.
    stage = Stage(daemon, fault("address-outside", "beside=.sock"))
    stage.enable()
    assert tuple(stage.states("FAILED")) == REFUSED
    (left,) = (daemon.runtime / "i").glob("*.sock")
    left.unlink()  # what a plugin leaves outside its directory is for its owner to remove
    reason = daemon.get("subject").reason
    assert str(left) in reason and "lies outside" in reason, reason
    stage.end()


def test_9_an_address_in_the_directory_of_another_plugin(daemon: Daemon) -> None:
    daemon.plugin("sibling", fault("good"))
    stage = Stage(daemon, fault("never-prints"))
    sibling = daemon.wait_state("sibling", "READY")
    path = f"{daemon.runtime}/i/{sibling.instance}/q.sock"
    daemon.plugin(
        "subject", fault("address-outside", f"path={path}"), enabled=False, backoff=LONG_BACKOFF
    )
    daemon.reload()
    stage.enable()
    assert tuple(stage.states("FAILED")) == REFUSED
    reason = daemon.get("subject").reason
    assert path in reason and "lies outside" in reason, reason
    after = daemon.get("sibling")
    assert after.pid == sibling.pid and State.Name(after.state) == "READY"
    assert daemon.call("sibling", "/fault.v1.Fault/Echo", b"hello") == b"hello"
    stage.end()


@pytest.mark.parametrize("mode", ["address-sibling", "address-symlink"])
def test_10_the_socket_of_a_sibling_is_refused(mode: str, daemon: Daemon) -> None:
    daemon.plugin("sibling", fault("good"))
    stage = Stage(daemon, fault("never-prints"))
    sibling = daemon.wait_state("sibling", "READY").direct_address.removeprefix("unix:")
    daemon.plugin("subject", fault(mode, f"path={sibling}"), enabled=False, backoff=LONG_BACKOFF)
    daemon.reload()
    stage.enable()
    assert tuple(stage.states("FAILED")) == REFUSED, daemon.get("subject").reason
    assert daemon.get("sibling").restarts == 0
    stage.end()


def test_12_only_the_first_handshake_counts(daemon: Daemon) -> None:
    stage = Stage(daemon, fault("two-handshakes"))
    stage.enable()
    daemon.wait_ready("subject")
    assert daemon.get("subject").direct_address.endswith("/p.sock")
    daemon.wait_log(
        "subject",
        lambda entry: entry.message.endswith("other.sock|grpc"),
        what="second line as a log line",
    )
    stage.end()


@pytest.mark.parametrize("watch", ["yes", "no"])
def test_17_flapping_health_makes_it_unready_and_ready_without_a_restart(
    watch: str, daemon: Daemon
) -> None:
    stage = Stage(daemon, fault("health-flaps", f"watch={watch}"), health={"interval": "50ms"})
    stage.enable()
    pid = daemon.wait_state("subject", "READY").pid
    for _ in range(5):
        os.kill(pid, signal.SIGUSR1)
        unready = daemon.wait_state("subject", "UNREADY")
        assert unready.reason and unready.pid == pid
        os.kill(pid, signal.SIGUSR2)
        assert daemon.wait_state("subject", "READY").pid == pid
    assert daemon.get("subject").restarts == 0
    seen = states(daemon.events(stage.since, "subject"))
    assert seen == ["WAITING", "STARTING", "READY"] + ["UNREADY", "READY"] * 5
    stage.end()


@pytest.mark.parametrize("watch", ["yes", "no"])
def test_18_a_plugin_that_is_stopped_while_ready_is_found_out_and_replaced(
    watch: str, daemon: Daemon
) -> None:
    stage = Stage(
        daemon,
        fault("stops-itself", "when=after", f"watch={watch}"),
        health={"interval": "100ms", "timeout": "200ms", "failures": 2},
        backoff={"initial": "10ms"},
        stop={"grace": "300ms", "drain": "0s"},
    )
    stage.enable()
    pid = daemon.wait_state("subject", "READY").pid
    os.kill(pid, signal.SIGSTOP)
    event = daemon.wait_event(
        "subject", lambda e: State.Name(e.to) == "STOPPING", since=stage.since, what="STOPPING"
    )
    assert "health" in event.reason, event.reason
    daemon.wait_event(
        "subject", lambda e: State.Name(e.to) == "READY", since=event.sequence, what="READY again"
    )
    plugin = daemon.get("subject")
    assert plugin.pid != pid and plugin.restarts == 1 and plugin.last_exit.pid == pid
    assert not Path(f"/proc/{pid}").exists()
    stage.end()


def test_19_sigterm_ignored_ends_in_sigkill_after_the_grace(daemon: Daemon) -> None:
    stage = Stage(daemon, fault("ignores-sigterm"), stop={"grace": "400ms"})
    stage.enable()
    pid = daemon.wait_state("subject", "READY").pid
    began = time.monotonic()
    daemon.change("Stop", "subject")
    plugin = daemon.wait_state("subject", "STOPPED")
    assert 0.35 < time.monotonic() - began < 5 * SLOWNESS
    assert plugin.last_exit.signal == signal.SIGKILL and plugin.last_exit.pid == pid
    assert not plugin.wanted and plugin.restarts == 0
    stage.end()


@pytest.mark.parametrize("mode", ["double-forks", "grandchild-keeps-pipes"])
def test_20_21_nothing_that_has_fled_survives_a_stop(mode: str, daemon: Daemon) -> None:
    stage = Stage(daemon, fault(mode))
    stage.enable()
    main = daemon.wait_state("subject", "READY").pid
    fled = [process for process in daemon.processes_of("subject") if process.pid != main]
    assert fled and all(os.getsid(process.pid) != os.getsid(main) for process in fled)
    daemon.change("Stop", "subject")
    daemon.wait_state("subject", "STOPPED")
    # STOPPED is said only when the whole tree is gone.
    assert not daemon.processes_of("subject")
    stage.end()


def test_22_a_plugin_that_leaks_from_its_start_hurts_only_itself(daemon: Daemon) -> None:
    limit = 64
    stage = Stage(daemon, fault("leaks-fds", "when=serving"), limits={"nofile": limit})
    stage.enable()
    pid = daemon.wait_state("subject", "READY").pid
    # One fd a call, its health checks among them.
    for i in range(limit):
        payload = str(i).encode()
        assert daemon.call("subject", "/fault.v1.Fault/Echo", payload) == payload
    assert len(processes.open_fds(pid)) == limit
    # Those whom it let in earlier are served, plugind among them; nobody else is.
    assert daemon.call("subject", "/fault.v1.Fault/Echo", b"after") == b"after"
    newcomer = grpc.insecure_channel(daemon.get("subject").direct_address, options=CHANNEL_OPTIONS)
    with newcomer, pytest.raises(grpc.RpcError) as shut_out:
        raw_call(newcomer, "/fault.v1.Fault/Echo", b"let me in", timeout=0.3)
    assert shut_out.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    plugin = daemon.get("subject")
    assert State.Name(plugin.state) == "READY" and plugin.pid == pid and plugin.restarts == 0
    stage.end()


@pytest.mark.campaign
def test_25_every_byte_of_a_flood_is_kept_or_counted_as_dropped(daemon: Daemon) -> None:
    mib = 64 if SANITIZED else 256
    stage = Stage(daemon, fault("floods-stderr", f"mib={mib}", "width=100"), start_timeout="60s")
    stage.enable()
    slowest = 0.0
    while daemon.get("subject").state != State.Value("READY"):
        began = time.monotonic()
        daemon.call("witness", "/fault.v1.Fault/Echo", b"quick?")
        slowest = max(slowest, time.monotonic() - began)
    last = daemon.wait_log(
        "subject", lambda entry: entry.message.startswith("flooded with"), within=60
    )
    flooded = int(last.message.split()[2])
    assert daemon.get("subject").restarts == 0
    print(f"slowest call of the witness during the flood: {slowest * 1000:.1f} ms")
    assert slowest < 1.0 * SLOWNESS
    entries = daemon.logs("subject")
    assert [entry.sequence for entry in entries] == list(
        range(entries[0].sequence, entries[-1].sequence + 1)
    )
    # Lines that were numbered were delivered, whether or not the ring still has them.
    notices = sum(1 for entry in entries if entry.source == entry.PLUGIND)
    dropped = daemon.get("subject").log_bytes_dropped
    delivered = (last.sequence - 1 - notices) * 100
    assert abs(delivered + dropped - flooded) <= 100 * 10, (delivered, dropped, flooded)
    stage.end()


@pytest.mark.parametrize(
    "content, state, reason",
    [
        ("\x7fELF, or so it says\n", "FAILED", "exec format error"),
        ("#!/bin/sh\necho changed >&2; exit 5\n", "BACKOFF", "exit code 5"),
        ("#!/no/such/interpreter\n", "FAILED", "/no/such/interpreter"),
    ],
    ids=["nonsense", "another-program", "no-interpreter"],
)
def test_26_a_rewritten_binary_is_what_is_started_next(
    content: str, state: str, reason: str, daemon: Daemon
) -> None:
    copy = daemon.root / "copy"
    shutil.copy(FAULT_PLUGIN, copy)
    stage = Stage(
        daemon,
        [str(copy), "rewrites-binary", f"with={content}", "crash_after_ms=200"],
        backoff={"initial": "1ms", "max": "60s"},
        quarantine={"failures": 2},
    )
    stage.enable()
    daemon.wait_state("subject", "READY")
    stage.states("QUARANTINED" if state == "BACKOFF" else state)
    assert reason in daemon.get("subject").reason
    stage.end()


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.parametrize("hold", HOLDS)
def test_32_what_cannot_be_killed_is_reported_stuck_and_gets_no_second_copy(
    hold: Callable[[Daemon, int], Any], daemon: Daemon
) -> None:
    stage = Stage(
        daemon, fault("ignores-sigterm"), stop={"grace": "100ms"}, backoff={"initial": "1ms"}
    )
    stage.enable()
    pid = daemon.wait_state("subject", "READY").pid
    holder = hold(daemon, pid)
    try:
        spent = cpu_ticks(daemon.keeper_pid)
        event = daemon.change("Restart", "subject")
        eventually(
            lambda: daemon.get("subject").stuck, within=20 * SLOWNESS, what="stuck is reported"
        )
        plugin = daemon.get("subject")
        assert State.Name(plugin.state) == "STOPPING" and plugin.reason, plugin
        assert any(e.type == "stuck" for e in daemon.events(event, "subject"))
        daemon.change("Start", "subject")
        assert not [process for process in daemon.processes_of("subject") if process.pid != pid]
        assert (
            cpu_ticks(daemon.keeper_pid) - spent < 100 * SLOWNESS
        ), "the keeper spins while it waits"
        stage.baseline.check_witness()
    finally:
        holder.release()
    again = daemon.wait_state("subject", "READY")
    assert again.pid != pid and not again.stuck
    stage.end()
