"""How a plugin is started – what it finds, and what keeps it from being started – and whether it is started again."""

from __future__ import annotations

import os
import re
import shutil
import struct
from pathlib import Path
from typing import Callable

import pytest

from daemon import Daemon, State, brief, fault
from settings import FAULT_PLUGIN
from stage import Stage

# ---- What the kernel refuses to start ----


def foreign(path: Path) -> None:
    """A copy of a binary that claims to be for another machine."""
    content = bytearray(FAULT_PLUGIN.read_bytes())
    content[18:20] = struct.pack("<H", 183 if os.uname().machine != "aarch64" else 62)
    path.write_bytes(content)
    path.chmod(0o755)


def script(first_line: str, mode: int = 0o755) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_text(first_line + "\n")
        path.chmod(mode)

    return make


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda path: None, r"no such file"),
        (lambda path: path.mkdir(), r"is a directory"),
        (script("#!/bin/sh", 0o644), r"not executable"),
        (script("#!/no/such/shell"), r"no such interpreter: /no/such/shell"),
        (script("hello"), r"exec format error"),
        (script(""), r"exec format error"),
        (foreign, r"exec format error.*(aarch64|x86-64) binary"),
    ],
    ids=[
        "missing",
        "directory",
        "not-executable",
        "no-interpreter",
        "no-format",
        "empty",
        "another-machine",
    ],
)
def test_what_cannot_be_executed_is_named(
    make: Callable[[Path], None], reason: str, daemon: Daemon
) -> None:
    program = daemon.root / "program"
    stage = Stage(daemon, [str(program)])
    make(program)
    stage.enable()
    stage.states("FAILED")
    plugin = daemon.get("subject")
    assert re.search(reason, plugin.reason) and str(program) in plugin.reason, plugin.reason
    stage.end()
    # An operator who has repaired it starts it.
    shutil.rmtree(program) if program.is_dir() else program.unlink(missing_ok=True)
    shutil.copy(FAULT_PLUGIN, program)
    daemon.plugin("subject", [program, "good"])
    daemon.reload()
    daemon.change("Enable", "subject")
    daemon.wait_ready("subject")


def test_a_script_is_a_plugin_too(daemon: Daemon) -> None:
    program = daemon.root / "program"
    program.write_text(f"#!/bin/sh\nexec {FAULT_PLUGIN} good\n")
    program.chmod(0o755)
    stage = Stage(daemon, [str(program)])
    stage.enable()
    daemon.wait_ready("subject")
    stage.end()


# ---- The restart decision ----


def test_five_failures_in_a_minute_end_in_quarantine_and_an_operator_ends_that(
    daemon: Daemon,
) -> None:
    stage = Stage(daemon, fault("exits", "exit=1"), backoff={"initial": "10ms"})
    stage.enable()
    assert stage.states("QUARANTINED") == ["WAITING", "STARTING", "STOPPING", "BACKOFF"] * 4 + [
        "WAITING",
        "STARTING",
        "STOPPING",
        "QUARANTINED",
    ]
    plugin = daemon.get("subject")
    assert plugin.restarts == 4 and plugin.HasField("next_start_at")
    assert plugin.recent_failures == 5
    assert "cannot go on" in plugin.last_exit.stderr_tail
    daemon.plugin("subject", fault("good"))
    daemon.reload()
    daemon.change("Start", "subject")
    daemon.wait_ready("subject")
    stage.end()


@pytest.mark.parametrize(
    "restart, code, state",
    [
        ("never", 3, "FAILED|STOPPED"),
        ("never", 0, "STOPPED"),
        ("on-failure", 3, "BACKOFF"),
        ("on-failure", 0, "STOPPED"),
        ("always", 3, "BACKOFF"),
        ("always", 0, "BACKOFF"),
    ],
)
def test_whether_it_is_started_again_is_what_its_file_says(
    restart: str, code: int, state: str, daemon: Daemon
) -> None:
    stage = Stage(daemon, fault("good", "crash_after_ms=100", f"exit={code}"), restart=restart)
    stage.enable()
    end = daemon.wait_event(
        "subject", lambda e: State.Name(e.to) in ("STOPPED", "BACKOFF", "FAILED"), since=stage.since
    )
    assert re.fullmatch(state, State.Name(end.to)), brief(end)
    assert daemon.get("subject").last_exit.code == code
    stage.end()


# ---- What a plugin finds around it ----


def test_a_plugin_gets_its_environment_and_nothing_else(daemon: Daemon) -> None:
    daemon.plugin(
        "subject",
        fault("reports"),
        env={"LANG": "C.UTF-8", "OWN": "yes"},
        protocol_versions=[1, 4],
        magic_cookie={"key": "BASIC_PLUGIN", "value": "hello"},
        limits={"nofile": 123},
    )
    os.environ["PLUGIND_TEST_LEAK"] = "leaked"
    try:
        daemon.start().wait_ready("subject")
    finally:
        del os.environ["PLUGIND_TEST_LEAK"]
    daemon.wait_log("subject", lambda entry: entry.message == "end of report")
    report = [entry.message for entry in daemon.logs("subject") if entry.source == entry.STDERR]
    environment = dict(
        line.removeprefix("env ").split("=", 1) for line in report if line.startswith("env ")
    )
    plugin = daemon.get("subject")

    marker, _, _ = daemon.marker.partition("=")
    expected = {
        marker,
        "LANG",
        "OWN",
        "BASIC_PLUGIN",
        "PLUGIN_PROTOCOL_VERSIONS",
        "PLUGIN_MIN_PORT",
        "PLUGIN_MAX_PORT",
        "PLUGIN_UNIX_SOCKET_DIR",
        "TMPDIR",
        "PLUGIND_HOST_ADDRESS",
        "PLUGIND_NAME",
        "PLUGIND_INSTANCE",
        "PLUGIND_STATE_DIR",
    }
    # The host's address is the gateway's to set.
    assert (
        expected - {"PLUGIND_HOST_ADDRESS"} <= set(environment) <= expected | {"PATH", "HOME", "TZ"}
    )
    assert (
        environment["BASIC_PLUGIN"] == "hello"
        and environment["OWN"] == "yes"
        and environment["LANG"] == "C.UTF-8"
    )
    assert sorted(environment["PLUGIN_PROTOCOL_VERSIONS"].split(",")) == ["1", "4"]
    assert (
        environment["PLUGIND_NAME"] == "subject"
        and environment["PLUGIND_INSTANCE"] == plugin.instance
    )
    assert (
        environment["TMPDIR"]
        == environment["PLUGIN_UNIX_SOCKET_DIR"]
        == str(daemon.runtime / "i" / plugin.instance)
    )
    assert Path(environment["PLUGIND_STATE_DIR"]).is_dir()

    fds = [line.split()[1:] for line in report if line.startswith("fd ")]
    # Any other fd is the one with which the fixture reads its own /proc.
    assert [fd for fd, _ in fds] == ["0", "1", "2"] and fds[0][1] == "/dev/null"
    assert all(target.startswith("pipe:") for _, target in fds[1:])
    status = dict(
        line.removeprefix("status ").split(":", 1) for line in report if line.startswith("status ")
    )
    assert (
        int(status["SigBlk"], 16) == 0
        and int(status["SigIgn"], 16) == 0
        and status["NoNewPrivs"].strip() == "1"
    )
    assert "session own" in report and "directory-mode 700" in report and "nofile 123" in report
