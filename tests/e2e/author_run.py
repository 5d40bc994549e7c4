"""A `pluginctl plugin run` that a test drives as its author would: by files, by Ctrl-C, and by reading what it shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from settings import BUILD, SLOWNESS


# With the templates and the SDKs beside it, as a copy of the programs alone would not be.
TOOLS = BUILD / "bin"


class AuthorRun:
    """A context manager; at its end Ctrl-C, unless it has ended by itself."""

    def __init__(self, *arguments: str | Path, **options: Any) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in ("PLUGIND_SOCKET", "TMPDIR")}
        environment.update(options.pop("env", {}))
        self.process = subprocess.Popen(
            [TOOLS / "pluginctl", "plugin", "run", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            **options,
        )
        self.lines: list[str] = []
        self._read = 0
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self.lines.append("<the end>")
            self._changed.notify_all()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait(self, pattern: str, within: float = 30.0) -> re.Match[str]:
        """The next line, after those that were waited for, that matches."""
        deadline = time.monotonic() + within * SLOWNESS
        with self._changed:
            while True:
                for at in range(self._read, len(self.lines)):
                    if found := re.search(pattern, self.lines[at]):
                        self._read = at + 1
                        return found
                left = deadline - time.monotonic()
                ended = self.lines and self.lines[-1] == "<the end>"
                if ended or not self._changed.wait(max(left, 0)):
                    raise AssertionError(f"no line matches {pattern!r}; it showed:\n{self.text}")

    def wait_ready(self) -> str:
        """plugind's socket."""
        self.wait(r" is READY after \d+ ms")
        found = self.wait(r"try +pluginctl --socket (\S+) call ")
        self.wait(r"status +pluginctl ")
        return found[1]

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def wait_ended(self, code: int, within: float = 30.0) -> None:
        try:
            ended = self.process.wait(within * SLOWNESS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end; it showed:\n{self.text}") from None
        self._reader.join(10)
        assert ended == code, f"it ended with {ended}, not {code}:\n{self.text}"

    def __enter__(self) -> AuthorRun:
        return self

    def __exit__(self, kind: Any, *rest: Any) -> None:
        try:
            if self.process.poll() is None:
                self.interrupt()
            self.process.wait(20 * SLOWNESS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._reader.join(10)


def call(socket: str, method: str, data: str) -> str:
    """pluginctl call, as the page that it showed says."""
    done = subprocess.run(
        [TOOLS / "pluginctl", "--socket", socket, "call", method, "-d", data],
        capture_output=True,
        text=True,
        timeout=30 * SLOWNESS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def attach(run: AuthorRun) -> dict[str, str]:
    """What it says is to be exported, as a shell understands it."""
    file = run.wait(r'by "\. (\S+)":')[1]
    run.wait(r"^and then, under a debugger or without: /")
    assert Path(file).read_text() in run.text + "\n"
    output = subprocess.run(
        ["env", "-i", "bash", "-c", f". {file} && env -0"], capture_output=True, text=True, check=True
    ).stdout
    return dict(entry.split("=", 1) for entry in output.split("\0") if entry)
