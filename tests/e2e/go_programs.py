"""The programs of tests/interop: built once for a build tree, when a test first asks for one."""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from requirements import skip
from settings import BUILD, SOURCE

MODULE = SOURCE / "tests" / "interop"
OUT = BUILD / "tests" / "interop"

PROGRAMS = {
    "server": "./server",
    "host": "./host",
    "brokered": "./brokered",
    "client": "google.golang.org/grpc/interop/client",
    "h2spec": "github.com/summerwind/h2spec/cmd/h2spec",
    "grpcurl": "github.com/fullstorydev/grpcurl/cmd/grpcurl",
    "dlv": "github.com/go-delve/delve/cmd/dlv",
}

# The Go that is there, not one that it would fetch.
ENVIRONMENT = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": ""}


def go_version() -> tuple[int, ...]:
    """(0,) where there is none."""
    if shutil.which("go") is None:
        return (0,)
    said = subprocess.run(
        ["go", "env", "GOVERSION"], env=ENVIRONMENT, capture_output=True, text=True
    ).stdout
    return tuple(int(part) for part in re.findall(r"\d+", said)[:2]) or (0,)


@functools.cache
def program(name: str) -> Path:
    """Built: the go command itself knows whether there is anything to do."""
    if go_version() < (1, 24):
        skip(f"{name} of tests/interop is not there: no Go 1.24 or later is on the PATH")
    OUT.mkdir(parents=True, exist_ok=True)
    command = ["go", "build", "-trimpath", "-buildvcs=false", "-o", OUT / name, PROGRAMS[name]]
    # Several pytest processes share the build tree; a program that runs must not be replaced.
    with open(OUT / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            command, cwd=MODULE, env=ENVIRONMENT, capture_output=True, text=True, timeout=900
        )
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))}:\n{done.stderr}", pytrace=False)
    return OUT / name
