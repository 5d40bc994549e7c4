"""`kill -9` of plugind and of its keeper, at random instants and at every failpoint: nothing is lost, nothing is doubled."""

from __future__ import annotations

import ctypes
import os
import random
import re
import signal
import statistics
import threading
import time
from pathlib import Path
from typing import Callable

import grpc
import pytest

import processes
from daemon import Daemon, State, fault
from processes import eventually
from settings import BRAIN_KILLS, FAILPOINTS, SLOWNESS, SOURCE

STEADY = 20
LINE = re.compile(r"line (\d+)")


class SecondInstances(threading.Thread):
    """Looks at the keeper's children without pause: no plugin may ever have two processes."""

    def __init__(self, keeper: int) -> None:
        super().__init__(daemon=True)
        self._keeper = keeper
        self._strangers: set[int] = set()
        self._names: dict[int, str] = {}
        self._ended = threading.Event()
        self.looks = 0
        self.found: list[str] = []

    def run(self) -> None:
        while not self._ended.wait(0.005):
            self._look()
            self.looks += 1

    def _look(self) -> None:
        present = set(processes.pids())
        self._strangers &= present
        alive: dict[str, int] = {}
        for pid in present - self._strangers:
            process = processes.inspect(pid)
            if process is None or process.ppid != self._keeper:
                self._strangers.add(pid)
                continue
            if process.state in "ZX" or not (name := self._plugin_of(pid)):
                continue  # dead, or plugind itself, or a plugin that is not yet exec'd
            if name in alive:
                self.found.append(f"{name}: {alive[name]} and {pid}")
            alive[name] = pid

    def _plugin_of(self, pid: int) -> str:
        if pid not in self._names:
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                return ""
            names = [entry[13:] for entry in environment if entry.startswith(b"PLUGIND_NAME=")]
            if not names:
                return ""
            self._names[pid] = names[0].decode()
        return self._names[pid]

    def finish(self) -> None:
        self._ended.set()
        self.join()
        assert self.looks > 0 and not self.found, self.found


class LogReader:
    """Reads on where it stopped, and insists that entry follows entry and line follows line."""

    def __init__(self, daemon: Daemon, name: str) -> None:
        self.daemon = daemon
        self.name = name
        self.sequence = 0
        self.lines: dict[str, int] = {}

    def read(self) -> None:
        for entry in self.daemon.logs(self.name, from_sequence=self.sequence + 1):
            assert (
                entry.sequence == self.sequence + 1
            ), f"{self.name}: entry {entry.sequence} after {self.sequence}"
            assert entry.dropped_bytes == 0, f"{self.name}: {entry.dropped_bytes} bytes dropped"
            self.sequence = entry.sequence
            if match := LINE.fullmatch(entry.message):
                before = self.lines.get(entry.instance, 0)
                assert int(match[1]) == before + 1, f"{self.name}: line {match[1]} after {before}"
                self.lines[entry.instance] = int(match[1])


def brain_of(keeper: int) -> int | None:
    """Found without asking it, so that one that is just starting can be killed too."""
    for pid in processes.pids():
        process = processes.inspect(pid)
        if not process or process.ppid != keeper or process.state in "ZX" or not process.arguments:
            continue
        if Path(process.arguments[0]).name == "plugind":
            return pid
    return None


