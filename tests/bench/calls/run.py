"""One run: everything is started once and stays up; then slices of load go round.

See README.md for what the figures mean.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calls.caller import Caller, Load
from calls.program import Program, Skipped, cpu_seconds
from calls.results import Results
from calls.systems import KINDS, Context, System, start_plugin

_WARM_UP = 0.05  # seconds of each load on each system before the first round


@dataclass(frozen=True)
class Plan:
    loads: tuple[Load, ...]
    systems: tuple[str, ...]  # by column
    rounds: int
    slice: float  # seconds


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def machine_busy_seconds() -> float:
    """CPU time of everybody, stolen time too."""
    first = Path("/proc/stat").read_text().splitlines()[0].split()
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, first[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Run:
    def __init__(self, plan: Plan, build: Path, directory: Path) -> None:
        self.plan = plan
        self.results = Results(plan.loads, plan.systems)
        self.others = 0.0  # how many CPUs the rest of the machine used on average while it sampled
        self._build = build
        self._directory = directory
        self._base: list[Program] = []
        self._started: list[System] = []
        self._systems: list[System] = []

    def start(self) -> None:
        plugin, address = start_plugin(self._build, self._directory)
        self._base.append(plugin)
        caller = Caller([str(self._build / "bin" / "bench_load")], self._directory, "caller")
        self._base.append(caller.program)
        context = Context(self._build, self._directory, caller, plugin, address)
        for kind in KINDS:
            if kind.column not in self.plan.systems:
                continue
            progress(f"starting {kind.column}")
            system = kind(context)
            self._started.append(system)
            try:
                system.start()
            except Skipped as reason:
                self.results.omit(system.column, str(reason))
            else:
                self._systems.append(system)

    def sample(self) -> None:
        for system in self._systems:
            progress(f"warming up {system.column}")
            for load in self.plan.loads:
                system.caller.run(system.target, load, _WARM_UP)
        began, busy, ours = time.monotonic(), machine_busy_seconds(), self._own_cpu()
        for turn in range(self.plan.rounds):
            progress(f"round {turn + 1} of {self.plan.rounds}")
            for load in self.plan.loads:
                for system in _from(self._systems, turn):
                    self._measure(turn, load, system)
        others = machine_busy_seconds() - busy - (self._own_cpu() - ours)
        self.others = max(0.0, others / (time.monotonic() - began))

    def _measure(self, turn: int, load: Load, system: System) -> None:
        before = {pid: cpu_seconds(pid) for pid in system.processes()}
        made = system.caller.run(system.target, load, self.plan.slice)
        used = {pid: cpu_seconds(pid) - before[pid] for pid in before}
        mediator = sum(used[pid] for pid in system.mediators) if system.mediators else None
        self.results.add(load, system.column, turn, made, mediator, sum(used.values()))

    def _own_cpu(self) -> float:
        pids = {pid for system in self._systems for pid in system.processes()}
        return time.process_time() + sum(map(cpu_seconds, pids))

    def stop(self) -> None:
        for program in (*self._started, *reversed(self._base)):
            program.stop()


def _from(systems: Sequence[System], turn: int) -> list[System]:
    """Each round begins with another one."""
    first = turn % len(systems) if systems else 0
    return [*systems[first:], *systems[:first]]
