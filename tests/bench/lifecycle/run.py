"""One run: everything is started once, stays up together and is sampled in turns, so that no system
has the machine in a better moment than another. See ../README.md for what the figures mean.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lifecycle import procfs
from lifecycle.peers import S6, BarePidfd, GoHost, Runit, Supervisord
from lifecycle.plugind import Plugind, PlugindCheck
from lifecycle.results import METRICS, Results
from lifecycle.system import MILLISECOND, Context, Skipped, System, kill_once

# Older than this, a process has proved itself even to runit and s6, which otherwise wait until a
# second has passed since its start before they restart it.
_SETTLED_AGE = 1.2
_YOUNG_AGE = 0.05
KINDS: tuple[type[System], ...] = (Plugind, Supervisord, Runit, S6, GoHost, BarePidfd)


@dataclass(frozen=True)
class Plan:
    sizes: tuple[int, ...]
    systems: tuple[str, ...]  # by column
    samples: int
    idle: float  # seconds
    crashes: int  # samples of the crash loop, at the smallest size
    calls: int  # of each RPC, per round
    pauses: int  # before each of which nothing happens for a second or two


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def timed(call: Callable[[], object]) -> float:
    """How long it takes, in ms."""
    began = time.monotonic_ns()
    call()
    return (time.monotonic_ns() - began) / MILLISECOND


class Run:
    def __init__(self, plan: Plan, context: Context) -> None:
        self.plan = plan
        self.context = context
        self.results = Results(plan.sizes)
        self.systems: list[System] = []
        self.checked: list[PlugindCheck] = []
        self.lateness: list[
            float
        ] = []  # of a timer of one millisecond, in ms: how loaded the machine is

    def start(self) -> None:
        for size in self.plan.sizes:
            for kind in KINDS:
                if kind.column in self.plan.systems:
                    self._start(kind(self.context, size), self.systems)
            if Plugind.column in self.plan.systems:
                self._start(PlugindCheck(self.context, size), self.checked)

    def _start(self, system: System, into: list[Any]) -> None:
        progress(f"starting {system.column} with {system.size}")
        columns = {"keeper", "daemon", "plugind"} if "plugind" in system.column else {system.column}
        own_metrics = [m for m in METRICS if (m.key == "wakeups_checked") == (into is self.checked)]
        into.append(system)
        try:
            system.start()
        except Skipped as reason:
            into.remove(system)
            for metric in METRICS if into is self.systems else own_metrics:
                for column in columns.intersection(metric.columns):
                    self.results.omit(metric.key, column, system.size, str(reason))
            return
        for key, why in system.absent.items():
            self.results.omit(key, system.column, system.size, why)

    def rest(self) -> None:
        """Memory and wake-ups of all at once, over the same seconds."""
        time.sleep(min(3.0, self.plan.idle))
        progress(f"idle for {self.plan.idle:g} s")
        everything = [*self.systems, *self.checked]
        processes = {system.key: system.processes() for system in everything}
        before = {
            pid: procfs.wakeups(pid)
            for found in processes.values()
            for pids in found.values()
            for pid in pids
        }
        began = time.monotonic()
        time.sleep(self.plan.idle)
        for system in everything:
            for column, pids in processes[system.key].items():
                woken = sum(procfs.wakeups(pid) - before[pid] for pid in pids)
                rate = woken / (time.monotonic() - began)
                if isinstance(system, PlugindCheck):
                    column = "plugind" if column == system.column else column
                    self.results.add("wakeups_checked", column, system.size, rate)
                    continue
                self.results.add("wakeups", column, system.size, rate)
                memory = [procfs.memory_kib(pid) for pid in pids]
                for metric, kib in zip(
                    ("private", "rss"), map(sum, zip(*memory, strict=True)), strict=True
                ):
                    self.results.add(metric, column, system.size, kib / 1024)

    def sample(self) -> None:
        if not self.systems:
            return
        for i in range(self.plan.samples):
            progress(f"round {i + 1} of {self.plan.samples}")
            self._measure_lateness()
            turn = i % len(self.systems)
            for system in self.systems[turn:] + self.systems[:turn]:
                victim = system.names[
                    i * 37 % system.size
                ]  # 37 shares no factor with the usual sizes
                shown = kill_once(system, victim, _SETTLED_AGE)
                for metric in ("seen", "told", "replaced", "overhead", "back"):
                    self._add(system, metric, shown.get(metric))
                self._call(system)

    def crash(self) -> None:
        for i in range(self.plan.crashes):
            progress(f"crash loop {i + 1} of {self.plan.crashes}")
            for system in self.systems:
                if system.size == min(self.plan.sizes):
                    kill_once(system, system.names[0], _SETTLED_AGE)
                    shown = kill_once(system, system.names[0], _YOUNG_AGE)
                    self._add(system, "crashloop", shown.get("replaced"))
        for system in self.systems:
            if system.size != min(self.plan.sizes):
                reason = "measured at the smallest size only: it is a matter of design"
                self.results.omit("crashloop", system.column, system.size, reason)

    def pause(self) -> None:
        """An operator's call comes out of the blue: after a pause of another length each time."""
        for i in range(self.plan.pauses):
            progress(f"pause {i + 1} of {self.plan.pauses}")
            time.sleep(1.0 + (i * 0.37) % 1.0)
            for system in self.systems:
                if "cold" not in system.absent:
                    self._add(system, "cold", timed(system.calls()["get"]))

    def _add(self, system: System, metric: str, value: float | None) -> None:
        if metric not in system.absent:
            self.results.add(metric, system.column, system.size, value)

    def _call(self, system: System) -> None:
        if "get" in system.absent:
            return
        for metric, call in system.calls().items():
            call()  # the first one wakes both ends, which `cold` is about
            for _ in range(self.plan.calls):
                self._add(system, metric, timed(call))

    def _measure_lateness(self) -> None:
        for _ in range(10):
            self.lateness.append(timed(lambda: time.sleep(0.001)) - 1)

    def stop(self) -> None:
        for system in [*self.systems, *self.checked]:
            progress(f"stopping {system.column} with {system.size}")
            system.stop()
