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

import pytest

import processes
from daemon import Daemon, State, brief, fault, states
from fault_cases import CASES, LONG_BACKOFF, REFUSED, Case
from processes import eventually
from settings import FAULT_PLUGIN, SLOWNESS
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
    phases = {event.phase for event in daemon.events(stage.since, "subject") if event.phase}
    assert re.search(
        case.phase, " ".join(phases) + plugin.reason
    ), f"{phases} has no {case.phase}: {plugin.reason!r}"
    last = [
        event
        for event in daemon.events(stage.since, "subject")
        if State.Name(event.to) == case.states[-1]
    ][-1]
    assert re.search(case.reason, last.reason), f"the event's reason is {last.reason!r}"

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
    if case.states[-1] == "READY" and not case.title.startswith("22"):
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


def test_22_a_plugin_that_has_used_up_its_fds_hurts_only_itself(daemon: Daemon) -> None:
    limit = 64
    stage = Stage(
        daemon,
        fault("leaks-fds", "when=after"),
        limits={"nofile": limit},
        health={"interval": "20ms"},
    )
    stage.enable()
    pid = daemon.wait_state("subject", "READY").pid
    assert daemon.call("subject", "/fault.v1.Fault/Echo", b"before") == b"before"
    os.kill(pid, signal.SIGUSR1)
    eventually(
        lambda: len(processes.open_fds(pid)) == limit,
        within=10 * SLOWNESS,
        what="every fd that it may have is open",
    )
    # Those whom it let in earlier are served, plugind among them.
    assert daemon.call("subject", "/fault.v1.Fault/Echo", b"after") == b"after"
    plugin = daemon.get("subject")
    assert State.Name(plugin.state) == "READY" and plugin.restarts == 0
    stage.end()


@pytest.mark.campaign
def test_25_every_byte_of_a_flood_is_kept_or_counted_as_dropped(daemon: Daemon) -> None:
    mib = 16
    stage = Stage(
        daemon,
        fault("floods-stderr", f"mib={mib}", "width=100"),
        start_timeout="60s",
        health={"timeout": "60s"},
    )
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
