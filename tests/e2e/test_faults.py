"""Each way in which a plugin may misbehave, with the states, the reason and the restart decision that it must lead to, and
what must hold afterwards. The numbers are those of the list of faults in tests/faults/README.md."""

from __future__ import annotations

import os
import re
import shutil
import signal
import struct
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import pytest

import processes
from baseline import Baseline
from daemon import Daemon, State, brief, fault
from processes import eventually
from settings import FAULT_PLUGIN, SLOWNESS

# A plugin that is to be started again waits for so long that the test can look at it.
LONG_BACKOFF = {"initial": "60s", "max": "60s"}

REFUSED = ("WAITING", "STARTING", "STOPPING", "FAILED")
FAILED_START = ("WAITING", "STARTING", "STOPPING", "BACKOFF")
SERVES = ("WAITING", "STARTING", "READY")
DIED = ("WAITING", "STARTING", "READY", "STOPPING", "BACKOFF")


@dataclass(frozen=True)
class Case:
    title: str
    command: list[str]
    states: tuple[str, ...]  # from the operator's `enable` on; the last one stays
    reason: str = ""         # a regular expression that the last state's reason must match
    phase: str = ""          # of the start that fails; part of the reason
    config: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.title.replace(" ", "-")


CASES = [
    Case("1 never prints", fault("never-prints"), FAILED_START, r"500 ?ms|0\.5 ?s", "handshake", {"start_timeout": "500ms"}),
    Case("2 prints garbage", fault("garbage"), FAILED_START, r"more than 64 lines", "handshake"),
    Case("2 prints garbage, then nothing", fault("garbage", "count=10"), FAILED_START, r"", "handshake",
         {"start_timeout": "500ms"}),
    Case("3 prints 1 GiB without a newline", fault("no-newline-1gib"), FAILED_START, r"overlong line|64 KiB", "handshake"),
    Case("4 closes stdout before the handshake", fault("closes-stdout"), FAILED_START, r"closed its stdout", "handshake"),
    Case("4 closes stdout after the handshake", fault("closes-stdout", "when=after"), SERVES),
    Case("5 wrong core version", fault("wrong-core"), REFUSED, r"core protocol version 2", "handshake"),
    Case("6 unoffered app version", fault("wrong-app-version"), REFUSED, r"version 99; .*offers 1", "handshake"),
    Case("7 netrpc", fault("netrpc"), REFUSED, r"netrpc", "handshake"),
    Case("7 netrpc by an absent field", fault("netrpc", "field=absent"), REFUSED, r"netrpc", "handshake"),
    Case("8 bad certificate field", fault("bad-certificate"), REFUSED, r"certificate", "handshake"),
    Case("9 address outside its directory", fault("address-outside"), REFUSED, r"outside the directory", "handshake"),
    Case("10 address is a symlink", fault("address-symlink"), REFUSED, r"symbolic link|symlink", "connect"),
    Case("10 address is a FIFO", fault("address-fifo"), REFUSED, r"FIFO|not a socket", "connect"),
    Case("10 address is a plain file", fault("address-file"), REFUSED, r"file|not a socket", "connect"),
    Case("11 TCP to another host", fault("tcp-other-host"), REFUSED, r"192\.0\.2\.1.*loopback", "handshake",
         {"network": ["unix", "tcp"]}),
    Case("11 TCP where it is not allowed", fault("tcp-loopback"), REFUSED, r"TCP.*not allow", "handshake"),
    Case("11 TCP on loopback where it is allowed", fault("tcp-loopback"), SERVES, config={"network": ["unix", "tcp"]}),
    Case("12 two handshake lines", fault("two-handshakes"), SERVES),
    Case("13 one byte a second", fault("slow-handshake"), FAILED_START, r"", "handshake", {"start_timeout": "1500ms"}),
    Case("13 one byte at a time, quickly enough", fault("slow-handshake", "byte_ms=2"), SERVES),
    Case("14 listens, then dies", fault("listens-then-dies", "exit=3"), FAILED_START, r"exit code 3"),
    Case("14 listens, then ends as if done", fault("listens-then-dies", "exit=0"), FAILED_START, r"exit(ed with)? code 0"),
    Case("14 dies before the handshake", fault("exits", "exit=4"), FAILED_START, r"exit code 4", "handshake"),
    Case("14 is killed before the handshake", fault("exits", "signal=11"), FAILED_START, r"signal 11", "handshake"),
    Case("15 prints before it listens", fault("prints-before-listening"), SERVES),
    Case("15 prints and never listens", fault("never-listens"), FAILED_START, r"", "connect", {"start_timeout": "700ms"}),
    Case("16 health hangs", fault("health-hangs"), FAILED_START, r"", "warm-up|connect", {"start_timeout": "1s"}),
    Case("17 health never says SERVING", fault("health-flaps", "at_start=not"), FAILED_START, r"NOT_SERVING|SERVING",
         "warm-up", {"start_timeout": "700ms"}),
    Case("18 stops itself before the handshake", fault("stops-itself"), FAILED_START, r"", "handshake",
         {"start_timeout": "500ms"}),
    Case("19 ignores SIGTERM", fault("ignores-sigterm"), SERVES, config={"stop": {"grace": "300ms"}}),
    Case("20 double-forks", fault("double-forks"), SERVES),
    Case("20 double-forks and dies", fault("double-forks", "crash_after_ms=200"), DIED, r"exit code 1"),
    Case("21 a grandchild keeps its pipes open", fault("grandchild-keeps-pipes"), SERVES),
    Case("21 a grandchild keeps the pipes of a dead plugin", fault("grandchild-keeps-pipes", "crash_after_ms=200"), DIED,
         r"exit code 1"),
    Case("22 leaks fds before it serves", fault("leaks-fds"), FAILED_START, r"", "connect|warm-up",
         {"start_timeout": "700ms", "limits": {"nofile": 64}}),
    Case("22 leaks fds while it serves", fault("leaks-fds", "when=after"), SERVES, config={"limits": {"nofile": 64}}),
    Case("25 floods stderr", fault("floods-stderr", "mib=64"), SERVES, config={"start_timeout": "60s"}),
    Case("a crash while serving", fault("good", "crash_after_ms=200", "signal=11"), DIED, r"signal 11"),
    Case("its own exit code while serving", fault("good", "crash_after_ms=200", "exit=9"), DIED, r"exit code 9"),
]