@pytest.mark.campaign
def test_kill_9_of_plugind_at_random_instants(daemon: Daemon) -> None:
    randomness = random.Random(
        seed := int(os.environ.get("PLUGIND_SEED", str(time.time_ns() % 1_000_000)))
    )
    print(f"PLUGIND_SEED={seed}")
    daemon.configure(daemon={"restarts_per_second": 0})
    steady = [f"steady{i:02}" for i in range(STEADY)]
    for name in steady:
        daemon.plugin(name, fault("good", "lines=25"))
    daemon.plugin(
        "looper",
        fault("good", "lines=10", "crash_after_ms=80"),
        backoff={"initial": "50ms", "max": "50ms"},
        quarantine={"failures": 0},
    )
    daemon.plugin("held", fault("good"))
    daemon.start()
    before = daemon.wait_ready(*steady, "held", within=60)
    daemon.change("Stop", "held")
    daemon.wait_state("held", "STOPPED")

    keeper = daemon.keeper_pid
    readers = [LogReader(daemon, name) for name in [*steady, "looper"]]
    watch = SecondInstances(keeper)
    watch.start()
    events: dict[int, str] = {}
    restarts = daemon.get("looper").restarts
    times: list[float] = []
    for kill in range(BRAIN_KILLS):
        # A random instant, in the life of the plugins and in the start of plugind.
        time.sleep(randomness.uniform(0, 0.25))
        pid = eventually(lambda: brain_of(keeper), within=10 * SLOWNESS, what="a plugind to kill")
        os.kill(pid, signal.SIGKILL)
        daemon.brain_kills += 1
        times.append(daemon.wait_brain_after(pid))
        looper = daemon.get("looper")
        assert looper.restarts >= restarts, "a restart was forgotten"
        restarts = looper.restarts
        if kill % 10 == 0 or kill == BRAIN_KILLS - 1:
            for reader in readers:
                reader.read()
            newest = max(events, default=0)
            for event in daemon.events(newest + 1):
                assert event.sequence == newest + 1, f"event {event.sequence} after {newest}"
                newest = event.sequence
                events[newest] = event.plugin
    watch.finish()

    for name in steady:
        plugin = daemon.get(name)
        assert (plugin.pid, plugin.restarts, State.Name(plugin.state)) == (
            before[name].pid,
            0,
            "READY",
        ), plugin
    held = daemon.get("held")
    assert State.Name(held.state) == "STOPPED" and not held.wanted
    instances = {reader.name: len(reader.lines) for reader in readers}
    assert all(instances[name] == 1 for name in steady)
    # The crash loop went on throughout, and every start of it was counted. (Asked after its log was read.)
    restarts = daemon.get("looper").restarts
    assert restarts > 0 and instances["looper"] <= restarts + 1
    ordered = sorted(times)
    print(
        f"control RPC after kill -9, {len(times)} times: p50 {statistics.median(times) * 1000:.0f} ms, "
        f"p99 {ordered[int(len(ordered) * 0.99)] * 1000:.0f} ms, max {ordered[-1] * 1000:.0f} ms; "
        f"{watch.looks} looks for second instances; "
        f"{sum(sum(reader.lines.values()) for reader in readers)} numbered lines"
    )
    # The very last one is the machine's: it has other things to do than to run one test.
    limit = 0.5 * SLOWNESS
    assert ordered[int(len(ordered) * 0.99) - 1] < limit and ordered[-1] < 4 * limit


def test_kill_9_of_a_plugind_that_is_just_starting(daemon: Daemon) -> None:
    """One that has just been killed is killed again before it serves, at every age."""
    daemon.plugin("steady", fault("good", "lines=10"))
    before = daemon.start().wait_ready("steady")["steady"]
    keeper = daemon.keeper_pid
    watch = SecondInstances(keeper)
    watch.start()
    for age_ms in (0, 2, 5, 10, 20, 40, 80):
        old = daemon.kill_brain()
        second = eventually(
            lambda: (pid := brain_of(keeper)) != old and pid,
            within=20 * SLOWNESS,
            what="the next plugind",
        )
        time.sleep(age_ms / 1000)
        os.kill(second, signal.SIGKILL)
        daemon.brain_kills += 1
        daemon.wait_brain_after(second)
    watch.finish()
    after = daemon.wait_ready("steady")["steady"]
    assert (after.pid, after.restarts) == (before.pid, 0)
    LogReader(daemon, "steady").read()


class HaltedThread(threading.Thread):
    """Stops the main thread of a process, and no other, as a debugger does; until the process has ended."""

    SEIZE, INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000

    def __init__(self, pid: int) -> None:
        super().__init__()
        self._pid = pid
        self.halted = threading.Event()
        self.trouble = ""
        self.start()

    def run(self) -> None:
        # What traces is this thread, so all of it is done here.
        libc = ctypes.CDLL(None, use_errno=True)
        for request in (self.SEIZE, self.INTERRUPT):
            if libc.ptrace(request, self._pid, None, None) < 0:
                self.trouble = os.strerror(ctypes.get_errno())
                return self.halted.set()
        os.waitpid(self._pid, self.WALL)
        self.halted.set()
        # Nobody else is told of its death before this.
        while not os.WIFSIGNALED(os.waitpid(self._pid, self.WALL)[1]):
            pass


