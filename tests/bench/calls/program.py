"""A program that the benchmark runs: started, waited for, asked for its CPU time, ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

NANOSECONDS = 1e9


class Skipped(Exception):
    """This system cannot run here; the text says why."""


def need(program: str, package: str) -> str:
    """Its path. Daemons are also looked for where a user's PATH does not lead."""
    found = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if found is None:
        raise Skipped(f"SKIPPED: {program} is not installed (Debian package {package})")
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of all its threads, ended ones too, to the nanosecond."""
    per_process_clock = ~pid << 3 | 2  # clock_getcpuclockid(3)
    return time.clock_gettime(per_process_clock)


class Program:
    def __init__(
        self,
        command: list[str],
        directory: Path,
        name: str,
        env: dict[str, str] | None = None,
        piped: bool = False,
    ) -> None:
        """Its stderr, and unless `piped` its stdout too, go to the file `name`.log."""
        self._log = directory / f"{name}.log"
        environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "LANG": "C.UTF-8"}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                env=environment | {"TMPDIR": str(directory)} | (env or {}),
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
                cwd=directory,
                text=True,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-2000:].strip()

    def read_line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} has ended; its log:\n{self.log_tail()}")
        return line.strip()

    def ask(self, command: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.read_line()

    def stop(self) -> None:
        """Ends its input, if it reads any, or sends SIGTERM; SIGKILL where neither helps."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        else:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