class Stage:
    """A daemon with a witness, and a plugin under test that is not yet enabled."""

    def __init__(self, daemon: Daemon, command: list[str], **config: Any) -> None:
        self.daemon = daemon
        daemon.plugin("witness", fault("good"))
        daemon.plugin("warm", fault("good"), enabled=False)
        daemon.plugin("subject", command, enabled=False, **{"backoff": LONG_BACKOFF, **config})
        daemon.start().wait_ready("witness")
        # What is made on first use – gRPC's threads and fds, say – is made before anything is counted.
        daemon.change("Enable", "warm")
        daemon.wait_ready("warm")
        daemon.change("Disable", "warm")
        daemon.wait_state("warm", "STOPPED")
        self.baseline = Baseline(daemon, "witness")
        self.since = 0

    def enable(self) -> None:
        self.since = self.daemon.change("Enable", "subject")

    def states(self, last: str, within: float = 20.0) -> list[str]:
        """The states that the subject goes through until it is in `last`, from its enabling on."""
        seen: list[str] = []
        for event in self.daemon.follow_events(self.since, "subject", within * SLOWNESS):
            state = State.Name(event.to)
            if not seen or seen[-1] != state:
                seen.append(state)
            if state == last:
                return seen
        raise AssertionError(f"no {last} in time; {[brief(e) for e in self.daemon.events(self.since, 'subject')]}")

    def end(self) -> None:
        """Stops the subject, and compares with how it was before it was ever started."""
        self.daemon.change("Disable", "subject")
        self.daemon.wait_state("subject", "STOPPED", within=30)
        self.baseline.check(gone="subject")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_fault(case: Case, daemon: Daemon) -> None:
    stage = Stage(daemon, case.command, **case.config)
    memory = processes.private_kib(daemon.brain_pid)
    stage.enable()
    assert tuple(stage.states(case.states[-1])) == case.states, [brief(e) for e in daemon.events(stage.since, "subject")]

    plugin = daemon.get("subject")
    assert re.search(case.reason, plugin.reason), plugin.reason
    phases = {event.phase for event in daemon.events(stage.since, "subject") if event.phase}
    assert re.search(case.phase, " ".join(phases) + plugin.reason), f"{phases} has no {case.phase}: {plugin.reason!r}"
    last = [event for event in daemon.events(stage.since, "subject") if State.Name(event.to) == case.states[-1]][-1]
    assert re.search(case.reason, last.reason), f"the event's reason is {last.reason!r}"

    # The decision: started again after the delay, never, or nothing to decide.
    assert plugin.HasField("next_start_at") == (case.states[-1] == "BACKOFF")
    assert (plugin.pid != 0) == (case.states[-1] == "READY")
    if case.states[-1] in ("BACKOFF", "FAILED"):
        assert plugin.wanted and plugin.last_exit.pid, plugin
        assert plugin.recent_failures == (1 if case.states[-1] == "BACKOFF" else plugin.recent_failures)
        eventually(lambda: not daemon.processes_of("subject"), within=2, what="no process of the subject is left")
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
    daemon.wait_log("subject", lambda entry: entry.message.endswith("other.sock|grpc"), what="second line as a log line")
    stage.end()


