"""The benchmark `lifecycle`: reads the arguments, runs it, prints what came of it."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import select
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lifecycle import procfs
from lifecycle.aims import aims
from lifecycle.board import Board
from lifecycle.results import METRICS, percentile
from lifecycle.run import KINDS, Plan, Run
from lifecycle.system import Context
from lifecycle.table import Table

_PR_SET_CHILD_SUBREAPER = 36
_POLICIES = {
    os.SCHED_OTHER: "normal",
    os.SCHED_FIFO: "real-time (FIFO)",
    os.SCHED_RR: "real-time (round robin)",
}


def run_directory() -> str | None:
    """Where sockets and status files lie in real life: in memory. None: the default of tempfile."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    in_memory = [path for _, path, kind, *_ in mounts if kind == "tmpfs"]
    candidates = (path for path in ("/run", "/dev/shm", "/tmp") if path in in_memory)
    return next((path for path in candidates if os.access(path, os.W_OK)), None)


def end_leftovers(grace: float = 5.0) -> list[str]:
    """Waits for what is still ending, then kills it; the names of what had to be killed.

    This process is everybody's subreaper, so nothing that a system has left behind escapes.
    """
    killed = []
    deadline = time.monotonic() + grace
    while below := procfs.children(os.getpid()):
        for pid in below:
            end = os.pidfd_open(pid)
            ended, _, _ = select.select([end], [], [], max(0.0, deadline - time.monotonic()))
            if not ended:
                killed.append(procfs.program(pid))
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(end)
    return killed


def parse(arguments: list[str]) -> tuple[argparse.Namespace, Plan]:
    parser = argparse.ArgumentParser(prog="run.sh lifecycle", description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="the build directory")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the results here; -: to stdout, without the table",
    )
    parser.add_argument("--samples", type=int, help="kills of each system (default 100, quick 3)")
    parser.add_argument("--sizes", help="numbers of plugins (default 1,100,500, quick 1,20)")
    parser.add_argument(
        "--idle", type=float, help="seconds over which wake-ups are counted (default 30, quick 1)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a run of seconds that shows that all of it works"
    )
    known = [kind.column for kind in KINDS]
    parser.add_argument(
        "--systems",
        type=lambda text: tuple(text.split(",")),
        default=tuple(known),
        help=f"only these, separated by commas: {', '.join(known)}",
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.systems).difference(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    quick = options.quick
    sizes = options.sizes or ("1,20" if quick else "1,100,500")
    plan = Plan(
        sizes=tuple(map(int, sizes.split(","))),
        systems=options.systems,
        samples=options.samples or (3 if quick else 100),
        idle=options.idle or (1.0 if quick else 30.0),
        crashes=1 if quick else 5,
        calls=3 if quick else 10,
        pauses=1 if quick else 20,
    )
    return options, plan


def main() -> int:
    options, plan = parse(sys.argv[1:])
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    build = options.build.resolve()
    fixture = build / "bin" / "bench_tiny_plugin"
    if not fixture.exists():
        print(f"{fixture} is missing: build the target `bench`", file=sys.stderr)
        return 1
    load_before = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=run_directory()) as directory:
        board = Board(Path(directory))
        run = Run(plan, Context(board, Path(directory), fixture, build))
        try:
            run.start()
            run.rest()
            run.sample()
            run.crash()
            run.pause()
        finally:
            run.stop()
            leftovers = end_leftovers()
            board.close()
    run.results.finish()
    lateness = sorted(run.lateness)
    conditions = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs",
        "scheduling": _POLICIES.get(os.sched_getscheduler(0), "other"),
        "rounds": plan.samples,
        "sizes": plan.sizes,
        "idle_seconds": plan.idle,
        "load_before": load_before,
        "load_after": os.getloadavg(),
        "timer_lateness_ms": {
            "median": percentile(lateness, 0.5),
            "p99": percentile(lateness, 0.99),
        },
        "leftover_processes": leftovers,
    }
    reached = aims(run.results)
    document = {
        "benchmark": "lifecycle",
        "conditions": conditions,
        "units": {metric.key: metric.unit for metric in METRICS},
        "titles": {metric.key: metric.title for metric in METRICS},
        "cells": [cell.summary() for cell in run.results.cells()],
        "aims": [aim.as_json() for aim in reached],
    }
    text = json.dumps(document, indent=1, ensure_ascii=False)
    if options.json == Path("-"):
        print(text)
        return 0
    if options.json is not None:
        options.json.write_text(text + "\n")
    print(Table(run.results).render(heading(conditions), reached))
    return 0


def heading(conditions: dict[str, Any]) -> list[str]:
    late = conditions["timer_lateness_ms"]
    return [
        f"lifecycle · {conditions['date']} · {conditions['machine']}",
        f"{conditions['rounds']} rounds, interleaved; scheduling: {conditions['scheduling']}; "
        f"idle for {conditions['idle_seconds']:g} s; "
        f"load {conditions['load_before'][0]:.1f} before, {conditions['load_after'][0]:.1f} after; "
        f"a 1 ms timer was late by {late['median']:.2f} / {late['p99']:.2f} ms",
    ]


if __name__ == "__main__":
    sys.exit(main())
