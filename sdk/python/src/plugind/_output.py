"""What the plugin prints: lines of the host's log, whichever host it is.

plugind reads the process's stdout and stderr for ever: there only Python's buffering is in the way. Other hosts throw stdout
away after the handshake, and may stop reading it, so there a pipe of our own takes its place, which feeds plugin.GRPCStdio.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Deque, Iterator, Optional

import grpc

from . import _wire
from ._handlers import on_pool

STDOUT = 1
CHUNK = 1024
# What is printed while nobody reads; beyond it the oldest goes.
KEPT_CHUNKS = 256


class _Pipe(io.FileIO):
    """A file descriptor whose reader may go away: an end in order is not to fail over a print."""

    def write(self, data):  # type: ignore[no-untyped-def]
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)


def _line_buffered(stream: object, fd: int) -> Optional[io.TextIOWrapper]:
    """A replacement for Python's own stream; None if the author has put something else there."""
    if not isinstance(stream, io.TextIOWrapper):
        return None
    # Who took hold of it before, e.g. a logging.StreamHandler, goes on with the old one.
    stream.reconfigure(line_buffering=True)
    pipe = io.BufferedWriter(_Pipe(fd, "w", closefd=False))
    return io.TextIOWrapper(
        pipe, encoding=stream.encoding, errors="backslashreplace", line_buffering=True
    )


def lines_at_once() -> None:
    """Each line that is printed leaves this process at once."""
    sys.stdout = _line_buffered(sys.stdout, 1) or sys.stdout
    sys.stderr = _line_buffered(sys.stderr, 2) or sys.stderr


def flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass  # nobody is there to read it


class Stdio:
    """plugin.GRPCStdio: a stream of what was printed, to one reader at a time, the newest.

    Thread safety: every method may be called on any thread; none waits for the reader.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._chunks: Deque[bytes] = deque(maxlen=KEPT_CHUNKS)
        self._readers = 0
        self._ended = False
        self._pool = ThreadPoolExecutor(4, "plugind-stdio")

    def handler(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            "plugin.GRPCStdio",
            {
                "StreamStdio": grpc.unary_stream_rpc_method_handler(
                    on_pool(self._pool, self._stream)
                )
            },
        )

    def put(self, data: bytes) -> bool:
        """False once it has ended."""
        with self._changed:
            if self._ended:
                return False
            self._chunks.extend(data[at : at + CHUNK] for at in range(0, len(data), CHUNK))
            self._changed.notify_all()
            return True

    def end(self) -> None:
        """The stream ends once everything printed so far is sent."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._pool.shutdown(wait=False)

    def _stream(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        with self._changed:
            self._readers += 1
            mine = self._readers
            self._changed.notify_all()  # the reader before leaves
        context.add_callback(self._wake)
        while True:
            with self._changed:
                while (
                    not self._chunks
                    and not self._ended
                    and mine == self._readers
                    and context.is_active()
                ):
                    self._changed.wait()
                if not self._chunks or mine != self._readers or not context.is_active():
                    return
                chunk = self._chunks.popleft()
            yield _wire.put_number(1, STDOUT) + _wire.put_bytes(2, chunk)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


class Capture:
    """Puts a pipe in the place of fd 1 and hands what comes to a Stdio; once that has ended, to stderr.

    A thread always reads the pipe, so that a print never blocks, not even a child process's or a C library's.
    """

    def __init__(self, stdio: Stdio) -> None:
        self._stdio = stdio
        self.original = os.dup(1)
        reading, writing = os.pipe()
        os.dup2(writing, 1)
        os.close(writing)
        threading.Thread(target=self._run, args=(reading,), daemon=True).start()

    def _run(self, reading: int) -> None:
        while data := os.read(reading, 64 << 10):
            if not self._stdio.put(data):
                try:
                    os.write(2, data)
                except OSError:
                    pass  # stderr is gone, and so is the line
