"""pluginctl plugin run --attach: plugins of every SDK under their languages' real debuggers. Nothing loses patience with one that
stands at a breakpoint, and the process stays the same."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Iterator

import pytest

import processes
from author_run import TOOLS, AuthorRun, attach, call
from debuggers import DEBUGGERS, Debugger, TerminalSession
from parity_plugins import DIRECT
from processes import eventually
from settings import SLOWNESS

ECHO = "parity/parity.v1.Parity/Echo"
# Any of these would end a plugin that does not answer, or the call that waits for it.
IMPATIENT = """protocol_versions = [1, 2]
start_timeout = "200ms"
call = { timeout = "200ms" }
[health]
interval = "20ms"
timeout = "20ms"
failures = 1
"""
LOOKING = "1s"  # the author does, for many times as long as each of them

debugged = pytest.mark.parametrize("language", [each for each in DEBUGGERS if each in DIRECT])


def echo(socket: str) -> str:
    return json.loads(call(socket, ECHO, '{"text": "Ada"}'))["text"]


def echo_meanwhile(socket: str) -> Future[str]:
    answer: Future[str] = Future()

    def ask() -> None:
        try:
            answer.set_result(echo(socket))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    return answer


def never_comes(socket: str, state: str) -> None:
    """Nor does one in which there is nothing to wait for: the wait ends with 7, its time."""
    command = ["wait", "parity", "--for", state, "--timeout", LOOKING]
    done = subprocess.run(
        [TOOLS / "pluginctl", "--socket", socket, *command], capture_output=True, text=True
    )
    assert done.returncode == 7, done.stdout + done.stderr


@contextlib.contextmanager
def debugger_of(
    debugger: Debugger, given: dict[str, str], scratch: Path, marker: dict[str, str]
) -> Iterator[TerminalSession]:
    """In the environment that was given to the plugin's author. Where it has a `begin`, the plugin has not started yet."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    # LeakSanitizer refuses to work under another tracer.
    kept["ASAN_OPTIONS"] = "detect_leaks=0"
    environment = {**kept, **marker, "HOME": str(scratch), **given}
    with TerminalSession(debugger.command, environment, scratch) as terminal:
        terminal.wait(debugger.first)
        yield terminal


def type_all(terminal: TerminalSession, debugger: Debugger, lines: list[str]) -> None:
    for line in lines:
        terminal.wait(debugger.prompt)
        terminal.type(line)


def wait_ended(terminal: TerminalSession, debugger: Debugger) -> None:
    if debugger.ended:
        terminal.wait(debugger.ended)
    else:
        assert terminal.process.wait(30 * SLOWNESS) == 0, terminal.text


@debugged
def test_a_call_waits_at_a_breakpoint_for_as_long_as_its_author_looks(
    language: str, marker: dict[str, str], tmp_path: Path
) -> None:
    debugger = DEBUGGERS[language](tmp_path)
    settings = tmp_path / "parity.toml"
    settings.write_text(IMPATIENT)
    with AuthorRun("--attach", "--config", settings, "--", *debugger.plugin, env=marker) as run:
        given = attach(run)
        with debugger_of(debugger, given, tmp_path, marker) as terminal:
            # Not started yet: it is not READY, and has not failed.
            if debugger.begin:
                folder = Path(given["PLUGIN_UNIX_SOCKET_DIR"]).parents[1]
                never_comes(f"{folder}/r/plugind.sock", "READY")
            type_all(terminal, debugger, debugger.begin)
            socket = run.wait_ready()
            answer = echo_meanwhile(socket)
            terminal.wait(debugger.stopped)
            for state in ("UNREADY", "BACKOFF"):
                never_comes(socket, state)
            if debugger.look[0]:
                terminal.wait(debugger.prompt)
                terminal.type(debugger.look[0])
                terminal.wait(debugger.look[1])
            assert not answer.done()
            type_all(terminal, debugger, debugger.go_on)
            assert answer.result(30 * SLOWNESS) == "Ada"
            # One process, READY once: no restart, no moment without it.
            assert run.text.count("STATE STARTING spawn") == run.text.count("STATE READY") == 1
            assert "UNREADY" not in run.text and "BACKOFF" not in run.text
            run.interrupt()
            run.wait_ended(0)
            wait_ended(terminal, debugger)


@debugged
def test_a_plugin_ends_with_its_debugger_and_may_be_started_again(
    language: str, marker: dict[str, str], tmp_path: Path
) -> None:
    debugger = DEBUGGERS[language](tmp_path)
    settings = tmp_path / "parity.toml"
    settings.write_text(IMPATIENT)
    with AuthorRun("--attach", "--config", settings, "--", *debugger.plugin, env=marker) as run:
        given = attach(run)
        for _ in range(2):
            with debugger_of(debugger, given, tmp_path, marker) as terminal:
                type_all(terminal, debugger, debugger.begin)
                run.wait(r"STATE READY")
                os.killpg(terminal.process.pid, signal.SIGKILL)
                run.wait(r"^it may be started again$")


@debugged
def test_a_plugin_under_a_debugger_ends_with_its_host(
    language: str, marker: dict[str, str], tmp_path: Path
) -> None:
    """Its parent is the debugger, which stays."""
    debugger = DEBUGGERS[language](tmp_path)
    settings = tmp_path / "parity.toml"
    settings.write_text(IMPATIENT)
    with AuthorRun("--attach", "--config", settings, "--", *debugger.plugin, env=marker) as run:
        with debugger_of(debugger, attach(run), tmp_path, marker) as terminal:
            type_all(terminal, debugger, debugger.begin)
            socket = run.wait_ready()
            run.process.kill()
            wait_ended(terminal, debugger)
    # What the next run would do.
    eventually(
        lambda: not processes.marked(f"E2E_RUN_ID={marker['E2E_RUN_ID']}"),
        within=20 * SLOWNESS,
        what="its plugind is gone",
    )
    shutil.rmtree(Path(socket).parents[1])
