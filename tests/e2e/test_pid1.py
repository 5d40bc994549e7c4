"""plugind as PID 1 of a PID namespace, as the entry point of a container is."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

import processes
from daemon import Daemon, fault
from processes import eventually
from requirements import skip
from settings import FAULT_PLUGIN, SLOWNESS

UNSHARE = ["unshare", "--fork", "--pid", "--mount-proc"]


class Contained(Daemon):
    """Its RPC speaks of pids inside of the namespace; this test, and /proc, of those outside."""

    def __init__(self, *, cgroup: bool) -> None:
        super().__init__()
        self.prefix = UNSHARE if cgroup else ["/usr/bin/env", "PLUGIND_NO_CGROUP=1", *UNSHARE]

    def command(self) -> list[str]:
        return [*self.prefix, *super().command()]

    @property
    def init(self) -> int:
        """PID 1, seen from outside."""
        assert self.process
        return next(p.pid for p in self.processes() if p.ppid == self.process.pid)

    def outside(self, inner: int) -> int:
        for process in self.processes():
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            if next(line for line in status if line.startswith("NSpid:")).split()[2:] == [
                str(inner)
            ]:
                return process.pid
        raise AssertionError(f"no process has the pid {inner} inside")

    def stop(self, within: float = 30 * SLOWNESS) -> None:
        os.kill(self.init, signal.SIGTERM)
        self.wait_ended(within=within)

    def _check_alive(self, complaints: list[str]) -> None:
        if self.info().generation != self.brain_kills:
            complaints.append("plugind was started anew")
        # A plugin's own children are its own affair.
        pids = [self.init, self.outside(self.brain_pid)]
        eventually(lambda: not processes.zombies(pids), within=2 * SLOWNESS, what="no zombies")


@pytest.fixture(params=[True, False], ids=["cgroup", "no-cgroup"])
def contained(needs_root: None, request: pytest.FixtureRequest) -> Iterator[Contained]:
    if subprocess.run([*UNSHARE, "true"], capture_output=True).returncode != 0:
        skip("no PID namespace may be made here")
    daemon = Contained(cgroup=request.param)
    yield daemon
    daemon.close()


def orphaning(daemon: Daemon) -> list[str]:
    """A plugin whose grandchildren lose their parents at once and end a little later, each in another way."""
    script = daemon.root / "orphaning.sh"
    script.write_text(
        "#!/bin/sh\n"
        f"(sh -c 'sleep 0.2; touch {daemon.root}/same-session' &)\n"
        f"(setsid sh -c 'sleep 0.2; touch {daemon.root}/own-session' &)\n"
        f"exec {FAULT_PLUGIN} good\n"
    )
    script.chmod(0o755)
    return [str(script)]


def test_as_pid_1_it_runs_plugins_and_reaps_orphans(contained: Contained) -> None:
    contained.plugin("one", fault("good"))
    contained.plugin("orphaning", orphaning(contained))
    contained.start().wait_ready("one", "orphaning")
    info = contained.info()
    assert info.keeper_pid == 1 and info.generation == 0
    if "PLUGIND_NO_CGROUP=1" in contained.prefix:
        assert info.cgroup == ""
    for name in ("same-session", "own-session"):
        eventually(
            lambda name=name: (contained.root / name).exists(),
            within=10 * SLOWNESS,
            what=f"the orphan in its {name} has come to its end",
        )
    plugin = contained.outside(contained.get("orphaning").pid)
    eventually(
        lambda: [process.pid for process in contained.processes_of("orphaning")] == [plugin],
        within=5 * SLOWNESS,
        what="the orphans have ended",
    )
    eventually(
        lambda: not processes.zombies([contained.init]), within=2 * SLOWNESS, what="no zombies"
    )
    assert contained.call("one", "/fault.v1.Fault/Echo", b"x") == b"x"


def test_as_pid_1_it_restarts_a_plugin_and_is_restarted_itself(contained: Contained) -> None:
    contained.plugin("one", fault("good"), backoff={"initial": "10ms"})
    contained.start().wait_ready("one")
    os.kill(contained.outside(contained.get("one").pid), signal.SIGKILL)
    eventually(lambda: contained.get("one").restarts == 1, within=10 * SLOWNESS, what="a restart")
    pid = contained.wait_ready("one")["one"].pid
    contained.brain_kills += 1
    os.kill(contained.outside(contained.brain_pid), signal.SIGKILL)
    contained.hang_up()
    eventually(lambda: contained.info().generation == 1, within=10 * SLOWNESS, what="a successor")
    assert contained.wait_ready("one")["one"].pid == pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_from_outside_ends_everything(
    number: signal.Signals, contained: Contained
) -> None:
    contained.plugin("one", fault("good"))
    contained.plugin("forks", fault("double-forks"))
    contained.start().wait_ready("one", "forks")
    os.kill(contained.init, number)
    contained.wait_ended(code=0)
    assert not contained.processes()
    assert not contained.socket.exists() and not os.listdir(contained.runtime / "i")


def test_its_sigkill_leaves_nothing(contained: Contained) -> None:
    contained.plugin("one", fault("good"))
    contained.plugin("forks", fault("double-forks"))
    contained.start().wait_ready("one", "forks")
    os.kill(contained.init, signal.SIGKILL)
    assert contained.process
    assert contained.process.wait(10 * SLOWNESS) != 0  # which code, is unshare's affair
    contained.hang_up()
    eventually(lambda: not contained.processes(), within=1, what="nothing is left")
    # And the next one begins as if nothing had been.
    contained.start().wait_ready("one", "forks")


def test_a_configuration_with_errors_ends_the_container_with_78(contained: Contained) -> None:
    (contained.plugins_dir / "bad.toml").write_text("comand = 1\n")
    contained.launch()
    contained.wait_ended(code=78)
    assert "bad.toml:1:1" in contained.log_tail()