@pytest.mark.parametrize("watch", ["yes", "no"])
def test_17_flapping_health_makes_it_unready_and_ready_without_a_restart(watch: str, daemon: Daemon) -> None:
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
    states = [State.Name(event.to) for event in daemon.events(stage.since, "subject")]
    assert states == ["WAITING", "STARTING", "READY"] + ["UNREADY", "READY"] * 5
    stage.end()


@pytest.mark.parametrize("watch", ["yes", "no"])
def test_18_a_plugin_that_is_stopped_while_ready_is_found_out_and_replaced(watch: str, daemon: Daemon) -> None:
    stage = Stage(daemon, fault("stops-itself", "when=after", f"watch={watch}"),
                  health={"interval": "100ms", "timeout": "200ms", "failures": 2},
                  backoff={"initial": "10ms"}, stop={"grace": "300ms", "drain": "0s"})
    stage.enable()
    pid = daemon.wait_state("subject", "READY").pid
    os.kill(pid, signal.SIGSTOP)
    event = daemon.wait_event("subject", lambda e: State.Name(e.to) == "STOPPING", since=stage.since, what="STOPPING")
    assert "health" in event.reason, event.reason
    daemon.wait_event("subject", lambda e: State.Name(e.to) == "READY", since=event.sequence, what="READY again")
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


@pytest.mark.campaign
def test_25_every_byte_of_a_flood_is_kept_or_counted_as_dropped(daemon: Daemon) -> None:
    mib = 32
    stage = Stage(daemon, fault("floods-stderr", f"mib={mib}", "width=100"), start_timeout="60s")
    stage.enable()
    slowest = 0.0
    while daemon.get("subject").state != State.Value("READY"):
        began = time.monotonic()
        daemon.call("witness", "/fault.v1.Fault/Echo", b"quick?")
        slowest = max(slowest, time.monotonic() - began)
    last = daemon.wait_log("subject", lambda entry: entry.message.startswith("flooded with"), within=60)
    flooded = int(last.message.split()[2])
    print(f"slowest call of the witness during the flood: {slowest * 1000:.1f} ms")
    assert slowest < 1.0 * SLOWNESS
    entries = daemon.logs("subject")
    assert [entry.sequence for entry in entries] == list(range(entries[0].sequence, entries[-1].sequence + 1))
    # Lines that were numbered were delivered, whether or not the ring still has them.
    notices = sum(1 for entry in entries if entry.source == entry.PLUGIND)
    dropped = daemon.get("subject").log_bytes_dropped
    delivered = (last.sequence - 1 - notices) * 100
    assert abs(delivered + dropped - flooded) <= 100 * 10, (delivered, dropped, flooded)
    stage.end()


@pytest.mark.parametrize("content, state, reason", [
    ("\x7fELF, or so it says\n", "FAILED", "exec format error"),
    ("#!/bin/sh\necho changed >&2; exit 5\n", "BACKOFF", "exit code 5"),
    ("#!/no/such/interpreter\n", "FAILED", "/no/such/interpreter"),
], ids=["nonsense", "another-program", "no-interpreter"])
def test_26_a_rewritten_binary_is_what_is_started_next(content: str, state: str, reason: str, daemon: Daemon) -> None:
    copy = daemon.root / "copy"
    shutil.copy(FAULT_PLUGIN, copy)
    stage = Stage(daemon, [str(copy), "rewrites-binary", f"with={content}", "crash_after_ms=200"],
                  backoff={"initial": "1ms", "max": "60s"}, quarantine={"failures": 2})
    stage.enable()
    daemon.wait_state("subject", "READY")
    stage.states("QUARANTINED" if state == "BACKOFF" else state)
    assert reason in daemon.get("subject").reason
    stage.end()


# ---- Fault 32: what cannot be killed ----

