"""One plugind with all the hello plugins, and one sample of one of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from authors.subjects import Subject

OPTIONS = [("grpc.default_authority", "localhost"), ("grpc.max_reconnect_backoff_ms", 200)]
SERVICE = "/plugind.control.v1.PluginControl/"
TIMEOUT = 60.0


@dataclass
class Sample:
    start_ms: float  # the process exists → READY
    private_mib: float  # its own memory, after the calls
    call_us: float  # median of one unary call at a time, at the plugin's own socket


class Plugind:
    def __init__(self, build: Path, directory: Path, subjects: list[Subject]) -> None:
        sys.path.insert(0, str(build / "tests" / "bench" / "stubs"))
        from plugind.control.v1 import control_pb2

        self._pb: Any = control_pb2
        plugins = directory / "plugins.d"
        plugins.mkdir()
        (directory / "plugind.toml").write_text(
            '[daemon]\nrestarts_per_second = 0\n[metrics]\nlisten = ""\n'
        )
        for subject in subjects:
            pairs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in subject.env.items())
            (plugins / f"{subject.name}.toml").write_text(
                f"command = {json.dumps(subject.command)}\nenv = {{ {pairs} }}\n"
                'start_timeout = "60s"\n[health]\ninterval = "60s"\n'
            )
        socket = directory / "r" / "plugind.sock"
        self._log = open(directory / "log", "wb")
        self._process = subprocess.Popen(
            [
                str(build / "bin" / "plugind"),
                f"--config={directory}/plugind.toml",
                f"--runtime-dir={directory}/r",
                f"--state-dir={directory}/s",
            ],
            stdout=self._log,
            stderr=self._log,
        )
        self._channel = grpc.insecure_channel(f"unix:{socket}", OPTIONS)
        grpc.channel_ready_future(self._channel).result(timeout=TIMEOUT)
        for subject in subjects:
            self._wait_ready(subject.name, 1)

    def close(self) -> None:
        self._channel.close()
        self._process.terminate()
        self._process.wait(TIMEOUT)
        self._log.close()

    def _method(self, name: str, stream: bool = False) -> Any:
        kind = self._channel.unary_stream if stream else self._channel.unary_unary
        return kind(
            SERVICE + name,
            request_serializer=getattr(self._pb, f"{name}Request").SerializeToString,
            response_deserializer=getattr(self._pb, f"{name}Response").FromString,
        )

    def _wait_ready(self, name: str, since: int) -> float:
        """Milliseconds from `spawned` to `ready`, by plugind's own stamps."""
        request = self._pb.WatchEventsRequest(from_sequence=since, follow=True, name=name)
        stream = self._method("WatchEvents", stream=True)(request, timeout=TIMEOUT)
        spawned = 0
        for batch in stream:
            for event in batch.events:
                at = event.time.seconds * 1_000_000_000 + event.time.nanos
                if event.type == "spawned":
                    spawned = at
                elif event.type == "ready" and spawned:
                    stream.cancel()
                    return (at - spawned) / 1e6
                elif event.type in ("failed", "backoff"):
                    raise RuntimeError(f"{name}: {event.reason}")
        raise RuntimeError(f"{name}: no more events")

    def sample(self, subject: Subject, calls: int) -> Sample:
        """One new process of it."""
        request = self._pb.RestartPluginRequest(name=subject.name)
        since = self._method("RestartPlugin")(request, timeout=TIMEOUT).event_sequence
        start = self._wait_ready(subject.name, since)
        plugin = self._method("GetPlugin")(
            self._pb.GetPluginRequest(name=subject.name), timeout=TIMEOUT
        ).plugin
        times = []
        with grpc.insecure_channel(plugin.direct_address, OPTIONS) as channel:
            say = channel.unary_unary("/hello.v1.Hello/Say")
            say(b"\n\x05world", timeout=TIMEOUT, wait_for_ready=True)
            for _ in range(calls):
                before = time.perf_counter_ns()
                answer = say(b"\n\x05world", timeout=TIMEOUT)
                times.append(time.perf_counter_ns() - before)
                if answer != b"\n\x0bhello world":
                    raise RuntimeError(f"{subject.name} answered {answer!r}")
        rollup = Path(f"/proc/{plugin.pid}/smaps_rollup").read_text().splitlines()
        private = sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))
        return Sample(start, private / 1024, sorted(times)[len(times) // 2] / 1000)
