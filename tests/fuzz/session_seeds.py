#!/usr/bin/env python3
"""Writes the seeds of the gateway's session targets: frames by hand, one file for each way of a call.

    tests/fuzz/session_seeds.py [CORPUS_DIRECTORY]
"""

from __future__ import annotations

import sys
from pathlib import Path

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED = 1, 4, 8


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: str, value: str) -> bytes:
    """HPACK without indexing, without Huffman's code; both shorter than 127."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def request(stream: int, *more: tuple[str, str], flags: int = END_HEADERS) -> bytes:
    pairs = [(":method", "POST"), (":scheme", "http"), (":path", "/t.Echo/Echo"), (":authority", "x")]
    pairs += [("content-type", "application/grpc"), ("te", "trailers"), *more]
    return frame(HEADERS, flags, stream, b"".join(literal(*pair) for pair in pairs))


def fields(*pairs: tuple[str, str]) -> bytes:
    return b"".join(literal(*pair) for pair in pairs)


def long32(value: int) -> bytes:
    return value.to_bytes(4, "big")


MESSAGE = b"\0\0\0\0\5hello"
HELLO = frame(SETTINGS, 0, 0)
OK = fields((":status", "200"), ("content-type", "application/grpc"))
TRAILERS = fields(("grpc-status", "0"), ("grpc-message", "fine"))
CALLER = {
    "unary": HELLO + request(1) + frame(DATA, END_STREAM, 1, MESSAGE),
    "two": HELLO + request(1) + request(3) + frame(DATA, END_STREAM, 3, MESSAGE) + frame(DATA, END_STREAM, 1, b""),
    "no_body": HELLO + request(1, flags=END_HEADERS | END_STREAM),
    "deadline": HELLO + request(1, ("grpc-timeout", "1m"), ("traceparent", "00-x")),
    "reset": HELLO + request(1) + frame(RST, 0, 1, long32(8)),
    "trailers": HELLO + request(1) + frame(HEADERS, END_HEADERS | END_STREAM, 1, fields(("x", "y"))),
    "padded": HELLO + request(1) + frame(DATA, PADDED | END_STREAM, 1, b"\3" + MESSAGE + b"\0\0\0"),
    "continued": HELLO + request(1, flags=0)[:-1] + b"s" + frame(CONTINUATION, END_HEADERS, 1, fields(("a", "b"))),
    "windows": frame(SETTINGS, 0, 0, b"\0\4" + long32(0)) + request(1, flags=5) + frame(WINDOW, 0, 1, long32(9)),
    "pings": HELLO + frame(PING, 0, 0, b"12345678") * 3 + frame(PRIORITY, 0, 1, b"\0\0\0\3\1"),
    "goaway": HELLO + request(1) + frame(GOAWAY, 0, 0, long32(0) + long32(0)) + frame(DATA, END_STREAM, 1),
    "plain": HELLO + frame(HEADERS, 5, 1, fields((":method", "GET"), (":scheme", "http"), (":path", "/"))),
    "named": HELLO + request(1, ("plugind-plugin", "echo"), ("plugind-caller", "uid:0")),
    "illegal": HELLO + request(1, ("x/y", "\x7f")),
}
PLUGIN = {
    "unary": frame(HEADERS, 4, 1, OK) + frame(DATA, 0, 1, MESSAGE) + frame(HEADERS, 5, 1, TRAILERS),
    "trailers_only": frame(HEADERS, 5, 1, OK + TRAILERS),
    "stream": frame(HEADERS, 4, 3, OK) + frame(DATA, 0, 3, MESSAGE) * 3 + frame(HEADERS, 5, 3, TRAILERS),
    "half_close": frame(HEADERS, 4, 1, OK) + frame(DATA, 1, 1, MESSAGE),
    "interim": frame(HEADERS, 4, 1, fields((":status", "103"))) + frame(HEADERS, 5, 1, OK + TRAILERS),
    "refused": frame(RST, 0, 1, long32(7)) + frame(RST, 0, 3, long32(7)),
    "reset": frame(HEADERS, 4, 1, OK) + frame(RST, 0, 1, long32(2)),
    "goaway": frame(GOAWAY, 0, 0, long32(1) + long32(0)) + frame(HEADERS, 5, 1, OK + TRAILERS),
    "illegal": frame(HEADERS, 4, 1, OK) + frame(HEADERS, 5, 1, fields(("x/y", "1"), ("grpc-status", "0"))),
    "executed": frame(HEADERS, 5, 1, OK + fields(("grpc-status", "14"), ("plugind-executed", "no"))),
    "one_stream": frame(SETTINGS, 0, 0, b"\0\3" + long32(1)) + frame(RST, 0, 3, long32(7)),
    "pings": frame(PING, 0, 0, b"12345678") + frame(WINDOW, 0, 0, long32(1)),
    "push": frame(PUSH, 4, 1, long32(2) + OK),
}
TEXT = ["/t.Echo/Echo", "/a..b/c", "/a/b?c", "100m", "99999999H", "0n", "te\ntrailers", "x-y\nz", "plugind-caller\nuid:0",
        "x-bin\n\x7f", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]


def main() -> None:
    corpus = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "corpus")
    texts = {f"text{i:02}": text.encode() for i, text in enumerate(TEXT)}
    for target, seeds in (
        ("gateway_caller_session", CALLER),
        ("gateway_plugin_session", PLUGIN),
        ("gateway_text", texts),
    ):
        (corpus / target).mkdir(parents=True, exist_ok=True)
        for name, seed in seeds.items():
            (corpus / target / name).write_bytes(seed)


if __name__ == "__main__":
    main()
