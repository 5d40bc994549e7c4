"""What the kernel says of a process: its memory, its wake-ups, its children."""

from __future__ import annotations

import re
from pathlib import Path

_PROC = Path("/proc")


def memory_kib(pid: int) -> tuple[int, int]:
    """(private, resident): Private_Clean + Private_Dirty, and Rss, of smaps_rollup."""
    rollup = (_PROC / str(pid) / "smaps_rollup").read_text()
    fields = dict(re.findall(r"^(\w+):\s+(\d+) kB$", rollup, re.MULTILINE))
    return int(fields["Private_Clean"]) + int(fields["Private_Dirty"]), int(fields["Rss"])


def wakeups(pid: int) -> int:
    """How often a thread of the process has gone to sleep so far; each time, something woke it."""
    total = 0
    for task in (_PROC / str(pid) / "task").iterdir():
        status = (task / "status").read_text()
        match = re.search(r"^voluntary_ctxt_switches:\s+(\d+)$", status, re.MULTILINE)
        assert match, f"{task}/status has no voluntary_ctxt_switches"
        total += int(match[1])
    return total


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in (_PROC / str(pid) / "task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def program(pid: int) -> str:
    return (_PROC / str(pid) / "comm").read_text().strip()