def test_a_plugind_whose_loop_stands_still_ends_itself_and_comes_back(daemon: Daemon) -> None:
    daemon.configure(daemon={"watchdog": "2s"})
    daemon.plugin("steady", fault("good", "lines=10"))
    before = daemon.start().wait_ready("steady")["steady"]
    old = daemon.brain_pid
    halted = HaltedThread(old)
    assert halted.halted.wait(10 * SLOWNESS) and not halted.trouble, halted.trouble
    daemon.brain_kills += 1
    assert daemon.wait_brain_after(old) > 1.5, "it was ended before its time"
    halted.join()
    after = daemon.wait_ready("steady")["steady"]
    assert (after.pid, after.restarts) == (before.pid, 0)
    LogReader(daemon, "steady").read()
    assert "the loop has stood still for longer than daemon.watchdog allows" in daemon.log_tail()
    assert "killed by signal 6" in daemon.log_tail()


def test_a_plugind_that_is_stopped_as_a_whole_is_given_its_time_again(daemon: Daemon) -> None:
    daemon.configure(daemon={"watchdog": "2s"})
    daemon.start()
    pid = daemon.brain_pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(3)  # longer than the watchdog's patience
    os.kill(pid, signal.SIGCONT)
    time.sleep(3)  # what it would have done, it would have done by now
    assert daemon.brain_pid == pid


def test_kill_9_of_the_keeper_leaves_nothing_within_a_second(daemon: Daemon) -> None:
    for i in range(5):
        daemon.plugin(f"good{i}", fault("good"))
    daemon.plugin("ignores", fault("ignores-sigterm"))
    daemon.plugin("stopped", fault("stops-itself", "when=after"))
    daemon.plugin("forks", fault("double-forks"))
    daemon.start().wait_ready("ignores", "stopped", "forks", *(f"good{i}" for i in range(5)))
    if not daemon.info().cgroup:
        daemon.ctl("stop", "forks")  # what has fled is then the service manager's to find
    os.kill(daemon.get("stopped").pid, signal.SIGSTOP)
    os.kill(daemon.keeper_pid, signal.SIGKILL)
    eventually(
        lambda: not daemon.processes(), within=1, what="neither plugind nor a plugin is left"
    )
    daemon.wait_ended(code=-signal.SIGKILL)


# ---- Failpoints: killed at exactly that line ----


def failpoints() -> list[str]:
    """By reading the source, so that none is forgotten."""
    found = set()
    for file in (SOURCE / "daemon").glob("**/*.cc"):
        if "_test" not in file.name:
            found.update(re.findall(r'\bFailpoint\(\s*"([^"]+)"\s*\)', file.read_text()))
    return sorted(found)


