"""The benchmark `calls`: reads the arguments, runs it, prints what came of it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calls.aims import aims
from calls.results import METRICS, MODES, loads
from calls.run import Plan, Run
from calls.systems import KINDS
from calls.table import Table

_POLICIES = {
    os.SCHED_OTHER: "normal",
    os.SCHED_FIFO: "real-time (FIFO)",
    os.SCHED_RR: "real-time (round robin)",
}
_PROGRAMS = ("bench_echo_plugin", "bench_load")  # without which nothing can be measured


def run_directory() -> str | None:
    """Where sockets lie in real life: in memory. None: the default of tempfile."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    in_memory = [path for _, path, kind, *_ in mounts if kind == "tmpfs"]
    candidates = (path for path in ("/run", "/dev/shm", "/tmp") if path in in_memory)
    return next((path for path in candidates if os.access(path, os.W_OK)), None)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def parse(arguments: list[str]) -> tuple[argparse.Namespace, Plan]:
    parser = argparse.ArgumentParser(prog="run.sh calls", description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="the build directory")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the results here; -: to stdout, without the table",
    )
    parser.add_argument("--samples", type=int, help="rounds (default 20, quick 2)")
    parser.add_argument("--slice", type=float, help="seconds of one load (default 0.4, quick 0.2)")
    parser.add_argument(
        "--sizes", type=_numbers, default=(16, 64 << 10, 1 << 20), help="bytes in a message"
    )
    parser.add_argument("--modes", type=_names, default=MODES, help=" and ".join(MODES))
    parser.add_argument("--in-flight", type=_numbers, default=(1, 32), help="calls at a time")
    parser.add_argument(
        "--quick", action="store_true", help="a run of seconds that shows that all of it works"
    )
    known = [kind.column for kind in KINDS]
    parser.add_argument(
        "--systems",
        type=_names,
        default=tuple(known),
        help=f"only these, separated by commas: {', '.join(known)}",
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.systems).difference(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if unknown := set(options.modes).difference(MODES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    plan = Plan(
        loads=tuple(loads(options.modes, options.in_flight, options.sizes)),
        systems=tuple(name for name in known if name in options.systems),
        rounds=options.samples or (2 if options.quick else 20),
        slice=options.slice or (0.2 if options.quick else 0.4),
    )
    return options, plan


def main() -> int:
    options, plan = parse(sys.argv[1:])
    build = options.build.resolve()
    for program in _PROGRAMS:
        if not (build / "bin" / program).exists():
            print(f"{program} is missing: build the target `bench_calls`", file=sys.stderr)
            return 1
    # So that what was started is also stopped when this is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    load_before = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=run_directory()) as directory:
        run = Run(plan, build, Path(directory))
        try:
            run.start()
            run.sample()
        finally:
            run.stop()
    run.results.finish()
    conditions = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs",
        "scheduling": _POLICIES.get(os.sched_getscheduler(0), "other"),
        "rounds": plan.rounds,
        "slice_seconds": plan.slice,
        "load_before": load_before,
        "load_after": os.getloadavg(),
        "cpus_used_by_others": round(run.others, 3),
    }
    reached = aims(run.results)
    document = {
        "benchmark": "calls",
        "conditions": conditions,
        "units": {metric.key: metric.unit for metric in METRICS},
        "cells": run.results.as_json(),
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
    return [
        f"calls · {conditions['date']} · {conditions['machine']}",
        f"{conditions['rounds']} rounds of {conditions['slice_seconds']:g} s for each load and "
        f"system, interleaved; scheduling: {conditions['scheduling']}; "
        f"load {conditions['load_before'][0]:.1f} before, {conditions['load_after'][0]:.1f} after; "
        f"other programs used {conditions['cpus_used_by_others']:.2f} CPUs",
    ]


if __name__ == "__main__":
    sys.exit(main())
