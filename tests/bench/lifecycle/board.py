"""Where everything that happened is written down, with the CLOCK_MONOTONIC time of whoever saw it.

Fixtures, the Go host and supervisord's listener send datagrams; runit and s6 are seen by inotify on
their status files; plugind's events come in from gRPC threads. One thread reads the first two, so
that the main thread may block.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_IN_MOVED_TO = 0x80
_INOTIFY_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Report:
    """One thing that happened to one plugin; times are CLOCK_MONOTONIC in nanoseconds."""

    kind: str
    pid: int  # 0 where the source does not tell
    at: int  # by the clock of whoever it happened to
    received: int  # when this process learnt it


class Board:
    def __init__(self, directory: Path) -> None:
        self.socket_path = directory / "reports"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.socket_path))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._inotify = _libc.inotify_init1(os.O_CLOEXEC)
        if self._inotify < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._watches: dict[int, tuple[str, str]] = {}
        self._reports: dict[tuple[str, str], list[Report]] = defaultdict(list)
        self._mains: dict[tuple[str, str], Report] = {}
        self._changed = threading.Condition()
        self._end_read, self._end_write = os.pipe()
        self._reader = threading.Thread(target=self._read, name="board")
        self._reader.start()

    def close(self) -> None:
        os.write(self._end_write, b"x")
        self._reader.join()
        for fd in (self._inotify, self._end_read, self._end_write):
            os.close(fd)
        self._socket.close()

    def post(self, system: str, plugin: str, report: Report) -> None:
        with self._changed:
            self._reports[system, plugin].append(report)
            if report.kind == "main":
                self._mains[system, plugin] = report
            self._changed.notify_all()

    def alive(self, system: str) -> dict[str, Report]:
        """The newest process of each of the system's plugins, by plugin."""
        with self._changed:
            return {plugin: main for (name, plugin), main in self._mains.items() if name == system}

    def clear(self, system: str, plugin: str) -> None:
        with self._changed:
            self._reports[system, plugin].clear()

    def wait(
        self, system: str, plugin: str, wanted: Callable[[Report], bool], timeout: float = 10.0
    ) -> Report | None:
        """The first report since `clear` that is wanted, or None when it has not come in time."""

        def find() -> Report | None:
            return next((r for r in self._reports[system, plugin] if wanted(r)), None)

        with self._changed:
            return self._changed.wait_for(find, timeout)

    def wait_for_processes(self, system: str, count: int, timeout: float) -> None:
        def all_there() -> bool:
            return sum(name == system for name, _ in self._mains) >= count

        with self._changed:
            if not self._changed.wait_for(all_there, timeout):
                raise TimeoutError(f"{system}: its {count} plugins have not all started")

    def watch_status(self, directory: Path, system: str, plugin: str) -> int:
        """Reports `status` whenever that file in the directory is replaced, until `unwatch`."""
        with self._changed:  # the reader must not see an event of a watch that it does not know
            watch: int = _libc.inotify_add_watch(
                self._inotify, os.fsencode(directory), _IN_MOVED_TO
            )
            if watch < 0:
                raise OSError(ctypes.get_errno(), f"inotify_add_watch: {directory}")
            self._watches[watch] = (system, plugin)
        return watch

    def unwatch(self, watch: int) -> None:
        with self._changed:
            del self._watches[watch]
            _libc.inotify_rm_watch(self._inotify, watch)

    def _read(self) -> None:
        selector = selectors.DefaultSelector()
        for fd in (self._socket.fileno(), self._inotify, self._end_read):
            selector.register(fd, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            received = time.monotonic_ns()
            if self._end_read in ready:
                return
            if self._inotify in ready:
                self._read_inotify(received)
            if self._socket.fileno() in ready:
                system, kind, plugin, pid, at = self._socket.recv(1024).decode().split(" ")
                self.post(system, plugin, Report(kind, int(pid), int(at), received))

    def _read_inotify(self, received: int) -> None:
        data = os.read(self._inotify, 65536)
        offset = 0
        while offset < len(data):
            watch, _, _, size = _INOTIFY_EVENT.unpack_from(data, offset)
            offset += _INOTIFY_EVENT.size
            name = data[offset : offset + size].rstrip(b"\0")
            offset += size
            with self._changed:
                target = self._watches.get(watch)
            if target is not None and name == b"status":
                self.post(*target, Report("status", 0, received, received))