class Exercise:
    """Everything that plugind does with a plugin, so that every failpoint is passed. Each step may be cut short by the death
    of plugind, and is then done again, as a patient operator would."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.edits = 0

    def steps(self) -> list[Callable[[], None]]:
        return [
            self.restart,
            self.die,
            self.stop_and_start,
            self.disable_and_enable,
            self.be_killed_hard,
            self.fail,
            self.loop,
            self.reload,
            self.sighup,
            self.crash,
            self.terminate,
        ]

    def insist(self, action: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30 * SLOWNESS
        while True:
            try:
                action()
                return
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                    raise

    def change(self, verb: str, name: str) -> None:
        self.insist(lambda: self.daemon.change(verb, name))

    def arrive(self, name: str, state: str) -> None:
        self.insist(lambda: self.daemon.wait_state(name, state))

    def restart(self) -> None:
        self.change("Restart", "subject")
        self.arrive("subject", "READY")

    def die(self) -> None:
        self.arrive("subject", "READY")
        self.insist(lambda: os.kill(self.daemon.get("subject").pid, signal.SIGKILL))
        self.arrive("subject", "READY")

    def stop_and_start(self) -> None:
        self.change("Stop", "subject")
        self.arrive("subject", "STOPPED")
        self.change("Start", "subject")
        self.arrive("subject", "READY")

    def disable_and_enable(self) -> None:
        self.change("Disable", "subject")
        self.arrive("subject", "STOPPED")
        self.change("Enable", "subject")
        self.arrive("subject", "READY")

    def be_killed_hard(self) -> None:
        self.change("Start", "stubborn")
        self.arrive("stubborn", "READY")
        self.change("Stop", "stubborn")
        self.arrive("stubborn", "STOPPED")

    def fail(self) -> None:
        self.change("Start", "refused")
        self.arrive("refused", "FAILED")

    def loop(self) -> None:
        self.change("Start", "looper")
        self.arrive("looper", "QUARANTINED")

    def reload(self) -> None:
        self.edit()
        self.insist(self.daemon.reload)
        self.arrive("subject", "READY")

    def sighup(self) -> None:
        self.edit()
        assert self.daemon.process
        loaded = self.daemon.info().config_loaded_at
        self.daemon.process.send_signal(signal.SIGHUP)
        eventually(
            lambda: self.insist(lambda: self.daemon.info())
            or self.daemon.info().config_loaded_at != loaded,
            within=10 * SLOWNESS,
            what="the new configuration",
        )
        self.arrive("subject", "READY")

    def crash(self) -> None:
        old = self.daemon.kill_brain()
        self.daemon.wait_brain_after(old)

    def terminate(self) -> None:
        """The end of everything: whoever takes over the stop brings it to its end."""
        assert self.daemon.process
        self.daemon.process.send_signal(signal.SIGTERM)
        self.daemon.wait_ended(code=0)

    def edit(self) -> None:
        self.edits += 1
        self.daemon.plugin(
            "subject",
            fault("good", f"edit={self.edits}"),
            backoff={"initial": "10ms"},
            quarantine={"failures": 0},
        )


if FAILPOINTS:

    @pytest.mark.parametrize("name", failpoints())
    def test_kill_9_of_plugind_at_a_failpoint(name: str, daemon: Daemon) -> None:
        armed = daemon.failpoints / name
        daemon.plugin("steady", fault("good", "lines=10"))
        daemon.plugin("held", fault("good"))
        daemon.plugin("stubborn", fault("ignores-sigterm"), stop={"grace": "50ms"}, enabled=True)
        daemon.plugin("refused", fault("wrong-core"))
        daemon.plugin(
            "looper",
            fault("exits"),
            backoff={"initial": "5ms", "max": "10ms"},
            quarantine={"failures": 3},
        )
        exercise = Exercise(daemon)
        exercise.edit()
        daemon.start()
        before = daemon.wait_ready("steady", "held", "subject", "stubborn")
        daemon.change("Stop", "held")
        daemon.wait_state("held", "STOPPED")
        watch = SecondInstances(daemon.keeper_pid)
        watch.start()

        armed.touch()
        for step in exercise.steps():
            step()
            if not armed.exists():
                break
        assert (
            not armed.exists()
        ), f"nothing that this test does reaches the failpoint {name}: give Exercise a step that does"
        daemon.brain_kills += 1
        print(f"{name}: reached by {step.__name__}")
        if step == exercise.terminate:
            watch.finish()
            return

        steady = daemon.wait_ready("steady")["steady"]
        assert (steady.pid, steady.restarts) == (before["steady"].pid, 0)
        assert State.Name(daemon.get("held").state) == "STOPPED"
        daemon.change("Restart", "subject")
        daemon.wait_ready("subject")
        watch.finish()
        LogReader(daemon, "steady").read()
        assert len(daemon.processes_of("subject")) == 1

    def test_there_are_failpoints_of_every_kind() -> None:
        for kind in ("spawn", "handshake", "stop", "persist"):
            assert any(
                kind in name for name in failpoints()
            ), f"no failpoint of {kind} in {failpoints()}"
