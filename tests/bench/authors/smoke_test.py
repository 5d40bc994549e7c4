#!/usr/bin/env python3
"""Shows that the benchmark works: every figure is there, or the reason why it is not. No time is asserted."""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    build = parser.parse_args().build.resolve()
    found = []
    with tempfile.TemporaryDirectory(prefix="bench-smoke-") as directory:
        results = Path(directory) / "results.json"
        command = [sys.executable, "-B", "-m", "authors", f"--build={build}", f"--json={results}"]
        subprocess.run(
            [*command, "--quick"],
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
            check=True,
        )
        languages = json.loads(results.read_text())["languages"]
    for language in ("cpp", "python", "go", "node"):
        figures = languages.get(language, "it is not there")
        if isinstance(figures, str):
            print(f"{language}: {figures}")
            if os.environ.get("PLUGIND_REQUIRE_ALL") == "1" or language == "cpp":
                found.append(f"{language}: {figures}")
            continue
        for metric, figure in figures.items():
            if not all(math.isfinite(figure[key]) for key in ("sdk", "plain", "added")):
                found.append(f"{language}: {metric}: not a number: {figure}")
            if figure["sdk"] <= 0 or figure["plain"] <= 0:
                found.append(f"{language}: {metric}: nothing costs nothing: {figure}")
    for problem in found:
        print(f"FAILED: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
