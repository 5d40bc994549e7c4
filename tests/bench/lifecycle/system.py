"""A supervisor under test with its plugins, as the benchmark sees it, and what one kill shows."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lifecycle.board import Board, Report

START_TIMEOUT = 120.0
MILLISECOND = 1e6  # in nanoseconds


class Skipped(Exception):
    """This system cannot run here; the text says why."""


@dataclass(frozen=True)
class Context:
    board: Board
    directory: Path  # for this run alone
    fixture: Path
    build: Path

    def environment(self, system: str) -> dict[str, str]:
        return {"BENCH_SOCKET": str(self.board.socket_path), "BENCH_SYSTEM": system}


class System:
    """Subclasses say how to start it and where to look. Times are CLOCK_MONOTONIC, nanoseconds."""

    column = ""  # the name in the results
    # What cannot be measured of it, by metric, and why. Everything else must come out as a number.
    absent: dict[str, str] = {}

    def __init__(self, context: Context, size: int) -> None:
        self.context = context
        self.board = context.board
        self.size = size
        self.key = f"{self.column}-{size}".replace(" ", "-")
        self.directory = context.directory / self.key
        self.names = [f"p{i:03d}" for i in range(size)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once every plugin runs. Raises Skipped where that is impossible."""
        raise NotImplementedError

    def processes(self) -> dict[str, list[int]]:
        """The supervisor's own processes by the column they count for, without the plugins."""
        raise NotImplementedError

    @contextmanager
    def observe(self, plugin: str) -> Iterator[None]:
        """Whatever must be in place while one plugin is killed and comes back."""
        yield

    def seen(self, plugin: str, pid: int) -> Report | None:
        """The supervisor knows that the plugin's process `pid` is dead; `at` says when."""
        raise NotImplementedError

    def told(self, plugin: str, pid: int) -> Report | None:
        """A subscriber knows it too; `received` says when. For most it is the same event."""
        return self.seen(plugin, pid)

    def spawn_and_ready(self, plugin: str, handshake: Report) -> tuple[int | None, int] | None:
        """When it began to start the process that printed `handshake`, if that shows; READY."""
        return None

    def calls(self) -> dict[str, Callable[[], object]]:
        """An RPC for each of the metrics `get` and `list` that it has."""
        return {}

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for what has not ended after that. Never leaves a process."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def launch(
        self,
        command: list[str],
        env: dict[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
    ) -> None:
        """Its output goes to the file `log`, unless `stdout` says otherwise."""
        self.directory.mkdir(exist_ok=True)
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "LANG": "C.UTF-8"}
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env=environment | self.context.environment(self.key) | (env or {}),
                stdin=stdin,
                stdout=log if stdout is None else stdout,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait_until_all_run(self) -> None:
        try:
            self.board.wait_for_processes(self.key, self.size, START_TIMEOUT)
        except TimeoutError as error:
            raise RuntimeError(f"{error}; its log:\n{self.log_tail()}") from None

    def log_tail(self) -> str:
        return (self.directory / "log").read_text(errors="replace")[-2000:]


def kill_once(system: System, plugin: str, at_age: float) -> dict[str, float]:
    """Kills the plugin when its process is `at_age` seconds old; what was seen of it, in ms.

    A metric that did not show within ten seconds is missing from the answer: a lost sample.
    """
    board = system.board
    before = board.alive(system.key)[plugin]
    time.sleep(max(0.0, at_age - (time.monotonic_ns() - before.at) / 1e9))
    board.clear(system.key, plugin)
    shown: dict[str, float] = {}
    with system.observe(plugin):
        killed = time.monotonic_ns()
        os.kill(before.pid, signal.SIGKILL)
        main = board.wait(system.key, plugin, lambda r: r.kind == "main" and r.pid != before.pid)
        seen = system.seen(plugin, before.pid)
        if seen is not None:
            shown["seen"] = (seen.at - killed) / MILLISECOND
        if "told" not in system.absent and (told := system.told(plugin, before.pid)) is not None:
            shown["told"] = (told.received - killed) / MILLISECOND
        if main is None:
            return shown
        shown["replaced"] = (main.at - killed) / MILLISECOND
        if "back" in system.absent:
            return shown
        handshake = board.wait(
            system.key, plugin, lambda r: r.kind == "handshake" and r.pid == main.pid
        )
        if handshake is None:
            return shown
        if (times := system.spawn_and_ready(plugin, handshake)) is not None:
            spawn, ready = times
            if spawn is not None:
                shown["overhead"] = (main.at - spawn + ready - handshake.at) / MILLISECOND
            shown["back"] = (ready - killed) / MILLISECOND
    return shown
