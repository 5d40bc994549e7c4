"""Who makes the calls: bench_load for everything but go-plugin, whose host makes its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from calls.program import Program

UNARY, STREAMING = "unary", "streaming"


@dataclass(frozen=True)
class Load:
    mode: str  # UNARY, or STREAMING: a call is a message's way there and back
    in_flight: int
    size: int  # bytes in a message


@dataclass(frozen=True)
class Slice:
    """What the caller reports of one slice; see ../calls/load.cc."""

    calls: int  # that ended while it measured
    seconds: float  # for which it measured
    p50_us: float
    p99_us: float
    all: int  # with the warm-up's
    failed: int
    error: str


class Caller:
    def __init__(self, command: list[str], directory: Path, name: str) -> None:
        self.program = Program(command, directory, name, piped=True)

    def connected(self, target: str, seconds: float) -> bool:
        return bool(json.loads(self.program.ask(f"wait {target} {seconds}"))["connected"])

    def run(self, target: str, load: Load, seconds: float) -> Slice:
        command = f"run {target} {load.size} {load.in_flight} {load.mode} {seconds}"
        return Slice(**json.loads(self.program.ask(command)))
