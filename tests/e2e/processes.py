"""What /proc says: whose processes live, what they hold open."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Process:
    pid: int
    ppid: int
    state: str  # as in ps: R, S, D, Z, T, …
    start_time: int  # in clock ticks since boot: with the pid, an identity
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.pid} (parent {self.ppid}, {self.state}) {' '.join(self.arguments)}"


def inspect(pid: int) -> Process | None:
    """None when there is no such process."""
    try:
        # The command's name stands in brackets and may hold anything, brackets included.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Process(
        pid,
        int(fields[1]),
        fields[0],
        int(fields[19]),
        tuple(argument.decode(errors="replace") for argument in arguments),
    )


def pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def marked(marker: str) -> list[Process]:
    """Every live process with `marker` in its environment. A zombie has none: see zombies()."""
    wanted = marker.encode()
    found = []
    for pid in pids():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if (
            wanted in environment.split(b"\0")
            and (process := inspect(pid))
            and process.state != "Z"
        ):
            found.append(process)
    return found


def zombies(parents: list[int]) -> list[Process]:
    every = (inspect(pid) for pid in pids())
    return [
        process for process in every if process and process.state == "Z" and process.ppid in parents
    ]


def open_fds(pid: int) -> dict[int, str]:
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
    return found


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def private_kib(pid: int) -> int:
    """Memory that this process alone has written to. Clean pages of its program do not count: they are private or
    shared as others run the same program or not."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))


def eventually(check: Callable[[], T], *, within: float, what: str) -> T:
    """The first truthy result of `check`. For what the kernel announces to nobody but a parent or an owner."""
    deadline = time.monotonic() + within
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}; last seen: {result!r}")
        time.sleep(0.005)
