"""The programs of tests/interop/node with their packages: put into the build tree when a test first asks for one."""

from __future__ import annotations

import fcntl
import filecmp
import functools
import shutil
import subprocess
from pathlib import Path

import pytest

from requirements import skip
from settings import BUILD, SOURCE

SOURCES = SOURCE / "tests" / "interop" / "node"
OUT = BUILD / "tests" / "interop" / "node"
LOCKED = "package-lock.json"


@functools.cache
def packages() -> Path:
    """A node_modules with what package-lock.json says."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        skip("the programs of tests/interop/node are not there: no node and npm on the PATH")
    OUT.mkdir(parents=True, exist_ok=True)
    # Several pytest processes share the build tree. The copy of the lock file comes last: it says that all went well.
    installed = OUT / "node_modules" / LOCKED
    with open(OUT / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed.exists() and filecmp.cmp(installed, SOURCES / LOCKED, shallow=False):
            return OUT / "node_modules"
        for file in ("package.json", LOCKED, ".npmrc"):
            shutil.copy(SOURCES / file, OUT)
        done = subprocess.run(["npm", "ci"], cwd=OUT, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.fail(f"npm ci: {done.stderr}", pytrace=False)
        shutil.copy(SOURCES / LOCKED, installed)
    return OUT / "node_modules"


def node_command(script: str) -> list[str | Path]:
    # Node looks for packages beside the script that it is told to run.
    copy = packages().parent / script
    source = SOURCES / script
    if not copy.exists() or not filecmp.cmp(copy, source, shallow=False):
        shutil.copy(source, copy)
    return [shutil.which("node"), copy]