class Freezer:
    """A frozen process of cgroup v1 takes no signal, SIGKILL included, until it is thawed."""

    MOUNT = Path("/sys/fs/cgroup/freezer")

    @classmethod
    def available(cls) -> bool:
        return os.geteuid() == 0 and os.access(cls.MOUNT / "cgroup.procs", os.W_OK)

    def __init__(self, pid: int) -> None:
        self.directory = self.MOUNT / f"plugind-test-{pid}"
        self.directory.mkdir()
        (self.directory / "cgroup.procs").write_text(str(pid))
        (self.directory / "freezer.state").write_text("FROZEN")

    def release(self) -> None:
        (self.directory / "freezer.state").write_text("THAWED")
        eventually(lambda: not (self.directory / "cgroup.procs").read_text(), within=10, what="the cgroup is empty")
        self.directory.rmdir()


class Tracer:
    """A traced process cannot be reaped before its tracer has taken note of its death: here, a debugger that is asleep."""

    PROGRAM = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE = 0x4206
if libc.ptrace(PTRACE_SEIZE, int(sys.argv[1]), None, None) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print("seized", flush=True)
signal.pause()
"""

    def __init__(self, pid: int) -> None:
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", self.PROGRAM, str(pid)], stdout=subprocess.PIPE)
        assert self.process.stdout and self.process.stdout.readline() == b"seized\n"

    def release(self) -> None:
        self.process.kill()
        self.process.communicate()


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.parametrize("hold", [Freezer, Tracer] if Freezer.available() else [Tracer])
def test_32_what_cannot_be_killed_is_reported_stuck_and_gets_no_second_copy(hold: Callable[[int], Any],
                                                                            daemon: Daemon) -> None:
    stage = Stage(daemon, fault("good"), stop={"grace": "100ms"}, backoff={"initial": "1ms"})
    stage.enable()
    pid = daemon.wait_state("subject", "READY").pid
    holder = hold(pid)
    try:
        spent = cpu_ticks(daemon.keeper_pid)
        os.kill(pid, signal.SIGKILL)
        event = daemon.change("Restart", "subject")
        eventually(lambda: daemon.get("subject").stuck, within=20 * SLOWNESS, what="stuck is reported")
        plugin = daemon.get("subject")
        assert State.Name(plugin.state) == "STOPPING" and plugin.reason, plugin
        assert any(e.type == "stuck" for e in daemon.events(event, "subject"))
        daemon.change("Start", "subject")
        assert [p.pid for p in processes.marked("PLUGIND_NAME=subject") if p in daemon.processes() and p.pid != pid] == []
        assert cpu_ticks(daemon.keeper_pid) - spent < 100 * SLOWNESS, "the keeper spins while it waits"
        stage.baseline.check_witness()
    finally:
        holder.release()
    again = daemon.wait_state("subject", "READY")
    assert again.pid != pid and not again.stuck
    stage.end()


# ---- What the kernel refuses to start ----

def foreign(path: Path) -> None:
    """A copy of a binary that claims to be for another machine."""
    content = bytearray(FAULT_PLUGIN.read_bytes())
    content[18:20] = struct.pack("<H", 183 if os.uname().machine != "aarch64" else 62)
    path.write_bytes(content)
    path.chmod(0o755)


def script(first_line: str, mode: int = 0o755) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_text(first_line + "\n")
        path.chmod(mode)
    return make


@pytest.mark.parametrize("make, reason", [
    (lambda path: None, r"no such file"),
    (lambda path: path.mkdir(), r"is a directory"),
    (script("#!/bin/sh", 0o644), r"not executable"),
    (script("#!/no/such/shell"), r"no such interpreter: /no/such/shell"),
    (script("hello"), r"exec format error"),
    (script(""), r"exec format error"),
    (foreign, r"exec format error.*(aarch64|x86-64) binary"),
], ids=["missing", "directory", "not-executable", "no-interpreter", "no-format", "empty", "another-machine"])
def test_what_cannot_be_executed_is_named(make: Callable[[Path], None], reason: str, daemon: Daemon) -> None:
    program = daemon.root / "program"
    stage = Stage(daemon, [str(program)])
    make(program)
    stage.enable()
    stage.states("FAILED")
    plugin = daemon.get("subject")
    assert re.search(reason, plugin.reason) and str(program) in plugin.reason, plugin.reason
    stage.end()
    # An operator who has repaired it starts it.
    shutil.rmtree(program) if program.is_dir() else program.unlink(missing_ok=True)
    shutil.copy(FAULT_PLUGIN, program)
    daemon.plugin("subject", [program, "good"])
    daemon.reload()
    daemon.change("Enable", "subject")
    daemon.wait_ready("subject")


def test_a_script_is_a_plugin_too(daemon: Daemon) -> None:
    program = daemon.root / "program"
    program.write_text(f"#!/bin/sh\nexec {FAULT_PLUGIN} good\n")
    program.chmod(0o755)
    stage = Stage(daemon, [str(program)])
    stage.enable()
    daemon.wait_ready("subject")
    stage.end()


# ---- The restart decision ----

def test_five_failures_in_a_minute_end_in_quarantine_and_an_operator_ends_that(daemon: Daemon) -> None:
    stage = Stage(daemon, fault("exits", "exit=1"), backoff={"initial": "10ms"})
    stage.enable()
    assert stage.states("QUARANTINED") == ["WAITING", "STARTING", "STOPPING", "BACKOFF"] * 4 + \
        ["WAITING", "STARTING", "STOPPING", "QUARANTINED"]
    plugin = daemon.get("subject")
    assert plugin.restarts == 4 and plugin.recent_failures == 5 and plugin.HasField("next_start_at")
    assert "cannot go on" in plugin.last_exit.stderr_tail
    daemon.plugin("subject", fault("good"))
    daemon.reload()
    daemon.change("Start", "subject")
    daemon.wait_ready("subject")
    stage.end()


@pytest.mark.parametrize("restart, code, state", [
    ("never", 3, "FAILED|STOPPED"), ("never", 0, "STOPPED"),
    ("on-failure", 3, "BACKOFF"), ("on-failure", 0, "STOPPED"),
    ("always", 3, "BACKOFF"), ("always", 0, "BACKOFF"),
])
def test_whether_it_is_started_again_is_what_its_file_says(restart: str, code: int, state: str, daemon: Daemon) -> None:
    stage = Stage(daemon, fault("good", "crash_after_ms=100", f"exit={code}"), restart=restart)
    stage.enable()
    end = daemon.wait_event("subject", lambda e: State.Name(e.to) in ("STOPPED", "BACKOFF", "FAILED"), since=stage.since)
    assert re.fullmatch(state, State.Name(end.to)), brief(end)
    assert daemon.get("subject").last_exit.code == code
    stage.end()


# ---- What a plugin finds around it ----

def test_a_plugin_gets_its_environment_and_nothing_else(daemon: Daemon) -> None:
    daemon.plugin("subject", fault("reports"), env={"LANG": "C.UTF-8", "OWN": "yes"}, protocol_versions=[1, 4],
                  magic_cookie={"key": "BASIC_PLUGIN", "value": "hello"}, limits={"nofile": 123})
    os.environ["PLUGIND_TEST_LEAK"] = "leaked"
    try:
        daemon.start().wait_ready("subject")
    finally:
        del os.environ["PLUGIND_TEST_LEAK"]
    daemon.wait_log("subject", lambda entry: entry.message == "end of report")
    report = [entry.message for entry in daemon.logs("subject") if entry.source == entry.STDERR]
    environment = dict(line.removeprefix("env ").split("=", 1) for line in report if line.startswith("env "))
    plugin = daemon.get("subject")

    marker, _, _ = daemon.marker.partition("=")
    expected = {marker, "LANG", "OWN", "BASIC_PLUGIN", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT",
                "PLUGIN_UNIX_SOCKET_DIR", "TMPDIR", "PLUGIND_HOST_ADDRESS", "PLUGIND_NAME", "PLUGIND_INSTANCE",
                "PLUGIND_STATE_DIR"}
    # The host's address is the gateway's to set.
    assert expected - {"PLUGIND_HOST_ADDRESS"} <= set(environment) <= expected | {"PATH", "HOME", "TZ"}
    assert environment["BASIC_PLUGIN"] == "hello" and environment["OWN"] == "yes" and environment["LANG"] == "C.UTF-8"
    assert sorted(environment["PLUGIN_PROTOCOL_VERSIONS"].split(",")) == ["1", "4"]
    assert environment["PLUGIND_NAME"] == "subject" and environment["PLUGIND_INSTANCE"] == plugin.instance
    assert environment["TMPDIR"] == environment["PLUGIN_UNIX_SOCKET_DIR"] == str(daemon.runtime / "i" / plugin.instance)
    assert Path(environment["PLUGIND_STATE_DIR"]).is_dir()

    fds = [line.split()[1:] for line in report if line.startswith("fd ")]
    # Any other fd is the one with which the fixture reads its own /proc.
    assert [fd for fd, _ in fds] == ["0", "1", "2"] and fds[0][1] == "/dev/null"
    assert all(target.startswith("pipe:") for _, target in fds[1:])
    status = dict(line.removeprefix("status ").split(":", 1) for line in report if line.startswith("status "))
    assert int(status["SigBlk"], 16) == 0 and int(status["SigIgn"], 16) == 0 and status["NoNewPrivs"].strip() == "1"
    assert "session own" in report and "directory-mode 700" in report and "nofile 123" in report
