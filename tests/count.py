#!/usr/bin/env python3
"""Adds up what run.sh left in its results folder: prints each failure and skip, then "N passed, N failed, N skipped".

Under PLUGIND_REQUIRE_ALL=1 a skip that allowed_skips.py does not list is a failure, and so is a listed one that runs.
"""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import allowed_skips

REQUIRE_ALL = os.environ.get("PLUGIND_REQUIRE_ALL") == "1"


@dataclass(frozen=True)
class Case:
    name: str
    outcome: str  # passed, failed, skipped
    detail: str = ""  # what a skipped one says


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


def detail(case: ElementTree.Element) -> str:
    """The last line of a skip's message: GoogleTest puts the place before it."""
    skipped = case.find("skipped")
    return "" if skipped is None else (skipped.get("message") or "").rpartition("\n")[2]


def cases(file: Path) -> list[Case]:
    """Each case of a JUnit file, as pytest, ctest and GoogleTest write it."""
    return [
        Case(f"{case.get('classname', '')}.{case.get('name')}", outcome(case), detail(case))
        for case in ElementTree.parse(file).iter("testcase")
    ]


def stage_cases(stage: Path) -> list[Case]:
    found: list[Case] = []
    # The test programs that wrote their cases down, and whether one of those failed.
    told: dict[str, bool] = {}
    for file in sorted((stage / "gtest").glob("*.xml")):
        own = cases(file)
        told[file.stem] = any(case.outcome == "failed" for case in own)
        found += own
    for file in sorted(stage.glob("*.xml")):
        for case in cases(file):
            program = case.name.rpartition(".")[2]
            # A program that told its cases counts no more, unless it failed after the last (a leak).
            if file.name == "ctest.xml" and program in told:
                if told[program] or case.outcome != "failed":
                    continue
            found.append(case)
    checks = stage / "checks.txt"
    for line in checks.read_text().splitlines() if checks.exists() else []:
        what, name = line.split(" ", 1)
        # Steps that only hold cases count when they failed without one that did.
        holds_cases = name in ("unit tests", "end-to-end tests", "campaigns")
        failed = any(case.outcome == "failed" for case in found)
        if not holds_cases or (what == "failed" and not failed):
            found.append(Case(name, what))
    return found


def judged(stage: str, case: Case) -> tuple[str, str]:
    """What a case counts as, and what there is to say about it."""
    if case.outcome == "failed":
        return "failed", f"FAILED: {stage}: {case.name}"
    reason = allowed_skips.reason(stage, case.name)
    if case.outcome == "skipped" and reason:
        return "skipped", f"SKIPPED, as agreed: {stage}: {case.name}: {reason}"
    if case.outcome == "skipped":
        if REQUIRE_ALL:
            return "failed", f"FAILED: {stage}: {case.name}: skipped: {case.detail}"
        return "skipped", f"SKIPPED: {stage}: {case.name}: {case.detail}"
    if reason and REQUIRE_ALL:
        return "failed", f"FAILED: {stage}: {case.name}: runs, and allowed_skips.py says otherwise"
    return "passed", ""


def main() -> int:
    results = Path(sys.argv[1])
    total: Counter[str] = Counter()
    for stage in sorted(path for path in results.iterdir() if path.is_dir()):
        for case in stage_cases(stage):
            what, remark = judged(stage.name, case)
            total[what] += 1
            if remark:
                print(remark)
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
