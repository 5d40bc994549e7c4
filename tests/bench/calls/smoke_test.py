#!/usr/bin/env python3
"""Shows that the benchmark works: every cell is a number, or says why it is none.

No time is asserted: a loaded machine may be slow, and must not fail.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

BENCH = Path(__file__).parent.parent
# These are built here, so they have figures; the others only where they are installed.
OURS = ("direct", "plugind", "plugind no spin", "gRPC proxy")
SYSTEMS = (*OURS, "HAProxy", "nginx", "go-plugin")
# HAProxy 2.6 with large buffers sometimes passes nothing on any more with 32 messages of 1 MiB in flight.
LEFT_OUT = {"HAProxy large"}
WITHOUT_MEDIATOR = ("direct", "go-plugin")


def problems(document: dict, table: str) -> list[str]:
    found = []
    for cell in document["cells"]:
        system = cell["system"]
        load = f"{cell['mode']}, {cell['in_flight']} × {cell['size']}"
        name = f"{cell['metric']} of {system}, {load}"
        if "absent" in cell:
            no_mediator = cell["metric"] == "cpu_mediator" and system in WITHOUT_MEDIATOR
            if system in OURS and not no_mediator:
                found.append(f"{name}: {cell['absent']}")
            elif not no_mediator and not cell["absent"].startswith("SKIPPED: "):
                found.append(f"{name}: no figure, though it is installed: {cell['absent']}")
            continue
        if not all(math.isfinite(cell[key]) for key in ("min", "median", "max")):
            found.append(f"{name}: not a number: {cell}")
        elif not 0 < cell["min"] <= cell["median"] <= cell["max"]:
            found.append(f"{name}: out of order: {cell}")
        if system == "direct" and cell["ratio"] != 1:
            found.append(f"{name}: direct is not once itself: {cell['ratio']}")
        if system not in table:
            found.append(f"the table lacks {system!r}")
    found += [
        f"no figure for the aim {aim['text']!r}"
        for aim in document["aims"]
        if aim["measured"] is None and not any(peer in aim["text"] for peer in absent(document) | LEFT_OUT)
    ]
    return found


def absent(document: dict) -> set[str]:
    """The systems that are not installed."""
    return {cell["system"] for cell in document["cells"] if "SKIPPED: " in cell.get("absent", "")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    build = parser.parse_args().build.resolve()
    with tempfile.TemporaryDirectory(prefix="bench-smoke-") as directory:
        results = Path(directory) / "results.json"
        command = [sys.executable, "-B", "-m", "calls", f"--build={build}", f"--json={results}"]
        run = subprocess.run(
            [*command, "--quick", f"--systems={','.join(SYSTEMS)}"],
            env=os.environ | {"PYTHONPATH": str(BENCH)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found = problems(json.loads(results.read_text()), run.stdout)
    print(run.stdout)
    for problem in found:
        print(f"FAILED: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
