"""Debuggers as a plugin's author uses them: in a terminal, by what is typed and what is shown."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from go_programs import program
from parity_plugins import parity_plugin
from requirements import skip
from settings import SLOWNESS

# What moves the cursor, colours, and ends a line twice.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class TerminalSession:
    """A program in a terminal of its own. A context manager: at its end the whole session is killed."""

    def __init__(self, command: list[str | Path], environment: dict[str, str], cwd: Path) -> None:
        self._terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command,
            env={**environment, "TERM": "dumb"},
            cwd=cwd,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.text = ""
        self._read = 0
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self) -> None:
        while True:
            try:
                piece = os.read(self._terminal, 65536)
            except OSError:  # the terminal's end
                piece = b""
            with self._changed:
                self.text += CONTROL.sub("", piece.decode(errors="replace"))
                self._ended = not piece
                self._changed.notify_all()
            if not piece:
                return

    def wait(self, pattern: str, within: float = 60.0) -> re.Match[str]:
        """What is shown, after what was waited for before."""
        deadline = time.monotonic() + within * SLOWNESS
        with self._changed:
            while True:
                if found := re.compile(pattern, re.M).search(self.text, self._read):
                    self._read = found.end()
                    return found
                left = deadline - time.monotonic()
                if self._ended or not self._changed.wait(max(left, 0)):
                    raise AssertionError(f"{pattern!r} is not shown, but:\n{self.text}")

    def type(self, line: str) -> None:
        os.write(self._terminal, f"{line}\n".encode())

    def __enter__(self) -> TerminalSession:
        return self

    def __exit__(self, *exception: object) -> None:
        # What it debugs may be in a process group of its own; that ends with its tracer, or with the terminal.
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20 * SLOWNESS)
        self._reader.join(20)
        os.close(self._terminal)


@dataclass
class Debugger:
    """How one is made to stop the parity plugin of its language in Echo, and what it shows then."""

    plugin: list[str | Path]  # as `plugin run --attach` is told
    command: list[str | Path]
    prompt: str
    stopped: str
    go_on: list[str]  # typed one by one, each at a prompt; from then on it stops no more
    begin: list[str] = field(default_factory=list)  # up to the plugin's run
    first: str = ""  # shown before the first prompt
    look: tuple[str, str] = ("", "")  # typed at the stop, and what it shows: the request's text is "Ada"
    ended: str = ""  # the plugin has, in order; empty: the debugger ends with it


def need_ptrace() -> None:
    asked = "import ctypes; raise SystemExit(ctypes.CDLL(None).ptrace(0, 0, 0, 0) != 0)"  # PTRACE_TRACEME
    if subprocess.run([sys.executable, "-c", asked]).returncode:
        skip("this machine lets no process trace another")


def gdb(scratch: Path) -> Debugger:
    if not shutil.which("gdb"):
        skip("C++ plugins are not debugged: there is no gdb")
    need_ptrace()
    plugin = parity_plugin("cpp")
    return Debugger(
        plugin=[plugin],
        command=["gdb", "-q", "-nx", "-iex", "set debuginfod enabled off", plugin],
        prompt=r"^\(gdb\) ",
        begin=["set pagination off", "set confirm off", "break ParityService::Echo", "run"],
        stopped=r"hit Breakpoint 1.*Echo",
        go_on=["delete", "continue"],
        ended=r"^\[Inferior 1 .*exited normally\]",
    )


def dlv(scratch: Path) -> Debugger:
    need_ptrace()
    plugin = parity_plugin("go")
    return Debugger(
        plugin=[plugin],
        # The compiler may be newer than the debugger.
        command=[program("dlv"), "exec", "--check-go-version=false", plugin],
        prompt=r"\(dlv\) ",
        begin=["break main.(*parity).Echo", "continue"],
        stopped=r"Echo\(\) .*\(hits .*total:1\)",
        go_on=["clearall", "continue"],
        ended=r"has exited with status 0",
    )


def pdb(scratch: Path) -> Debugger:
    # breakpoint() stops in any thread; "python -m pdb" itself looks at the main one only.
    out = parity_plugin("python").parent
    text = (out / "parity_plugin.py").read_text()
    handler = re.search(r"^    def Echo\(.*\n", text, re.M)
    assert handler
    stop = "        breakpoint() if request.text == 'Ada' else None\n"
    script = scratch / "parity_plugin.py"
    script.write_text(text[: handler.end()] + stop + text[handler.end() :])
    for module in out.glob("parity_pb2*.py"):
        shutil.copy(module, scratch)
    plugin = [out / "venv" / "bin" / "python", script]
    return Debugger(
        plugin=plugin,
        command=plugin,
        prompt=r"\(Pdb\) ",
        stopped=r"^> .*parity_plugin\.py\(\d+\)Echo\(\)",
        look=("p request.text", "^'Ada'$"),
        go_on=["continue"],
    )


def node_inspect(scratch: Path) -> Debugger:
    out = parity_plugin("node").parent
    script = out / "parity_plugin.js"
    lines = script.read_text().splitlines()
    line = next(at for at, text in enumerate(lines, 1) if "async Echo(" in text) + 1
    node = shutil.which("node") or "node"
    return Debugger(
        plugin=[node, script],
        command=[node, "inspect", "--port=0", script],
        prompt=r"debug> ",
        first="Break on start",
        begin=[f"setBreakpoint('{script.name}', {line})", "cont"],
        stopped=rf"break in .*{script.name}:{line}",
        look=("exec('request.text')", "'Ada'"),
        go_on=[f"clearBreakpoint('{script.name}', {line})", "cont"],
        ended="Waiting for the debugger to disconnect",
    )


DEBUGGERS = {"cpp": gdb, "go": dlv, "python": pdb, "node": node_inspect}
