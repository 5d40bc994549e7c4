"""What a daemon holds when nothing is wrong, to be compared with what it holds after something was."""

from __future__ import annotations

import os
import re
from collections import Counter

import processes
from daemon import Daemon
from processes import eventually
from settings import SLOWNESS

# By how many threads gRPC's pools may have grown on a machine of any size.
POOL = 2 * (os.cpu_count() or 1)


def held(pid: int) -> Counter[str]:
    """Open fds by kind, e.g. {"socket:": 7, "anon_inode:[pidfd]": 3}."""
    return Counter(
        re.sub(r"\[\d+\]|/.*", "", target) if not target.startswith("/memfd:") else "/memfd:"
        for target in processes.open_fds(pid).values()
    )


class Baseline:
    """Of the daemon, and of one plugin whom nothing that happens to others may disturb."""

    def __init__(self, daemon: Daemon, witness: str) -> None:
        self.daemon = daemon
        self.witness = witness
        info = daemon.info()
        self.pids = {"plugind": info.pid, "plugind-keeper": info.keeper_pid}
        self.witness_pid = daemon.get(witness).pid
        daemon.call(witness, "/fault.v1.Fault/Echo", b"warm")
        self.fds = {program: held(pid) for program, pid in self.pids.items()}
        self.threads = {program: processes.threads(pid) for program, pid in self.pids.items()}

    def check_witness(self) -> None:
        plugin = self.daemon.get(self.witness)
        assert (
            plugin.pid == self.witness_pid and plugin.restarts == 0
        ), f"the witness was restarted: {plugin}"
        assert (
            self.daemon.call(self.witness, "/fault.v1.Fault/Echo", b"still here") == b"still here"
        )

    def check(self, gone: str = "") -> None:
        """`gone`: a plugin of which no process may be left."""
        self.check_witness()
        if gone:
            eventually(
                lambda: not self.daemon.processes_of(gone),
                within=2,
                what=f"no process of {gone} is left",
            )
        running = {plugin.instance for plugin in self.daemon.list().values() if plugin.pid}
        instances = self.daemon.runtime / "i"
        eventually(
            lambda: set(os.listdir(instances)) == running,
            within=2,
            what="only directories of running processes",
        )
        for program, pid in self.pids.items():
            eventually(
                lambda pid=pid: not processes.zombies([pid]),
                within=2 * SLOWNESS,
                what=f"no zombies of {program}",
            )
            eventually(
                lambda program=program, pid=pid: not self._more(program, held(pid)),
                within=5 * SLOWNESS,
                what=f"{program} holds no more fds than before: {self._more(program, held(pid))}",
            )
        assert processes.threads(self.pids["plugind-keeper"]) == 1
        # gRPC's pools breathe by a few threads; a leak grows without end.
        eventually(
            lambda: processes.threads(self.pids["plugind"]) <= self.threads["plugind"] + POOL,
            within=5 * SLOWNESS,
            what=f"plugind has no more than {self.threads['plugind']} threads and {POOL} of pools",
        )

    def _more(self, program: str, now: Counter[str]) -> Counter[str]:
        return now - self.fds[program]
