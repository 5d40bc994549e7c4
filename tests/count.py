#!/usr/bin/env python3
"""Adds up what run.sh left in its results folder: prints each failure, then "N passed, N failed, N skipped"."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path


def outcome(case: ElementTree.Element) -> str:
    if (
        case.find("failure") is not None
        or case.find("error") is not None
        or case.get("status") == "fail"
    ):
        return "failed"
    if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
        return "skipped"
    return "passed"


def cases(file: Path) -> list[tuple[str, str]]:
    """(name, outcome) of each case of a JUnit file, as pytest, ctest and GoogleTest write it."""
    return [
        (f"{case.get('classname', '')}.{case.get('name')}", outcome(case))
        for case in ElementTree.parse(file).iter("testcase")
    ]


def stage_cases(stage: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    # The test programs that wrote their cases down, and whether one of those failed.
    told: dict[str, bool] = {}
    for file in sorted((stage / "gtest").glob("*.xml")):
        own = cases(file)
        told[file.stem] = any(what == "failed" for _, what in own)
        found += own
    for file in sorted(stage.glob("*.xml")):
        for name, what in cases(file):
            program = name.rpartition(".")[2]
            # A program that told its cases counts no more, unless it failed after the last (a leak).
            if file.name == "ctest.xml" and program in told and (told[program] or what != "failed"):
                continue
            found.append((name, what))
    checks = stage / "checks.txt"
    for line in checks.read_text().splitlines() if checks.exists() else []:
        what, name = line.split(" ", 1)
        # Steps that only hold cases count when they failed without one that did.
        holds_cases = name in ("unit tests", "end-to-end tests", "campaigns")
        if not holds_cases or (what == "failed" and not any(w == "failed" for _, w in found)):
            found.append((name, what))
    return found


def main() -> int:
    results = Path(sys.argv[1])
    total: Counter[str] = Counter()
    for stage in sorted(path for path in results.iterdir() if path.is_dir()):
        for name, what in stage_cases(stage):
            total[what] += 1
            if what == "failed":
                print(f"FAILED: {stage.name}: {name}")
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
