"""The parity plugin of each language (sdk/parity), built into the build tree when a test first asks for it."""

from __future__ import annotations

import fcntl
import functools
import os
import subprocess
from pathlib import Path

import pytest

from requirements import skip
from settings import BUILD, SANITIZED, SOURCE

LANGUAGES = ("cpp", "python", "go", "node")
# A sanitizer is in our C++ only: the other languages' plugins are the same in every build. Debian's grpcio is the oldest that
# the Python SDK takes; "python-newest" has what PyPI has.
DIRECT = ("cpp",) if SANITIZED else (*LANGUAGES, "python-newest")

PARITY = SOURCE / "sdk" / "parity"
CANNOT = 77  # the exit code of a build.sh that lacks something


def _newest(folder: Path) -> float:
    files = (file for file in folder.rglob("*") if "node_modules" not in file.parts)
    return max(
        file.stat().st_mtime for file in files if file.is_file() and "__pycache__" not in file.parts
    )


@functools.cache
def parity_plugin(variant: str) -> Path:
    """The executable. Built anew when its sources, or its SDK's, are newer."""
    language, _, packages = variant.partition("-")
    sources = PARITY / language
    if not (sources / "build.sh").exists():
        skip(f"there is no parity plugin in {sources.relative_to(SOURCE)}")
    out = BUILD / "tests" / "parity" / variant
    out.mkdir(parents=True, exist_ok=True)
    stamp = out / "stamp"
    newest = max(_newest(sources), _newest(SOURCE / "sdk" / language))
    newest = max(newest, (PARITY / "parity.proto").stat().st_mtime)
    # Several pytest processes share the build tree.
    with open(out / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.stat().st_mtime < newest:
            done = subprocess.run(
                [sources / "build.sh", out],
                env={**os.environ, "PLUGIND_BUILD": str(BUILD), "PARITY_PACKAGES": packages},
                capture_output=True,
                text=True,
                timeout=600,
            )
            if done.returncode == CANNOT:
                skip(f"the parity plugin in {language}: {done.stdout.strip()}")
            if done.returncode:
                said = f"{done.stdout}{done.stderr}"
                pytest.fail(f"{sources}/build.sh: {done.returncode}\n{said}", pytrace=False)
            stamp.touch()
    return out / "plugin"
