#!/usr/bin/python3
"""wordcount: a plugin in Python on plain grpcio, with none of plugind's code.

It shows how little a plugin must do, in any language:

1. check the magic cookie, so that whoever runs it by hand learns what it is;
2. serve gRPC, and grpc.health.v1, on a Unix socket in PLUGIN_UNIX_SOCKET_DIR;
3. print one line that says where;
4. end on SIGTERM.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import tempfile
import threading
from concurrent import futures
from datetime import datetime, timezone
from typing import Iterable, Iterator

import grpc

import health_pb2
import health_pb2_grpc
import wordcount_pb2
import wordcount_pb2_grpc

PROTOCOL_VERSION = 1
STOP_SECONDS = 5.0
HEALTH_THREADS = 4  # a Watch holds one for as long as it is open


class Counter:
    """Counts a text that comes in pieces."""

    def __init__(self) -> None:
        self.words = self.lines = self.bytes = 0
        self._in_word = False

    def add(self, text: str) -> None:
        if not text:
            return
        self.lines += text.count("\n")
        self.bytes += len(text.encode())
        self.words += len(text.split())
        if self._in_word and not text[0].isspace():
            self.words -= 1  # the word that the last piece began goes on
        self._in_word = not text[-1].isspace()

    def response(self) -> wordcount_pb2.CountResponse:
        return wordcount_pb2.CountResponse(words=self.words, lines=self.lines, bytes=self.bytes)


class WordCount(wordcount_pb2_grpc.WordCountServicer):
    def Count(
        self, request: wordcount_pb2.CountRequest, context: grpc.ServicerContext
    ) -> wordcount_pb2.CountResponse:
        counter = Counter()
        counter.add(request.text)
        return counter.response()

    def CountStream(
        self, requests: Iterable[wordcount_pb2.CountRequest], context: grpc.ServicerContext
    ) -> wordcount_pb2.CountResponse:
        counter = Counter()
        for request in requests:
            counter.add(request.text)
        return counter.response()


class Health(health_pb2_grpc.HealthServicer):
    """SERVING until end(), for "" and "plugin"."""

    SERVICES = ("", "plugin", "wordcount.v1.WordCount")

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._serving = True
        self._watchers = 0

    def end(self) -> None:
        with self._changed:
            self._serving = False
            self._changed.notify_all()

    def _answer(self) -> health_pb2.HealthCheckResponse:
        status = health_pb2.HealthCheckResponse
        return status(status=status.SERVING if self._serving else status.NOT_SERVING)

    def Check(
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        if request.service not in self.SERVICES:
            context.abort(grpc.StatusCode.NOT_FOUND, f"unknown service: {request.service[:100]}")
        return self._answer()

    def Watch(
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> Iterator[health_pb2.HealthCheckResponse]:
        if request.service not in self.SERVICES:
            context.abort(grpc.StatusCode.NOT_FOUND, f"unknown service: {request.service[:100]}")
        with self._changed:
            self._watchers += 1
            full = self._watchers > HEALTH_THREADS
        try:
            if full:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many watchers; use Check")
            context.add_callback(self._wake)
            yield self._answer()
            with self._changed:
                while self._serving and context.is_active():
                    self._changed.wait()
            if context.is_active():
                yield self._answer()
        finally:
            with self._changed:
                self._watchers -= 1

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def log(level: str, message: str, **fields: object) -> None:
    """One line on stderr that the host reads as level, message and fields."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    entry = {"@level": level, "@message": message, "@timestamp": now, **fields}
    print(json.dumps(entry), file=sys.stderr, flush=True)


def main() -> int:
    if os.environ.get("PLUGIND_PLUGIN") != "1":
        print(
            "wordcount is a plugin: plugind starts it and calls it over gRPC. To run it, name it\n"
            "in plugins.d/wordcount.toml beside plugind.toml, then: pluginctl reload",
            file=sys.stderr,
        )
        return 1

    # Not an Event: its set() takes a lock that the main thread may hold when the signal comes.
    stop: queue.SimpleQueue[int] = queue.SimpleQueue()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.put(number))
    sys.stdout.reconfigure(line_buffering=True)

    base = os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or tempfile.gettempdir()
    # A name that is free even where the directory is shared.
    path = os.path.join(base, f"wordcount-{os.getpid()}.sock")

    health = Health()
    workers = futures.ThreadPoolExecutor(max_workers=8 + HEALTH_THREADS)
    server = grpc.server(workers)
    wordcount_pb2_grpc.add_WordCountServicer_to_server(WordCount(), server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if server.add_insecure_port(f"unix:{path}") == 0:
        log("error", "cannot listen", path=path)
        return 1
    server.start()
    # Only now, because the host connects as soon as it reads this.
    print(f"1|{PROTOCOL_VERSION}|unix|{path}|grpc", flush=True)
    log("info", "counting", pid=os.getpid(), grpc=grpc.__version__)

    stop.get()
    health.end()
    server.stop(STOP_SECONDS).wait()
    log("info", "stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
