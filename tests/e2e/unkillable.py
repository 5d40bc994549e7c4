"""Ways to hold a process so that SIGKILL does not end it, without a broken kernel."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Callable

from daemon import Daemon
from processes import eventually
from settings import FAILPOINTS


class Freezer:
    """A frozen process of cgroup v1 takes no signal, SIGKILL included, until it is thawed."""

    MOUNT = Path("/sys/fs/cgroup/freezer")

    @classmethod
    def available(cls) -> bool:
        return os.geteuid() == 0 and os.access(cls.MOUNT / "cgroup.procs", os.W_OK)

    def __init__(self, daemon: Daemon, pid: int) -> None:
        self.directory = self.MOUNT / f"plugind-test-{pid}"
        self.directory.mkdir()
        (self.directory / "cgroup.procs").write_text(str(pid))
        (self.directory / "freezer.state").write_text("FROZEN")

    def release(self) -> None:
        (self.directory / "freezer.state").write_text("THAWED")
        eventually(
            lambda: not (self.directory / "cgroup.procs").read_text(),
            within=10,
            what="the cgroup is empty",
        )
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

    def __init__(self, daemon: Daemon, pid: int) -> None:
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-c", self.PROGRAM, str(pid)], stdout=subprocess.PIPE
        )
        assert self.process.stdout and self.process.stdout.readline() == b"seized\n"

    def release(self) -> None:
        self.process.kill()
        self.process.communicate()


class Simulated:
    """A keeper with failpoints that spares the plugin, and reports that it does not die."""

    def __init__(self, daemon: Daemon, pid: int) -> None:
        self.file = Path(daemon.failpoints) / "keeper.unkillable.subject"
        self.file.touch()

    def release(self) -> None:
        self.file.unlink()


HOLDS: list[Callable[[Daemon, int], Any]] = [Tracer]
if Freezer.available():
    HOLDS.append(Freezer)
if FAILPOINTS:
    HOLDS.append(Simulated)
