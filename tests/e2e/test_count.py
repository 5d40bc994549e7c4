"""run.sh's last line: what counts as passed, failed and skipped. A test that vanishes into a skip must not look like one that passed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from settings import SOURCE

sys.path.insert(0, str(SOURCE / "tests"))
from allowed_skips import ALLOWED  # noqa: E402  (beside run.sh, not beside this)

AGREED = ALLOWED[0]


def gtest(results: Path, stage: str, test: str, outcome: str) -> None:
    """A program's own report, as GoogleTest writes it."""
    inside = {
        "passed": "",
        "failed": '<failure message="no"/>',
        "skipped": '<skipped message="some_test.cc:7&#x0A;no such device"/>',
    }[outcome]
    suite, _, name = test.rpartition(".")
    folder = results / stage / "gtest"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{len(list(folder.iterdir()))}.xml").write_text(
        f'<testsuites><testsuite name="{suite}"><testcase name="{name}" classname="{suite}">{inside}'
        "</testcase></testsuite></testsuites>"
    )


def count(results: Path, require_all: bool) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, SOURCE / "tests" / "count.py", results],
        env={**os.environ, "PLUGIND_REQUIRE_ALL": "1" if require_all else ""},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize(
    "stage, test, outcome, anyway, when_all_is_required",
    [
        ("release", "A.Passes", "passed", "2 passed, 0 failed, 0 skipped", "2 passed, 0 failed"),
        ("release", "A.Fails", "failed", "1 passed, 1 failed, 0 skipped", "1 passed, 1 failed"),
        ("release", "A.Skips", "skipped", "1 passed, 0 failed, 1 skipped", "1 passed, 1 failed"),
        (
            AGREED.stages[0],
            AGREED.test.replace("*", "0"),
            "skipped",
            "1 passed, 0 failed, 1 skipped",
            "1 passed, 0 failed, 1 skipped",
        ),
        # Agreed for other stages only.
        (
            "asan",
            AGREED.test.replace("*", "0"),
            "skipped",
            "1 passed, 0 failed, 1 skipped",
            "1 passed, 1 failed",
        ),
        # What is agreed and not needed is an entry that will one day hide something.
        (
            AGREED.stages[0],
            AGREED.test.replace("*", "0"),
            "passed",
            "2 passed, 0 failed, 0 skipped",
            "1 passed, 1 failed",
        ),
    ],
)
def test_only_the_agreed_skips_are_none_of_the_failures(
    stage: str, test: str, outcome: str, anyway: str, when_all_is_required: str, tmp_path: Path
) -> None:
    gtest(tmp_path, stage, "Other.Passes", "passed")
    gtest(tmp_path, stage, test, outcome)
    for require_all, expected in ((False, anyway), (True, when_all_is_required)):
        code, lines = count(tmp_path, require_all)
        assert lines[-1].startswith(expected), lines
        assert code == (0 if " 0 failed" in expected else 1)


def test_each_skip_is_printed_with_its_reason(tmp_path: Path) -> None:
    agreed = AGREED.test.replace("*", "0")
    gtest(tmp_path, AGREED.stages[0], agreed, "skipped")
    gtest(tmp_path, AGREED.stages[0], "A.Skips", "skipped")
    _, lines = count(tmp_path, require_all=False)
    stage = AGREED.stages[0]
    assert f"SKIPPED, as agreed: {stage}: {agreed}: {AGREED.reason}" in lines
    assert f"SKIPPED: {stage}: A.Skips: no such device" in lines
    _, lines = count(tmp_path, require_all=True)
    assert f"FAILED: {stage}: A.Skips: skipped: no such device" in lines
