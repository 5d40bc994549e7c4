"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import uuid
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import settings
import stubs

stubs.generate()

# Nothing in these is ours in C++, which is all that a sanitizer looks at.
collect_ignore = ["test_python_sdk.py"] if settings.SANITIZED else []

import processes  # noqa: E402
from daemon import Daemon  # noqa: E402  (needs the stubs)
from processes import eventually  # noqa: E402
from requirements import skip  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    # Other users must get at what the tests write for them, whatever root's umask is.
    os.umask(0o022)
    # A shell ignores SIGINT for what it runs in the background, and what is ignored here is ignored by every program.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for program in (settings.BIN / "plugind", settings.BIN / "pluginctl", settings.FAULT_PLUGIN):
        if not program.exists():
            raise pytest.UsageError(
                f"{program} is missing: build first, or point PLUGIND_BUILD to a build tree"
            )


@pytest.fixture
def needs_root() -> None:
    if os.geteuid() != 0:
        skip("this test needs root")


@pytest.fixture
def make_daemon() -> Iterator[Callable[..., Daemon]]:
    """Makes daemons that are stopped and examined after the test, whatever its outcome."""
    made: list[Daemon] = []

    def make(**keys: Any) -> Daemon:
        made.append(Daemon(**keys))
        return made[-1]

    yield make
    complaints = []
    for daemon in made:
        try:
            daemon.close()
        except AssertionError as error:
            complaints.append(str(error))
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    """One that is not yet started."""
    return make_daemon()


@pytest.fixture
def marker() -> Iterator[dict[str, str]]:
    """An environment by which everything that a run starts is found; at the end nothing of it may be left."""
    # Short, because a socket's path holds 107 bytes.
    scratch = Path(tempfile.mkdtemp(prefix="pr-"))
    name = uuid.uuid4().hex
    yield {"TMPDIR": str(scratch), "E2E_RUN_ID": name}
    try:
        eventually(
            lambda: not processes.marked(f"E2E_RUN_ID={name}"),
            within=20 * settings.SLOWNESS,
            what="no process is left",
        )
        assert os.listdir(scratch) == [], "its folder is left"
    finally:
        for process in processes.marked(f"E2E_RUN_ID={name}"):
            os.kill(process.pid, signal.SIGKILL)
        shutil.rmtree(scratch)
