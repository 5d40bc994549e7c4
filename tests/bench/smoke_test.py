#!/usr/bin/env python3
"""Shows that the benchmark works: every cell is a number, or says why it is none.

No time is asserted: a loaded machine may be slow, and must not fail.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
NUMBERS = ("median", "p99", "min", "max")
# What plugind has no figure for even where it runs.
NOT_MEASURED = {("crashloop", "larger")}


def problems(document: dict, table: str) -> list[str]:
    found = []
    smallest = min(document["conditions"]["sizes"])
    for cell in document["cells"]:
        name = f"{cell['metric']} of {cell['system']} with {cell['plugins']}"
        if "absent" in cell:
            size = "smallest" if cell["plugins"] == smallest else "larger"
            expected = cell["system"] not in ("plugind", "keeper", "daemon")
            if not cell["absent"].strip():
                found.append(f"{name}: neither a number nor a reason")
            elif not expected and (cell["metric"], size) not in NOT_MEASURED:
                found.append(f"{name}: plugind has no figure: {cell['absent']}")
            continue
        if cell["samples"] < 1 or not all(math.isfinite(cell[key]) for key in NUMBERS):
            found.append(f"{name}: not a number: {cell}")
        elif not cell["min"] <= cell["median"] <= cell["p99"] <= cell["max"]:
            found.append(f"{name}: out of order: {cell}")
        # An event cannot come before its cause: a negative figure is a clock or an event mixed up.
        if cell["min"] < 0:
            found.append(f"{name}: negative: {cell}")
        if cell["lost"]:
            found.append(f"{name}: {cell['lost']} samples lost")
    found += [
        f"the table lacks {title!r}" for title in document["titles"].values() if title not in table
    ]
    found += [
        f"no figure for the aim {aim['text']!r}"
        for aim in document["aims"]
        if aim["measured"] is None
    ]
    if left := document["conditions"]["leftover_processes"]:
        found.append(f"processes were left behind: {left}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    build = parser.parse_args().build.resolve()
    with tempfile.TemporaryDirectory(prefix="bench-smoke-") as directory:
        results = Path(directory) / "results.json"
        command = [sys.executable, "-m", "lifecycle", f"--build={build}", f"--json={results}"]
        command += ["--quick", "--samples=3"]
        run = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, text=True, check=True)
        found = problems(json.loads(results.read_text()), run.stdout)
    print(run.stdout)
    for problem in found:
        print(f"FAILED: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
